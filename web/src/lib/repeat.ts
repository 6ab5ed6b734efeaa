/** Retries with pauses. */
import { backoff } from './live/backoff';

/**
 * Runs `task` after a pause, and again when it has ended, with pauses that grow. The returned function stops this; a task that
 * is under way then is the last.
 */
export function repeat(task: () => Promise<unknown>, random?: () => number): () => void {
  let attempt = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout>;
  const next = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      void task().finally(next);
    }, backoff(attempt++, random));
  };
  next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

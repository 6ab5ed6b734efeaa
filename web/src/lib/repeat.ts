/** Trying again until somebody says that it is enough. */
import { backoff } from './live/backoff';

/**
 * Runs `task` after a pause, and again when it has ended, with pauses that grow. The function that it answers ends this: a task
 * that is under way then is the last one.
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

/** Retrying all dead messages, a step at a time. */
import { Problem } from '../../lib/api/problem';

export interface Step {
  retried: number;
  /** Where the next step begins; none if this was the last. */
  next?: string | null;
}

export interface Retrying {
  /** Retries as many as the server takes at once, from behind `after`. */
  step: (after: string | undefined) => Promise<Step>;
  signal: AbortSignal;
  /** Told after each step of how many are queued again so far. */
  onStep: (retried: number) => void;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Asks for one step after another until there is none, or until `signal`. Who is asked too often is waited for.
 *
 * @returns how many are queued again.
 * @throws what the server refused else; the steps before are done, and `onStep` was told of them.
 */
export async function retryAll({ step, signal, onStep, wait = sleep }: Retrying): Promise<number> {
  let after: string | undefined;
  let retried = 0;
  while (!signal.aborted) {
    let done: Step;
    try {
      done = await step(after);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 429 || error.retryAfterMs === undefined) throw error;
      await wait(error.retryAfterMs, signal);
      continue;
    }
    retried += done.retried;
    onStep(retried);
    if (done.next == null) break;
    after = done.next;
  }
  return retried;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

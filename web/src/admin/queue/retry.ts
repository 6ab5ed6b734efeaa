/** Retries all dead messages, in steps. */
import { Problem } from '../../lib/api/problem';

export interface RetryStep {
  retried: number;
  /** Where the next step begins; none if this was the last. */
  next?: string | null;
}

export interface Retrying {
  /** Retries as many messages as the server takes at once, from behind `after`. */
  step: (after: string | undefined) => Promise<RetryStep>;
  signal: AbortSignal;
  /** Called after each step with the number of messages that are queued again so far. */
  onStep: (retried: number) => void;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs one step after another until none is left or `signal` aborts. Waits where the server limits the rate.
 *
 * @returns how many are queued again.
 * @throws any other refusal of the server; earlier steps are done, and `onStep` was called for them.
 */
export async function retryAll({ step, signal, onStep, wait = sleep }: Retrying): Promise<number> {
  let after: string | undefined;
  let retried = 0;
  while (!signal.aborted) {
    let done: RetryStep;
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

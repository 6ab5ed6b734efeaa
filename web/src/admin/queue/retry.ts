/** Retrying many dead messages. */
import { Problem } from '../../lib/api/problem';

export interface Retrying {
  ids: readonly string[];
  retry: (id: string) => Promise<void>;
  signal: AbortSignal;
  /** Told of each that is queued again, or was not dead any more. */
  onDone: (id: string) => void;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** At once: the server and the reader have other things to do. */
const AT_ONCE = 4;

/**
 * Retries them all, in their order. Who is asked too often is waited for.
 *
 * @returns how many are queued again.
 * @throws what the server refused else; those before are queued again.
 */
export async function retryAll({ ids, retry, signal, onDone, wait = sleep }: Retrying): Promise<number> {
  const waiting = [...ids];
  const failure = new AbortController();
  let queued = 0;

  async function one(id: string): Promise<void> {
    for (;;) {
      try {
        await retry(id);
        queued += 1;
        onDone(id);
        return;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.code === 'not_dead' || error.status === 404) {
          onDone(id);
          return;
        }
        if (error.status !== 429 || error.retryAfterMs === undefined) throw error;
        await wait(error.retryAfterMs, signal);
        if (signal.aborted) return;
      }
    }
  }

  async function work(): Promise<void> {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      if (signal.aborted || failure.signal.aborted) return;
      try {
        await one(id);
      } catch (error) {
        failure.abort(error);
      }
    }
  }

  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, work));
  if (failure.signal.aborted) throw failure.signal.reason;
  return queued;
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

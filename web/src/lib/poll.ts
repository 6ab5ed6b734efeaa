/**
 * Polling while the page is visible, for numbers that have no notifications.
 *
 * The next request follows a response after a pause, so that a slow server has one at a time. When the page is hidden, polling
 * stops and the request under way is aborted.
 */
export interface PollOptions<T> {
  read: (signal: AbortSignal) => Promise<T>;
  everyMs: number;
  onAnswer: (answer: T) => void;
  onError: (error: unknown) => void;
  /** Says whether the page is visible. */
  page?: Pick<Document, 'visibilityState' | 'addEventListener' | 'removeEventListener'>;
}

export interface Polling {
  /** Polls now. The request under way is aborted, as its response may be outdated. */
  now: () => void;
  stop: () => void;
}

export function poll<T>({ read, everyMs, onAnswer, onError, page = document }: PollOptions<T>): Polling {
  let asking: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function pause(): void {
    clearTimeout(timer);
    asking?.abort();
    asking = undefined;
  }

  async function ask(): Promise<void> {
    pause();
    if (page.visibilityState === 'hidden') return;
    const mine = new AbortController();
    asking = mine;
    try {
      const answer = await read(mine.signal);
      if (!mine.signal.aborted) onAnswer(answer);
    } catch (error) {
      if (!mine.signal.aborted) onError(error);
    }
    if (!mine.signal.aborted) timer = setTimeout(() => void ask(), everyMs);
  }

  const looked = () => {
    void ask();
  };
  page.addEventListener('visibilitychange', looked);
  void ask();
  return {
    now: looked,
    stop: () => {
      page.removeEventListener('visibilitychange', looked);
      pause();
    },
  };
}

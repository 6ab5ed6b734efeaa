/**
 * Asking again and again, while somebody looks: for numbers that nobody is notified of.
 *
 * The next question follows an answer by a while, so that a slow server is not asked twice at once. While the page is
 * hidden nothing is asked, and what is being asked is given up.
 */
export interface PollOptions<T> {
  read: (signal: AbortSignal) => Promise<T>;
  everyMs: number;
  onAnswer: (answer: T) => void;
  onError: (error: unknown) => void;
  /** Where to see whether somebody looks. */
  page?: Pick<Document, 'visibilityState' | 'addEventListener' | 'removeEventListener'>;
}

export interface Polling {
  /** Asks now; what is being asked is given up, as it may be older than what the caller knows. */
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

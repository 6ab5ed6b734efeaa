/** A live copy of everyone's notifications, on a connection of its own. It lasts as long as its page. */
import { api, call } from '../../lib/api/client';
import { Problem } from '../../lib/api/problem';
import { Connection, type LiveState } from '../../lib/live/connection';
import { Feed } from './feed';
import { read, type TapItem, type Told } from './item';

const TOPIC = 'users/+/notifications';
/** How many are kept. */
export const KEPT = 500;
const SECOND = 1000;

export class Tap {
  state = $state<LiveState>('idle');
  nextTryAt = $state<number | undefined>();
  items = $state.raw<readonly TapItem[]>([]);
  paused = $state(false);
  /** How many came since it was paused. */
  waiting = $state(0);
  /** How many came within the last second. */
  perSecond = $state(0);

  /** Numbers what comes: here it has no order but that in which it comes. */
  #count = 0;
  #lostAt: number | undefined;
  #lastSecond = 0;
  readonly #decoder = new TextDecoder();

  readonly #feed = new Feed<TapItem>(
    KEPT,
    () => {
      this.items = this.#feed.items;
      this.paused = this.#feed.paused;
      this.waiting = this.#feed.waiting;
    },
    (run) => requestAnimationFrame(run),
  );

  readonly #connection = new Connection<Told>(
    {
      position: () => Promise.resolve({ epoch: '', seq: 0 }),
      open: async (_, events) => {
        const [access, { open }] = await Promise.all([call(api.POST('/auth/mqtt')), import('../../lib/live/mqtt')]);
        return open(
          access,
          { topic: TOPIC, qos: 0 },
          {
            ...events,
            received: ({ topic, payload }) => {
              this.#count += 1;
              const told = read(topic, this.#decoder.decode(payload), String(this.#count), Date.now());
              if (told !== undefined) events.received({ epoch: '', seq: this.#count }, told);
            },
          },
          // Without an end: two of them would tell everything twice. A gap shows when the token ends.
          { suffix: '-tap' },
        );
      },
      online: () => navigator.onLine,
      hopeless: (error) => error instanceof Problem && error.status === 401,
    },
    () => {
      this.#became(this.#connection.state);
    },
    (told) => {
      this.#lastSecond += 1;
      this.#feed.add(told);
    },
  );

  /** Connects. The function that it answers ends it. */
  start(): () => void {
    const ended = new AbortController();
    const { signal } = ended;
    const networkChanged = () => {
      this.#connection.networkChanged();
    };
    addEventListener('online', networkChanged, { signal });
    addEventListener('offline', networkChanged, { signal });
    const seen = () => {
      if (document.visibilityState === 'visible') this.#connection.woke();
    };
    document.addEventListener('visibilitychange', seen, { signal });
    const timer = setInterval(() => {
      this.perSecond = this.#lastSecond;
      this.#lastSecond = 0;
    }, SECOND);
    this.#connection.start();
    return () => {
      ended.abort();
      clearInterval(timer);
      this.#connection.stop();
    };
  }

  tryNow(): void {
    this.#connection.tryNow();
  }

  pause(): void {
    this.#feed.pause();
  }

  resume(): void {
    this.#feed.resume();
  }

  clear(): void {
    this.#feed.clear();
  }

  #became(state: LiveState): void {
    if (this.state === 'live' && state !== 'live') this.#lostAt = Date.now();
    // What happened meanwhile never comes: the list says so where it is missing.
    if (state === 'live' && this.#lostAt !== undefined) {
      const at = Date.now();
      this.#feed.add({ kind: 'gap', key: `gap-${at}`, from: this.#lostAt, at });
      this.#lostAt = undefined;
    }
    this.state = state;
    this.nextTryAt = this.#connection.nextTryAt;
  }
}

/** A live copy of everyone's notifications, on a connection of its own, while the page is open. */
import { api, call } from '../../lib/api/client';
import { Problem } from '../../lib/api/problem';
import { Connection, type LiveState } from '../../lib/live/connection';
import { Feed } from './feed';
import { read, type ObservedItem, type ObservedNotification } from './item';

const TOPIC = 'users/+/notifications';
/** How many notifications the page keeps. */
export const KEPT = 500;
const SECOND = 1000;

export class Observer {
  state = $state<LiveState>('idle');
  nextTryAt = $state<number | undefined>();
  items = $state.raw<readonly ObservedItem[]>([]);
  paused = $state(false);
  /** How many came since it was paused. */
  waiting = $state(0);
  /** How many came within the last second. */
  perSecond = $state(0);

  /** Numbers the notifications in the order of arrival, as inboxes of several users have no common order. */
  #count = 0;
  #lostAt: number | undefined;
  #lastSecond = 0;
  readonly #decoder = new TextDecoder();

  readonly #feed = new Feed<ObservedItem>(
    KEPT,
    () => {
      this.items = this.#feed.items;
      this.paused = this.#feed.paused;
      this.waiting = this.#feed.waiting;
    },
    (run) => requestAnimationFrame(run),
  );

  readonly #connection = new Connection<ObservedNotification>(
    {
      firstCursor: () => Promise.resolve({ epoch: '', seq: 0 }),
      open: async (_, events) => {
        const [access, { open }] = await Promise.all([call(api.POST('/auth/mqtt')), import('../../lib/live/mqtt')]);
        return open(
          access,
          { topic: TOPIC, qos: 0 },
          {
            ...events,
            received: ({ topic, payload }) => {
              this.#count += 1;
              const observed = read(topic, this.#decoder.decode(payload), String(this.#count), Date.now());
              if (observed !== undefined) events.received({ epoch: '', seq: this.#count }, observed);
            },
          },
          // Without `until`: with a second link beside it everything would come twice. A gap shows when the token ends.
          { suffix: '-observer' },
        );
      },
      online: () => navigator.onLine,
      hopeless: (error) => error instanceof Problem && error.status === 401,
    },
    () => {
      this.#became(this.#connection.state);
    },
    (observed) => {
      this.#lastSecond += 1;
      this.#feed.add(observed);
    },
  );

  /** Connects. The returned function disconnects. */
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
    // Notifications from meanwhile are not sent later: the list shows a gap.
    if (state === 'live' && this.#lostAt !== undefined) {
      const at = Date.now();
      this.#feed.add({ kind: 'gap', key: `gap-${at}`, from: this.#lostAt, at });
      this.#lostAt = undefined;
    }
    this.state = state;
    this.nextTryAt = this.#connection.nextTryAt;
  }
}

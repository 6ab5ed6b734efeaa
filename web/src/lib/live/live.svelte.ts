/** The inbox of whoever is signed in, as it fills. */
import { api, call, type Schemas } from '../api/client';
import { Problem } from '../api/problem';
import type { Progress as MessageProgress } from '../messages/model';
import { session } from '../session.svelte';
import { Connection, type LiveState, type Place } from './connection';
import { pauseAfter, reason } from './reason';

export type Notification = Schemas['Notification'];

/** What the broker tells beside the inbox: of one message, that one was deleted, or that a new delay has moved what is queued. */
export type Progress =
  | { type: 'message.changed'; message: MessageProgress }
  | { type: 'message.deleted'; message: { id: string } }
  | { type: 'messages.moved' };

/** Longer than this between two ticks, and the device slept. */
const SLEPT_MS = 30_000;
const TICK_MS = 5000;

const decoder = new TextDecoder();

class Live {
  state = $state<LiveState>('idle');
  nextTryAt = $state<number | undefined>();
  /** What the server refuses, in words, while it does. */
  refusal = $state<string | undefined>();

  #arrivals: (() => void)[] = [];
  #position: Promise<Place> | undefined;
  #listeners: ((notification: Notification) => void)[] = [];
  #watchers: ((progress: Progress) => void)[] = [];

  readonly #connection = new Connection<Notification>(
    {
      position: () => this.position(),
      open: async (after, events, side) => {
        const [access, { open }] = await Promise.all([call(api.POST('/auth/mqtt')), import('./mqtt')]);
        return open(
          access,
          { topic: access.inbox, after, qos: 1, beside: access.progress },
          {
            ...events,
            received: ({ topic, payload, place }) => {
              if (topic === access.progress) this.#tellProgress(JSON.parse(decoder.decode(payload)) as Progress);
              if (place === undefined) return;
              events.received(place, JSON.parse(decoder.decode(payload)) as Notification);
            },
          },
          // The server ends a session with its token.
          { suffix: side === 0 ? '' : '-next', until: Date.parse(access.expires_at) },
        );
      },
      online: () => navigator.onLine,
      hopeless: (error) => error instanceof Problem && (error.status === 401 || error.code === 'csrf'),
      pauseAfter,
    },
    () => {
      if (this.#connection.state === 'live' && this.state !== 'live') {
        for (const listener of this.#arrivals) listener();
      }
      this.state = this.#connection.state;
      this.nextTryAt = this.#connection.nextTryAt;
      this.refusal = reason(this.#connection.why);
    },
    (notification) => {
      for (const listener of this.#listeners) listener(notification);
    },
  );

  constructor() {
    session.onOpen(
      () => {
        this.#connection.start();
      },
      () => {
        this.#connection.stop();
      },
    );
    const networkChanged = () => {
      this.#connection.networkChanged();
    };
    addEventListener('online', networkChanged);
    addEventListener('offline', networkChanged);
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#connection.woke();
    });
    let last = Date.now();
    setInterval(() => {
      const now = Date.now();
      if (now - last > SLEPT_MS && document.visibilityState === 'visible') this.#connection.woke();
      last = now;
    }, TICK_MS);
  }

  /**
   * The number behind which this page begins: how far any of one's clients had come when it was opened. What is asked for
   * after this is known is complete together with what is told.
   */
  position(): Promise<Place> {
    this.#position ??= this.#ask().catch((error: unknown) => {
      this.#position = undefined;
      throw error;
    });
    return this.#position;
  }

  async #ask(): Promise<Place> {
    // It never goes back: this only asks.
    const { acked, epoch } = await call(api.POST('/notifications/ack', { body: { up_to: 0 } }));
    return { epoch, seq: acked };
  }

  /** Told of each notification once. */
  listen(listener: (notification: Notification) => void): void {
    this.#listeners.push(listener);
  }

  /** Told of what happens before a message ends, while the connection stands. */
  onProgress(watcher: (progress: Progress) => void): void {
    this.#watchers.push(watcher);
  }

  #tellProgress(progress: Progress): void {
    for (const watcher of this.#watchers) watcher(progress);
  }

  /** Told each time that the connection stands. */
  onLive(listener: () => void): void {
    this.#arrivals.push(listener);
  }

  /** Something else says that the server cannot be reached: finds out whether the connection still stands. */
  check(): void {
    if (this.state === 'live') this.#connection.woke();
  }

  tryNow(): void {
    this.#connection.tryNow();
  }
}

export const live = new Live();

/** The inbox of whoever is signed in, as it fills. */
import { api, call, type Schemas } from '../api/client';
import { Problem } from '../api/problem';
import type { Progress as MessageProgress } from '../messages/model';
import { session } from '../session.svelte';
import { Connection, type LiveState, type InboxCursor } from './connection';
import { pauseAfter, reason } from './reason';

export type Notification = Schemas['Notification'];

/** Progress that the broker publishes beside the inbox: a message changed or was deleted, or a new delay moved all queued messages. */
export type Progress =
  | { type: 'message.changed'; message: MessageProgress }
  | { type: 'message.deleted'; message: { id: string } }
  | { type: 'messages.moved' };

/** If two ticks are further apart than this, the device slept. */
const SLEPT_MS = 30_000;
const TICK_MS = 5000;

const decoder = new TextDecoder();

class Live {
  state = $state<LiveState>('idle');
  nextTryAt = $state<number | undefined>();
  /** Why the server refuses the connection, for the user. */
  refusal = $state<string | undefined>();

  #arrivals: (() => void)[] = [];
  #firstCursor: Promise<InboxCursor> | undefined;
  #listeners: ((notification: Notification) => void)[] = [];
  #watchers: ((progress: Progress) => void)[] = [];

  readonly #connection = new Connection<Notification>(
    {
      firstCursor: () => this.firstCursor(),
      open: async (after, events, side) => {
        const [access, { open }] = await Promise.all([call(api.POST('/auth/mqtt')), import('./mqtt')]);
        return open(
          access,
          { topic: access.inbox, after, qos: 1, beside: access.progress },
          {
            ...events,
            received: ({ topic, payload, cursor }) => {
              if (topic === access.progress) this.#publishProgress(JSON.parse(decoder.decode(payload)) as Progress);
              if (cursor === undefined) return;
              events.received(cursor, JSON.parse(decoder.decode(payload)) as Notification);
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
   * The cursor after which this page begins: how far any of the user's clients had acknowledged when it was opened. A list that
   * is read after this call is complete together with the notifications that follow.
   */
  firstCursor(): Promise<InboxCursor> {
    this.#firstCursor ??= this.#ask().catch((error: unknown) => {
      this.#firstCursor = undefined;
      throw error;
    });
    return this.#firstCursor;
  }

  async #ask(): Promise<InboxCursor> {
    // Acknowledges nothing: the response says how far the inbox is acknowledged.
    const { acked, epoch } = await call(api.POST('/notifications/ack', { body: { up_to: 0 } }));
    return { epoch, seq: acked };
  }

  /** Calls `listener` once for each notification. */
  listen(listener: (notification: Notification) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls `watcher` with the progress of messages, while connected. */
  onProgress(watcher: (progress: Progress) => void): void {
    this.#watchers.push(watcher);
  }

  #publishProgress(progress: Progress): void {
    for (const watcher of this.#watchers) watcher(progress);
  }

  /** Calls `listener` each time that the connection becomes live. */
  onLive(listener: () => void): void {
    this.#arrivals.push(listener);
  }

  /** Checks the connection, as the server could not be reached otherwise. */
  check(): void {
    if (this.state === 'live') this.#connection.woke();
  }

  tryNow(): void {
    this.#connection.tryNow();
  }
}

export const live = new Live();

/**
 * Messages that the server is not known to have accepted. Each has an `Idempotency-Key` from the start, which every attempt
 * repeats: however often a message is sent, it is accepted once.
 */
import { api, call } from '../api/client';
import { Problem, Unreachable } from '../api/problem';
import { clock } from '../clock.svelte';
import { backoff } from '../live/backoff';
import { live } from '../live/live.svelte';
import { say } from '../say';
import { session } from '../session.svelte';
import { messages } from './messages.svelte';

/**
 * - `sending`: on its way, or next.
 * - `waiting`: an attempt failed for a reason that passes; the next is at `retryAt`, or with the next connection.
 * - `failed`: refused; the user decides whether to send it again.
 */
type UnsentState = 'sending' | 'waiting' | 'failed';

export interface Unsent {
  readonly key: string;
  readonly body: string;
  readonly createdAt: number;
  readonly state: UnsentState;
  /** Whether the first attempt failed. */
  readonly waited: boolean;
  readonly error?: string;
  readonly retryAt?: number;
}

/** The outbox in the session storage. */
interface StoredOutbox {
  user: string;
  items: { key: string; body: string; createdAt: number }[];
  draft?: string;
}

/** The key in the session storage: a page that is reloaded goes on sending. */
const STORAGE = 'herald-outbox';

class Outbox {
  /** Oldest first. */
  items = $state.raw<readonly Unsent[]>([]);

  /** Whether something waits because the server did not answer. */
  isStuck = $state(false);

  #draft = $state('');
  #pumping = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #listeners: ((news: 'queued' | 'waiting' | 'unsent') => void)[] = [];

  constructor() {
    session.onOpen(
      (user) => {
        this.#restore(user.id);
        this.flush();
      },
      () => {
        clearTimeout(this.#timer);
      },
    );
    session.onLeave(() => {
      this.#clear();
    });
    live.onLive(() => {
      this.flush();
    });
    messages.holdWhile(({ message }) =>
      this.items.some((item) => item.state !== 'failed' && (item.body === message.body || message.omitted?.includes('body'))),
    );
  }

  /** The message that the user is writing. It stays when they go to another page of the app. */
  get draft(): string {
    return this.#draft;
  }

  set draft(draft: string) {
    this.#draft = draft;
    this.#store();
  }

  /** Whether something would be lost with the tab. */
  get isHolding(): boolean {
    return this.items.length > 0 || this.draft.trim() !== '';
  }

  /** Called for each message that is accepted, has to wait, or is refused. */
  onNews(listener: (news: 'queued' | 'waiting' | 'unsent') => void): void {
    this.#listeners.push(listener);
  }

  /** Sends a new message. `key`: the idempotency key of an earlier message, if this repeats it. */
  send(body: string, key: string = crypto.randomUUID()): void {
    // Sent already.
    const isKnown = this.items.some((item) => item.key === key) || messages.all.some((message) => message.key === key);
    if (isKnown) return;
    const createdAt = clock.serverNow();
    this.items = [...this.items, { key, body, createdAt, state: 'sending', waited: false }];
    this.#store();
    void this.#pump();
  }

  /** Sends a message again that was refused, or that waits. */
  again(key: string): void {
    this.#set(key, { state: 'sending' });
    void this.#pump();
  }

  /** Moves a message back into the draft. */
  edit(key: string): void {
    const body = this.items.find((item) => item.key === key)?.body;
    if (body !== undefined) this.draft = this.draft.trim() === '' ? body : `${body}\n${this.draft}`;
    this.discard(key);
  }

  discard(key: string): void {
    this.items = this.items.filter((item) => item.key !== key);
    this.#store();
    if (this.items.length === 0) this.isStuck = false;
    messages.release();
  }

  /** Sends waiting messages now, as the server can be reached again. */
  flush(): void {
    clearTimeout(this.#timer);
    for (const item of this.items) if (item.state === 'waiting') this.#set(item.key, { state: 'sending' });
    void this.#pump();
  }

  /** Sends one message after another, so that the server accepts them in the order in which they were written. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (let item = this.#next(); item !== undefined; item = this.#next()) {
        if (!(await this.#try(item))) return;
      }
    } finally {
      this.#pumping = false;
    }
  }

  #next(): Unsent | undefined {
    return this.items.find((item) => item.state === 'sending');
  }

  /** Returns whether the next message may be sent. */
  async #try({ key, body }: Unsent): Promise<boolean> {
    const asked = performance.now();
    try {
      const accepted = await call(
        api.POST('/messages', { params: { header: { 'Idempotency-Key': key } }, body: { body } }),
      );
      this.#failures = 0;
      this.isStuck = false;
      this.items = this.items.filter((item) => item.key !== key);
      this.#store();
      messages.accepted(accepted, body, key, asked);
      messages.release();
      this.#notify('queued');
      return true;
    } catch (error) {
      // Without a session they wait for the next session.
      const isOut = error instanceof Problem && (error.status === 401 || error.code === 'csrf');
      if (error instanceof Unreachable || isOut || (error instanceof Problem && error.passing)) {
        this.#wait(error);
        return false;
      }
      this.#set(key, { state: 'failed', error: say(error) });
      messages.release();
      this.#notify('unsent');
      return true;
    }
  }

  /** Lets all messages wait, as the others would fail for the same reason. */
  #wait(error: unknown): void {
    const asked = error instanceof Problem ? error.retryAfterMs : undefined;
    const pause = asked ?? backoff(this.#failures++);
    // The MQTT connection may be lost as well, without having noticed.
    this.isStuck = error instanceof Unreachable;
    if (this.isStuck) live.check();
    const retryAt = Date.now() + pause;
    const why = error instanceof Unreachable ? {} : { error: say(error) };
    this.items = this.items.map((item) => {
      if (item.state !== 'sending') return item;
      const { key, body, createdAt } = item;
      // Only once, not at each attempt.
      if (!item.waited) this.#notify('waiting');
      return { key, body, createdAt, waited: true, state: 'waiting', retryAt, ...why };
    });
    clearTimeout(this.#timer);
    if (session.state !== 'in') return;
    this.#timer = setTimeout(() => {
      this.flush();
    }, pause);
  }

  #set(key: string, change: Pick<Unsent, 'state' | 'error' | 'retryAt'>): void {
    this.items = this.items.map((item) =>
      item.key === key
        ? { key, body: item.body, createdAt: item.createdAt, waited: item.waited || change.state !== 'sending', ...change }
        : item,
    );
  }

  #notify(news: 'queued' | 'waiting' | 'unsent'): void {
    for (const listener of this.#listeners) listener(news);
  }

  #store(): void {
    const user = session.user?.id;
    if (user === undefined) return;
    if (!this.isHolding) sessionStorage.removeItem(STORAGE);
    else {
      const items = this.items.map(({ key, body, createdAt }) => ({ key, body, createdAt }));
      try {
        sessionStorage.setItem(STORAGE, JSON.stringify({ user, items, draft: this.draft } satisfies StoredOutbox));
      } catch {
        // Full: they are still in memory.
      }
    }
  }

  #restore(user: string): void {
    if (this.items.length > 0) return;
    const text = sessionStorage.getItem(STORAGE);
    if (text === null) return;
    try {
      const stored = JSON.parse(text) as StoredOutbox;
      if (stored.user === user) {
        this.items = stored.items.map((item) => ({ ...item, state: 'waiting', waited: true }));
        if (this.#draft === '') this.#draft = stored.draft ?? '';
      } else sessionStorage.removeItem(STORAGE);
    } catch {
      sessionStorage.removeItem(STORAGE);
    }
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.items = [];
    this.draft = '';
    this.#failures = 0;
    sessionStorage.removeItem(STORAGE);
  }
}

export const outbox = new Outbox();

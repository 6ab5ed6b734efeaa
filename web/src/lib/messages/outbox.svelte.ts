/**
 * What was written and is not known to be taken. Each message has a key from the start (`Idempotency-Key`), which every
 * try repeats: however often it is sent, it is taken once.
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
 * - `waiting`: a try failed in a way that passes; the next one is at `retryAt`, or with the next connection.
 * - `failed`: refused; it is for the writer to decide.
 */
type State = 'sending' | 'waiting' | 'failed';

export interface Unsent {
  readonly key: string;
  readonly body: string;
  readonly createdAt: number;
  readonly state: State;
  /** Whether it was not taken at the first try. */
  readonly waited: boolean;
  readonly error?: string;
  readonly retryAt?: number;
}

interface Kept {
  user: string;
  items: { key: string; body: string; createdAt: number }[];
  draft?: string;
}

/** In the tab's own storage: a page that is loaded anew goes on sending. */
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

  /** What is being written; it outlives the page that it is written on. */
  get draft(): string {
    return this.#draft;
  }

  set draft(draft: string) {
    this.#draft = draft;
    this.#keep();
  }

  /** Whether there is something that goes with the tab. */
  get isHolding(): boolean {
    return this.items.length > 0 || this.draft.trim() !== '';
  }

  /** Told of each message that is taken, that has to wait, and that is refused. */
  onNews(listener: (news: 'queued' | 'waiting' | 'unsent') => void): void {
    this.#listeners.push(listener);
  }

  /** Sends a new message. `key`: one that says what it repeats. */
  send(body: string, key: string = crypto.randomUUID()): void {
    // It was sent already.
    const isKnown = this.items.some((item) => item.key === key) || messages.all.some((message) => message.key === key);
    if (isKnown) return;
    const createdAt = clock.serverNow();
    this.items = [...this.items, { key, body, createdAt, state: 'sending', waited: false }];
    this.#keep();
    void this.#pump();
  }

  /** Sends one again that was refused, or that waits. */
  again(key: string): void {
    this.#set(key, { state: 'sending' });
    void this.#pump();
  }

  /** Takes one back, into what is being written. */
  edit(key: string): void {
    const body = this.items.find((item) => item.key === key)?.body;
    if (body !== undefined) this.draft = this.draft.trim() === '' ? body : `${body}\n${this.draft}`;
    this.discard(key);
  }

  discard(key: string): void {
    this.items = this.items.filter((item) => item.key !== key);
    this.#keep();
    if (this.items.length === 0) this.isStuck = false;
    messages.release();
  }

  /** Now rather than later: the server can be reached again. */
  flush(): void {
    clearTimeout(this.#timer);
    for (const item of this.items) if (item.state === 'waiting') this.#set(item.key, { state: 'sending' });
    void this.#pump();
  }

  /** One after the other, so that they are taken in the order in which they were written. */
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

  /** Whether the next one may be tried. */
  async #try({ key, body }: Unsent): Promise<boolean> {
    const asked = performance.now();
    try {
      const accepted = await call(
        api.POST('/messages', { params: { header: { 'Idempotency-Key': key } }, body: { body } }),
      );
      this.#failures = 0;
      this.isStuck = false;
      this.items = this.items.filter((item) => item.key !== key);
      this.#keep();
      messages.accepted(accepted, body, key, asked);
      messages.release();
      this.#tell('queued');
      return true;
    } catch (error) {
      // Without a session they wait for the next one.
      const isOut = error instanceof Problem && (error.status === 401 || error.code === 'csrf');
      if (error instanceof Unreachable || isOut || (error instanceof Problem && error.passing)) {
        this.#wait(error);
        return false;
      }
      this.#set(key, { state: 'failed', error: say(error) });
      messages.release();
      this.#tell('unsent');
      return true;
    }
  }

  /** All wait: what stops one stops the others. */
  #wait(error: unknown): void {
    const asked = error instanceof Problem ? error.retryAfterMs : undefined;
    const pause = asked ?? backoff(this.#failures++);
    // Then the connection may be dead as well, without having noticed.
    this.isStuck = error instanceof Unreachable;
    if (this.isStuck) live.check();
    const retryAt = Date.now() + pause;
    const why = error instanceof Unreachable ? {} : { error: say(error) };
    this.items = this.items.map((item) => {
      if (item.state !== 'sending') return item;
      const { key, body, createdAt } = item;
      // Told once, not with each try.
      if (!item.waited) this.#tell('waiting');
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

  #tell(news: 'queued' | 'waiting' | 'unsent'): void {
    for (const listener of this.#listeners) listener(news);
  }

  #keep(): void {
    const user = session.user?.id;
    if (user === undefined) return;
    if (!this.isHolding) sessionStorage.removeItem(STORAGE);
    else {
      const items = this.items.map(({ key, body, createdAt }) => ({ key, body, createdAt }));
      try {
        sessionStorage.setItem(STORAGE, JSON.stringify({ user, items, draft: this.draft } satisfies Kept));
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
      const kept = JSON.parse(text) as Kept;
      if (kept.user === user) {
        this.items = kept.items.map((item) => ({ ...item, state: 'waiting', waited: true }));
        if (this.#draft === '') this.#draft = kept.draft ?? '';
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

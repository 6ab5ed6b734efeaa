/** The messages of whoever is signed in: pages of the history, kept up to date live. */
import { api, call, whenDated, type Schemas } from '../api/client';
import { Problem } from '../api/problem';
import { clock } from '../clock.svelte';
import { live, type Notification } from '../live/live.svelte';
import { say } from '../say';
import { session } from '../session.svelte';
import { bounded, type Reading } from './bound';
import { Gone } from './gone';
import {
  isOpen,
  matches,
  merged,
  ofAccepted,
  ofApi,
  ofNotification,
  position,
  progressed,
  withChanges,
  type Filter,
  type Message,
  type Progress,
  type Status,
} from './model';

const PAGE = 200;
/** The shortest time between two renderings of the list. */
const DRAW_MS = 60;
/** After a new delay has moved everyone's messages, pages read them again within this time, not all at once. */
const SPREAD_MS = 2000;
/** The last progress of this many messages is kept until they are known here. */
const EARLY = 200;
/** How many pages, and then how many single messages, are read again. */
const PAGES_AGAIN = 5;
const ONE_BY_ONE = 20;

/** A tab tells the others of a message that was accepted. */
interface Shared {
  user: string;
  message: Message;
}

class Messages {
  /** Newest first. */
  all = $state.raw<readonly Message[]>([]);
  /** Of the lists that were read. */
  readings = $state.raw<Partial<Record<Filter, Reading>>>({});
  loading = $state(false);
  problem = $state<string | undefined>();

  #changes = new Map<string, Message>();
  #gone = new Gone();
  #leaving = new Set<string>();
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #held: Notification[] = [];
  #isHeld: (notification: Notification) => boolean = () => false;
  #early = new Map<string, { progress: Progress; heardAt: number }>();
  #looking: ReturnType<typeof setTimeout> | undefined;
  #endings: ((message: Message) => void)[] = [];
  #departures: ((id: string) => void)[] = [];
  #completing = Promise.resolve();
  #channel = new BroadcastChannel('herald-messages');

  constructor() {
    whenDated((server, asked, answered) => {
      clock.observe(server, asked, answered);
    });
    live.listen((notification) => {
      this.#notified(notification);
    });
    this.#channel.addEventListener('message', ({ data }: MessageEvent<Shared>) => {
      if (data.user !== session.user?.id) return;
      // As old as can be: anything else known of the message replaces it.
      this.#learn({ ...data.message, learnedAt: 0 });
    });
    live.onProgress((progress) => {
      if (progress.type === 'message.changed') this.#progressed(progress.message);
      else if (progress.type === 'message.deleted') this.#leave(progress.message.id);
      else this.#lookSoon();
    });
    // Progress that was published while there was no connection is not repeated.
    live.onLive(() => void this.#lookAgain());
  }

  /** Calls `listener` with each message that ends while the page is open. */
  onEnd(listener: (message: Message) => void): void {
    this.#endings.push(listener);
  }

  /** Calls `listener` with the id of each message that is deleted. */
  onGone(listener: (id: string) => void): void {
    this.#departures.push(listener);
  }

  /** Whether the message is known to be deleted, or not to exist. */
  isGone(id: string): boolean {
    return this.#gone.has(id);
  }

  /** Holds notifications back while `isHeld`: of messages whose send has no response yet, so that nothing shows twice. */
  holdWhile(isHeld: (notification: Notification) => boolean): void {
    this.#isHeld = isHeld;
  }

  /** Handles the notifications that were held back, after the response to a send. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const notification of held) this.#notified(notification);
  }

  get(id: string): Message | undefined {
    const at = position(this.all, id);
    return this.all[at]?.id === id ? this.all[at] : undefined;
  }

  /** The messages of a list, as far as it has no gaps. */
  shown(filter: Filter): readonly Message[] {
    const floor = this.#floor(filter);
    if (floor === undefined) return [];
    if (filter === 'all' && floor === '') return this.all;
    return this.all.filter((message) => message.id >= floor && matches(message, filter));
  }

  /** Whether a list has more pages. */
  hasMore(filter: Filter): boolean {
    return this.readings[filter]?.next !== null;
  }

  /** Whether the list has more than the app can hold. */
  isFull(filter: Filter): boolean {
    return this.readings[filter]?.full === true;
  }

  /** Reads the next page of a list. */
  async more(filter: Filter): Promise<void> {
    const reading = this.readings[filter];
    if (this.loading || reading?.next === null || reading?.full) return;
    await this.#read(filter, reading?.next);
  }

  /** Reads the newest page again, with messages that other clients sent. */
  async refresh(filter: Filter): Promise<void> {
    if (!this.loading) await this.#read(filter, undefined);
  }

  async #read(filter: Filter, before: string | undefined): Promise<void> {
    this.loading = true;
    this.problem = undefined;
    try {
      // Notifications begin at this cursor. An older list could lack messages that ended before it.
      await live.firstCursor();
      const asked = performance.now();
      const query = { limit: PAGE, ...(filter !== 'all' && { status: filter }), ...(before !== undefined && { before }) };
      const page = await call(api.GET('/messages', { params: { query } }));
      for (const item of page.items) this.#learn(ofApi(item, asked));
      this.#apply();
      const last = page.items.at(-1)?.id ?? '';
      const next = page.next ?? null;
      const known = this.readings[filter];
      // The newest page again. It overlaps with the older pages, which stay.
      const isKnown = before === undefined && known?.next !== undefined && last >= known.floor && next !== null;
      if (!isKnown) this.readings = { ...this.readings, [filter]: { floor: next === null ? '' : last, next } };
      this.#trim(filter);
    } catch (error) {
      this.problem = say(error);
    } finally {
      this.loading = false;
    }
  }

  /** Adds a message that the server has accepted. */
  accepted(accepted: Schemas['AcceptedMessage'], body: string, key: string, asked: number): Message {
    const message = ofAccepted(accepted, body, key, asked);
    this.#learn(message);
    this.#draw();
    const user = session.user?.id;
    if (user !== undefined) this.#channel.postMessage({ user, message } satisfies Shared);
    return message;
  }

  /** All details of a message. */
  async details(id: string): Promise<Schemas['MessageDetails']> {
    const asked = performance.now();
    try {
      const details = await call(api.GET('/messages/{id}', { params: { path: { id } } }));
      this.#learn(ofApi(details, asked));
      return details;
    } catch (error) {
      if (isMissing(error)) this.#leave(id);
      throw error;
    }
  }

  /** @throws {Problem} `not_queued` if it is too late. */
  async cancel(id: string): Promise<void> {
    // With `status`, as a message that has ended meanwhile would be deleted.
    await call(api.DELETE('/messages/{id}', { params: { path: { id }, query: { status: 'queued' } } }));
    const known = this.#changes.get(id) ?? this.get(id);
    if (known === undefined) return;
    this.#learn({ ...known, status: 'cancelled', processedAt: clock.serverNow(), learnedAt: performance.now() });
  }

  /**
   * Deletes a message that has ended.
   *
   * @param status the status that the reader sees. @throws {Problem} `wrong_status` if it has another by now.
   */
  async delete(id: string, status: Status): Promise<void> {
    try {
      await call(api.DELETE('/messages/{id}', { params: { path: { id }, query: { status } } }));
    } catch (error) {
      // Deleted already.
      if (!isMissing(error)) throw error;
    }
    this.#leave(id);
    this.#draw();
  }

  /** Removes a message that was deleted, by this client or another. */
  #leave(id: string): void {
    if (this.#gone.has(id)) return;
    this.#gone.add(id);
    this.#changes.delete(id);
    this.#early.delete(id);
    this.#leaving.add(id);
    this.#drawSoon();
    for (const listener of this.#departures) listener(id);
  }

  #notified(notification: Notification): void {
    const { id, deleted } = notification.message;
    if (deleted === true) this.#leave(id);
    if (this.#gone.has(id)) return;
    const known = this.#changes.get(id) ?? this.get(id);
    if (known === undefined && this.#isHeld(notification)) {
      this.#held.push(notification);
      return;
    }
    const message = ofNotification(notification, clock.serverNow(), performance.now(), known);
    if (notification.message.omitted === undefined) this.#ended(message);
    // In turn, as many may come at once.
    else this.#completing = this.#completing.then(() => this.#complete(message));
  }

  /** Reads the texts that a notification left out. */
  async #complete(ended: Message): Promise<void> {
    try {
      const asked = performance.now();
      const whole = ofApi(await call(api.GET('/messages/{id}', { params: { path: { id: ended.id } } })), asked);
      // It may have been retried since.
      if (isOpen(whole)) this.#learn(whole);
      else this.#ended({ ...whole, deliveredAt: whole.deliveredAt ?? ended.deliveredAt });
    } catch (error) {
      if (isMissing(error)) this.#leave(ended.id);
      // Without the texts. They are read when the message is opened.
      this.#ended(ended);
    }
  }

  #ended(message: Message): void {
    if (this.#gone.has(message.id)) return;
    this.#learn(message);
    for (const listener of this.#endings) listener(message);
  }

  #learn(news: Message): void {
    if (this.#gone.has(news.id)) return;
    const known = this.#changes.get(news.id) ?? this.get(news.id);
    const now = merged(known, known === undefined ? this.#afterEarly(news) : news);
    if (now === known) return;
    this.#changes.set(news.id, now);
    this.#drawSoon();
  }

  #drawSoon(): void {
    this.#drawing ??= setTimeout(() => {
      this.#draw();
    }, DRAW_MS);
  }

  #draw(): void {
    this.#apply();
    this.#trim();
  }

  #apply(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    if (this.#changes.size > 0 || this.#leaving.size > 0) {
      this.all = withChanges(this.all, this.#changes.values(), this.#leaving);
      this.#changes.clear();
      this.#leaving.clear();
    }
  }

  #floor(filter: Filter): string | undefined {
    const floors = [this.readings.all, this.readings[filter]].flatMap((reading) =>
      reading?.next === undefined ? [] : [reading.floor],
    );
    return floors.sort()[0];
  }

  /** Forgets messages beyond the bound. `reading`: the list that is being read. */
  #trim(reading?: Filter): void {
    const kept = bounded(this, reading);
    if (kept === this) return;
    this.all = kept.all;
    this.readings = kept.readings;
  }

  /** A new message, brought up to date by progress that came before it. */
  #afterEarly(message: Message): Message {
    const early = this.#early.get(message.id);
    this.#early.delete(message.id);
    if (early === undefined || early.heardAt < message.learnedAt) return message;
    return progressed(message, early.progress, early.heardAt) ?? message;
  }

  #progressed(progress: Progress): void {
    if (this.#gone.has(progress.id)) return;
    const known = this.#changes.get(progress.id) ?? this.get(progress.id);
    if (known === undefined) {
      // From another client; or from here, before the response to the send.
      this.#early.set(progress.id, { progress, heardAt: performance.now() });
      const [oldest] = this.#early.keys();
      if (this.#early.size > EARLY && oldest !== undefined) this.#early.delete(oldest);
      return;
    }
    const now = progressed(known, progress, performance.now());
    if (now !== undefined) this.#learn(now);
    // An administrator retried it, or the progress is late.
    else void this.details(progress.id).catch(() => undefined);
  }

  #lookSoon(): void {
    if (this.#looking !== undefined) return;
    this.#looking = setTimeout(() => {
      this.#looking = undefined;
      void this.#lookAgain();
    }, Math.random() * SPREAD_MS);
  }

  /** Reads again the messages that had not ended. */
  async #lookAgain(): Promise<void> {
    const open = new Set(this.all.filter(isOpen).map(({ id }) => id));
    const oldest = this.all.findLast(isOpen)?.id;
    if (oldest === undefined) return;
    try {
      let before: string | undefined;
      for (let page = 0; page < PAGES_AGAIN; page++) {
        const asked = performance.now();
        const query = { status: 'queued' as const, limit: PAGE, ...(before !== undefined && { before }) };
        const { items, next } = await call(api.GET('/messages', { params: { query } }));
        for (const item of items) {
          this.#learn(ofApi(item, asked));
          open.delete(item.id);
        }
        if (next == null || next < oldest) break;
        before = next;
      }
      // These are no longer queued: they are being processed, or have ended.
      for (const id of [...open].slice(0, ONE_BY_ONE)) {
        await this.details(id).catch((error: unknown) => {
          if (!isMissing(error)) throw error;
        });
      }
    } catch {
      // They are read again with the next connection.
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Problem && error.code === 'not_found';
}

export const messages = new Messages();

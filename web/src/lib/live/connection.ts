/**
 * The way to the inbox: connects, resumes behind the last number seen, and tries again with pauses that grow. A link that is
 * about to end by the server's will is followed by another one, opened before: nobody notices.
 *
 * It knows neither MQTT nor the DOM: both are given to it, so that tests can play them.
 */
import { backoff } from './backoff';

/**
 * - `idle`: not wanted.
 * - `connecting`: a try is under way.
 * - `live`: notifications come as they happen.
 * - `waiting`: the last try failed; the next one is at `nextTryAt`.
 * - `offline`: as `waiting`, and the device says that it has no network.
 */
export type LiveState = 'idle' | 'connecting' | 'live' | 'waiting' | 'offline';

/** One connection. */
export interface Link {
  /** By `Date.now()`: the server ends it then. Undefined: it does not, or its end need not be forestalled. */
  readonly until?: number | undefined;
  close(): void;
  /** Finds out soon whether the other end still answers; if not, the link is closed. */
  check(): void;
}

/** Two links that stand at the same time have different ones. */
export type Side = 0 | 1;

/** A place in the inbox. Numbers are comparable within one epoch: a server whose backup was restored begins another. */
export interface Place {
  epoch: string;
  seq: number;
}

export interface LinkEvents<T> {
  /** Subscribed: what comes next is live. */
  live(): void;
  received(place: Place, item: T): void;
  /** Ended, or never came about. `why`: if the server refused it. */
  closed(why?: unknown): void;
}

export interface Ways<T> {
  /** The place after which to begin: asked once, before the first connection. */
  position(): Promise<Place>;
  /**
   * Opens a link that begins behind `after`. A rejection is a failed try. One that is to follow another that still stands
   * is on the other `side`.
   */
  open(after: Place, events: LinkEvents<T>, side: Side): Promise<Link>;
  /** Whether the device has a network, as far as it knows. */
  online(): boolean;
  /** Whether no try can succeed any more: the session has ended. */
  hopeless(error: unknown): boolean;
  /** How long to wait at least after a try that failed so, in milliseconds. */
  pauseAfter?(why: unknown): number;
  random?: () => number;
}

/** A link that held for so long was a good one: pauses begin anew. */
const GOOD_MS = 10_000;
/** So long before its end a link is followed by another one: timers of hidden tabs are late by a minute. */
const AHEAD_MS = 5 * 60_000;
/** Not sooner after it was opened, whatever the device's clock says; nor later than a timer can count. */
const SOONEST_MS = 5 * 60_000;
const LATEST_MS = 24 * 60 * 60_000;
/** When the next one could not be opened, it is tried again after so long. */
const AGAIN_MS = 60_000;

/** A try, and the link that comes of it. What a former one still says is not heard. */
interface Way {
  readonly side: Side;
  link?: Link;
  liveSince: number;
}

export class Connection<T> {
  state: LiveState = 'idle';
  /** By `Date.now()`; while `waiting`. */
  nextTryAt: number | undefined;
  /** Why the last try failed, until one succeeds. */
  why: unknown;

  readonly #ways: Ways<T>;
  readonly #changed: () => void;
  readonly #received: (item: T, seq: number) => void;
  #seen: Place | undefined;
  #failures = 0;
  /** For the next try, or for the next renewal. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #way: Way | undefined;
  /** Is to follow `#way`. */
  #next: Way | undefined;

  constructor(ways: Ways<T>, changed: () => void, received: (item: T, seq: number) => void) {
    this.#ways = ways;
    this.#changed = changed;
    this.#received = received;
  }

  /** The last place seen. */
  get seen(): Place | undefined {
    return this.#seen;
  }

  start(): void {
    if (this.state === 'idle') void this.#connect();
  }

  /** Ends it. The next start goes on behind what was seen. */
  stop(): void {
    this.#drop();
    this.#failures = 0;
    this.#become('idle');
  }

  /** Does not wait for the next try. */
  tryNow(): void {
    if (this.state === 'waiting' || this.state === 'offline') void this.#connect();
  }

  /** The device has a network again, or has none any more. */
  networkChanged(): void {
    if (this.state === 'idle') return;
    if (this.#ways.online()) this.tryNow();
    else if (this.state !== 'offline') {
      this.#drop();
      this.#wait();
    }
  }

  /** The device may have slept: whatever the state says may be long over. */
  woke(): void {
    if (this.state === 'live') this.#way?.link?.check();
    else this.tryNow();
  }

  async #connect(): Promise<void> {
    this.#drop();
    const way: Way = { side: 0, liveSince: Number.POSITIVE_INFINITY };
    this.#way = way;
    this.#become('connecting');
    try {
      const begin = this.#seen ?? (await this.#ways.position());
      if (this.#isOver(way)) return;
      this.#seen = begin;
      await this.#open(way);
    } catch (error) {
      if (this.#isOver(way)) return;
      this.#drop();
      if (this.#ways.hopeless(error)) this.#become('idle');
      else this.#wait(error);
    }
  }

  /** Opens another link beside the one that stands; when it is live, that one is closed. */
  async #renew(): Promise<void> {
    if (this.#way === undefined) return;
    const way: Way = { side: this.#way.side === 0 ? 1 : 0, liveSince: Number.POSITIVE_INFINITY };
    this.#next = way;
    try {
      await this.#open(way);
    } catch {
      if (!this.#isOver(way)) this.#renewAgain();
    }
  }

  async #open(way: Way): Promise<void> {
    const events: LinkEvents<T> = {
      live: () => {
        if (this.#isOver(way)) return;
        way.liveSince = Date.now();
        if (way === this.#next) this.#follow(way);
        else this.#become('live');
        this.#renewInTime(way);
      },
      received: (place, item) => {
        if (this.#isOver(way)) return;
        // What was seen of another epoch is forgotten.
        if (place.epoch === this.#seen?.epoch && place.seq <= this.#seen.seq) return;
        this.#seen = place;
        this.#received(item, place.seq);
      },
      closed: (why) => {
        if (this.#isOver(way)) return;
        if (way === this.#next) {
          this.#renewAgain();
          return;
        }
        if (Date.now() - way.liveSince >= GOOD_MS) this.#failures = 0;
        this.#drop();
        this.#wait(why);
      },
    };
    const link = await this.#ways.open(this.#seen ?? { epoch: '', seq: 0 }, events, way.side);
    if (this.#isOver(way)) {
      link.close();
      return;
    }
    way.link = link;
    this.#renewInTime(way);
  }

  #isOver(way: Way): boolean {
    return way !== this.#way && way !== this.#next;
  }

  #follow(way: Way): void {
    const former = this.#way;
    this.#way = way;
    this.#next = undefined;
    former?.link?.close();
  }

  #renewInTime({ link, liveSince }: Way): void {
    if (link?.until === undefined || liveSince === Number.POSITIVE_INFINITY) return;
    const pause = Math.min(Math.max(link.until - Date.now() - AHEAD_MS, SOONEST_MS), LATEST_MS);
    this.#renewAfter(pause);
  }

  #renewAgain(): void {
    const failed = this.#next;
    this.#next = undefined;
    failed?.link?.close();
    this.#renewAfter(AGAIN_MS);
  }

  #renewAfter(pause: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#renew(), pause);
  }

  #wait(why?: unknown): void {
    const pause = Math.max(backoff(this.#failures++, this.#ways.random), this.#ways.pauseAfter?.(why) ?? 0);
    this.why = why;
    this.nextTryAt = Date.now() + pause;
    this.#timer = setTimeout(() => void this.#connect(), pause);
    this.#become(this.#ways.online() ? 'waiting' : 'offline');
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const former = [this.#way, this.#next];
    this.#way = this.#next = undefined;
    for (const way of former) way?.link?.close();
  }

  #become(state: LiveState): void {
    this.state = state;
    if (state !== 'waiting' && state !== 'offline') this.nextTryAt = undefined;
    if (state === 'live' || state === 'idle') this.why = undefined;
    this.#changed();
  }
}

/**
 * A lasting connection to an inbox: resumes after the last number seen, and reconnects with pauses that grow. Before the
 * server ends a link, another link is opened that takes over without a gap.
 *
 * It knows neither MQTT nor the DOM: both are passed in, so that tests can stand in for them.
 */
import { backoff } from './backoff';

/**
 * - `idle`: not started.
 * - `connecting`: an attempt is under attempt.
 * - `live`: notifications come as they happen.
 * - `waiting`: the last attempt failed; the next is at `nextTryAt`.
 * - `offline`: as `waiting`, and the device says that it has no network.
 */
export type LiveState = 'idle' | 'connecting' | 'live' | 'waiting' | 'offline';

/** A connection to the server. */
export interface Link {
  /** When the server ends the link, by `Date.now()`. Undefined: no other link is to be opened before that. */
  readonly until?: number | undefined;
  close(): void;
  /** Closes the link unless the other end responds soon. */
  check(): void;
}

/** Tells two links apart that are open at the same time. */
export type Side = 0 | 1;

/** How far an inbox has been read. Numbers are comparable within one epoch: a server whose backup was restored begins another. */
export interface InboxCursor {
  epoch: string;
  seq: number;
}

export interface LinkEvents<T> {
  /** Subscribed: notifications from now on are live. */
  live(): void;
  received(cursor: InboxCursor, item: T): void;
  /** The link ended, or could not be opened. `why`: if the server refused it. */
  closed(why?: unknown): void;
}

/** The functions that a connection calls. */
export interface ConnectionHost<T> {
  /** The cursor after which to begin: asked for once, before the first connection. */
  firstCursor(): Promise<InboxCursor>;
  /**
   * Opens a link that begins after `after`. A rejection is a failed attempt. A link that is opened while another is still
   * open has the other `side`.
   */
  open(after: InboxCursor, events: LinkEvents<T>, side: Side): Promise<Link>;
  /** Whether the device has a network, as far as it knows. */
  online(): boolean;
  /** Whether no attempt can succeed any more, as the session has ended. */
  hopeless(error: unknown): boolean;
  /** How long to wait at least after an attempt that failed so, in milliseconds. */
  pauseAfter?(why: unknown): number;
  random?: () => number;
}

/** After a link that lasted this long, pauses begin anew. */
const GOOD_MS = 10_000;
/** How long before the end of a link the next is opened: timers of hidden tabs may be late by a minute. */
const AHEAD_MS = 5 * 60_000;
/** Bounds of the time from the opening of one link to the next: the device's clock may be wrong, and timers have a limit. */
const SOONEST_MS = 5 * 60_000;
const LATEST_MS = 24 * 60 * 60_000;
/** How long to wait when the next link could not be opened. */
const AGAIN_MS = 60_000;

/** An attempt to connect, with its link once that is open. Events of a former attempt are ignored. */
interface Attempt {
  readonly side: Side;
  link?: Link;
  liveSince: number;
}

export class Connection<T> {
  state: LiveState = 'idle';
  /** By `Date.now()`; while `waiting`. */
  nextTryAt: number | undefined;
  /** Why the last attempt failed, until an attempt succeeds. */
  why: unknown;

  readonly #host: ConnectionHost<T>;
  readonly #changed: () => void;
  readonly #received: (item: T, seq: number) => void;
  #seen: InboxCursor | undefined;
  #failures = 0;
  /** For the next attempt, or for the next renewal. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #current: Attempt | undefined;
  /** Takes over from `#current` once it is live. */
  #next: Attempt | undefined;

  constructor(host: ConnectionHost<T>, changed: () => void, received: (item: T, seq: number) => void) {
    this.#host = host;
    this.#changed = changed;
    this.#received = received;
  }

  /** The last cursor seen. */
  get seen(): InboxCursor | undefined {
    return this.#seen;
  }

  start(): void {
    if (this.state === 'idle') void this.#connect();
  }

  /** Disconnects. The next start resumes after the last cursor seen. */
  stop(): void {
    this.#drop();
    this.#failures = 0;
    this.#become('idle');
  }

  /** Connects now, instead of waiting for the next attempt. */
  tryNow(): void {
    if (this.state === 'waiting' || this.state === 'offline') void this.#connect();
  }

  /** The device has a network again, or has none any more. */
  networkChanged(): void {
    if (this.state === 'idle') return;
    if (this.#host.online()) this.tryNow();
    else if (this.state !== 'offline') {
      this.#drop();
      this.#wait();
    }
  }

  /** Checks a connection that may have ended unnoticed, as the device may have slept. */
  woke(): void {
    if (this.state === 'live') this.#current?.link?.check();
    else this.tryNow();
  }

  async #connect(): Promise<void> {
    this.#drop();
    const attempt: Attempt = { side: 0, liveSince: Number.POSITIVE_INFINITY };
    this.#current = attempt;
    this.#become('connecting');
    try {
      const begin = this.#seen ?? (await this.#host.firstCursor());
      if (this.#isOver(attempt)) return;
      this.#seen = begin;
      await this.#open(attempt);
    } catch (error) {
      if (this.#isOver(attempt)) return;
      this.#drop();
      if (this.#host.hopeless(error)) this.#become('idle');
      else this.#wait(error);
    }
  }

  /** Opens another link beside the current one, which is closed once the other is live. */
  async #renew(): Promise<void> {
    if (this.#current === undefined) return;
    const attempt: Attempt = { side: this.#current.side === 0 ? 1 : 0, liveSince: Number.POSITIVE_INFINITY };
    this.#next = attempt;
    try {
      await this.#open(attempt);
    } catch {
      if (!this.#isOver(attempt)) this.#renewAgain();
    }
  }

  async #open(attempt: Attempt): Promise<void> {
    const events: LinkEvents<T> = {
      live: () => {
        if (this.#isOver(attempt)) return;
        attempt.liveSince = Date.now();
        if (attempt === this.#next) this.#takeOver(attempt);
        else this.#become('live');
        this.#renewInTime(attempt);
      },
      received: (cursor, item) => {
        if (this.#isOver(attempt)) return;
        // Numbers of another epoch do not count.
        if (cursor.epoch === this.#seen?.epoch && cursor.seq <= this.#seen.seq) return;
        this.#seen = cursor;
        this.#received(item, cursor.seq);
      },
      closed: (why) => {
        if (this.#isOver(attempt)) return;
        if (attempt === this.#next) {
          this.#renewAgain();
          return;
        }
        if (Date.now() - attempt.liveSince >= GOOD_MS) this.#failures = 0;
        this.#drop();
        this.#wait(why);
      },
    };
    const link = await this.#host.open(this.#seen ?? { epoch: '', seq: 0 }, events, attempt.side);
    if (this.#isOver(attempt)) {
      link.close();
      return;
    }
    attempt.link = link;
    this.#renewInTime(attempt);
  }

  #isOver(attempt: Attempt): boolean {
    return attempt !== this.#current && attempt !== this.#next;
  }

  #takeOver(attempt: Attempt): void {
    const former = this.#current;
    this.#current = attempt;
    this.#next = undefined;
    former?.link?.close();
  }

  #renewInTime({ link, liveSince }: Attempt): void {
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
    const pause = Math.max(backoff(this.#failures++, this.#host.random), this.#host.pauseAfter?.(why) ?? 0);
    this.why = why;
    this.nextTryAt = Date.now() + pause;
    this.#timer = setTimeout(() => void this.#connect(), pause);
    this.#become(this.#host.online() ? 'waiting' : 'offline');
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const former = [this.#current, this.#next];
    this.#current = this.#next = undefined;
    for (const attempt of former) attempt?.link?.close();
  }

  #become(state: LiveState): void {
    this.state = state;
    if (state !== 'waiting' && state !== 'offline') this.nextTryAt = undefined;
    if (state === 'live' || state === 'idle') this.why = undefined;
    this.#changed();
  }
}

/**
 * The way to the inbox: connects, resumes behind the last number seen, and tries again with pauses that grow.
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
  close(): void;
  /** Finds out soon whether the other end still answers; if not, the link is closed. */
  check(): void;
}

export interface LinkEvents<T> {
  /** Subscribed: what comes next is live. */
  live(): void;
  received(seq: number, item: T): void;
  /** Ended, or never came about. */
  closed(): void;
}

export interface Ways<T> {
  /** The number after which to begin: asked once, before the first connection. */
  position(): Promise<number>;
  /** Opens a link that begins behind `after`. A rejection is a failed try. */
  open(after: number, events: LinkEvents<T>): Promise<Link>;
  /** Whether the device has a network, as far as it knows. */
  online(): boolean;
  /** Whether no try can succeed any more: the session has ended. */
  hopeless(error: unknown): boolean;
  random?: () => number;
}

/** A link that held for so long was a good one: pauses begin anew. */
const GOOD_MS = 10_000;

export class Connection<T> {
  state: LiveState = 'idle';
  /** By `Date.now()`; while `waiting`. */
  nextTryAt: number | undefined;

  readonly #ways: Ways<T>;
  readonly #changed: () => void;
  readonly #received: (item: T, seq: number) => void;
  #seen: number | undefined;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #link: Link | undefined;
  /** Counts tries: what a former one still says is not heard. */
  #try = 0;

  constructor(ways: Ways<T>, changed: () => void, received: (item: T, seq: number) => void) {
    this.#ways = ways;
    this.#changed = changed;
    this.#received = received;
  }

  /** The last number seen. */
  get seen(): number | undefined {
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
    if (this.state === 'live') this.#link?.check();
    else this.tryNow();
  }

  async #connect(): Promise<void> {
    this.#drop();
    const turn = this.#try;
    const isOver = () => turn !== this.#try;
    this.#become('connecting');
    let liveSince = Number.POSITIVE_INFINITY;
    try {
      const begin = this.#seen ?? (await this.#ways.position());
      if (isOver()) return;
      this.#seen = begin;
      const link = await this.#ways.open(begin, {
        live: () => {
          if (isOver()) return;
          liveSince = Date.now();
          this.#become('live');
        },
        received: (seq, item) => {
          if (isOver() || seq <= (this.#seen ?? 0)) return;
          this.#seen = seq;
          this.#received(item, seq);
        },
        closed: () => {
          if (isOver()) return;
          if (Date.now() - liveSince >= GOOD_MS) this.#failures = 0;
          this.#drop();
          this.#wait();
        },
      });
      if (isOver()) link.close();
      else this.#link = link;
    } catch (error) {
      if (isOver()) return;
      this.#drop();
      if (this.#ways.hopeless(error)) this.#become('idle');
      else this.#wait();
    }
  }

  #wait(): void {
    const pause = backoff(this.#failures++, this.#ways.random);
    this.nextTryAt = Date.now() + pause;
    this.#timer = setTimeout(() => void this.#connect(), pause);
    this.#become(this.#ways.online() ? 'waiting' : 'offline');
  }

  #drop(): void {
    this.#try += 1;
    clearTimeout(this.#timer);
    this.#link?.close();
    this.#link = undefined;
  }

  #become(state: LiveState): void {
    this.state = state;
    if (state !== 'waiting' && state !== 'offline') this.nextTryAt = undefined;
    this.#changed();
  }
}

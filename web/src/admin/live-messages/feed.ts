/**
 * A bounded list, newest first. Items that arrive are shown with the next frame. While the feed is paused, or the page hidden,
 * they wait, bounded too.
 */
export class Feed<T> {
  /** Newest first. Each change makes a new array. */
  items: readonly T[] = [];
  /** How many came since it was paused. */
  waiting = 0;

  readonly bound: number;
  readonly #changed: () => void;
  readonly #schedule: (run: () => void) => void;
  /** Oldest first. */
  #arriving: T[] = [];
  #paused = false;
  #scheduled = false;

  /** `schedule` runs its argument with the next frame. */
  constructor(bound: number, changed: () => void, schedule: (run: () => void) => void) {
    this.bound = bound;
    this.#changed = changed;
    this.#schedule = schedule;
  }

  get paused(): boolean {
    return this.#paused;
  }

  add(item: T): void {
    this.#arriving.push(item);
    // Frames do not come while the page is hidden. Twice the bound, so that it is not cut each time.
    if (this.#arriving.length > 2 * this.bound) this.#arriving = this.#arriving.slice(-this.bound);
    if (this.#paused) this.waiting += 1;
    this.#soon();
  }

  pause(): void {
    this.#paused = true;
    this.#changed();
  }

  resume(): void {
    this.#paused = false;
    this.waiting = 0;
    this.#show();
  }

  clear(): void {
    this.items = [];
    this.#arriving = [];
    this.waiting = 0;
    this.#changed();
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#show();
    });
  }

  #show(): void {
    if (!this.#paused && this.#arriving.length > 0) {
      this.items = [...this.#arriving.reverse(), ...this.items].slice(0, this.bound);
      this.#arriving = [];
    }
    this.#changed();
  }
}

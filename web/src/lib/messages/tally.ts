/** Counts events, so that a screen reader announces them together in a sentence. */

/** The time between two sentences. */
export const PACE_MS = 1000;

export class Tally<K> {
  readonly #say: (counts: ReadonlyMap<K, number>) => void;
  #counts = new Map<K, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `say` gets the number of each kind: at once, then once a second at most; and an empty map when nothing more came. */
  constructor(say: (counts: ReadonlyMap<K, number>) => void) {
    this.#say = say;
  }

  add(kind: K): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    if (this.#timer === undefined) this.#tell();
  }

  #tell(): void {
    const counts = this.#counts;
    this.#counts = new Map();
    this.#say(counts);
    this.#timer = counts.size === 0 ? undefined : setTimeout(() => {
      this.#tell();
    }, PACE_MS);
  }
}

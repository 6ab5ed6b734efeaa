/** Ids of messages that were deleted: what comes late of one does not bring it back. */
import { SvelteSet } from 'svelte/reactivity';

/** An answer that is older than the deletion is not older than so many deletions. */
const MOST = 10_000;

export class Gone {
  readonly #ids = new SvelteSet<string>();
  readonly #most: number;

  constructor(most = MOST) {
    this.#most = most;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > this.#most && oldest !== undefined) this.#ids.delete(oldest);
  }
}

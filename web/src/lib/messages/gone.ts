/** Ids of deleted messages: late news of a message does not bring it back. */
import { SvelteSet } from 'svelte/reactivity';

/** How many ids are kept: a response that still lists a message was requested fewer deletions ago. */
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

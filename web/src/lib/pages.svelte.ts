/** A list that the API gives page by page. */
import { say } from './say';

interface Page<T, C> {
  items: T[];
  next?: C | null;
}

/** `read` gets the cursor of the page, `undefined` for the first, and a signal to abort. */
export class Pages<T, C = string> {
  items = $state.raw<readonly T[]>([]);
  loading = $state(false);
  /** Why the last page could not be read. */
  problem = $state<string | undefined>();
  /** Whether the first page is here. */
  read = $state(false);
  #next = $state.raw<C | null>(null);
  readonly #read: (cursor: C | undefined, signal?: AbortSignal) => Promise<Page<T, C>>;
  #turn = 0;

  constructor(read: (cursor: C | undefined, signal?: AbortSignal) => Promise<Page<T, C>>) {
    this.#read = read;
  }

  get hasMore(): boolean {
    return this.#next !== null;
  }

  /**
   * The first page, in the place of all that was read. With a signal it is read behind the reader's back: nothing shows
   * until it is here.
   */
  async load(signal?: AbortSignal): Promise<void> {
    await this.#add([], undefined, signal);
  }

  /** As `load`, for another list: drops the items of the old list at once. */
  restart(): void {
    this.items = [];
    this.#next = null;
    this.read = false;
    this.problem = undefined;
    void this.load();
  }

  async more(): Promise<void> {
    if (this.#next !== null && !this.loading) await this.#add(this.items, this.#next);
  }

  async #add(before: readonly T[], cursor: C | undefined, signal?: AbortSignal): Promise<void> {
    const turn = ++this.#turn;
    if (signal === undefined) {
      this.loading = true;
      this.problem = undefined;
    }
    try {
      const page = await this.#read(cursor, signal);
      if (turn !== this.#turn || signal?.aborted) return;
      this.items = [...before, ...page.items];
      this.#next = page.next ?? null;
      this.read = true;
      this.problem = undefined;
    } catch (error) {
      if (turn === this.#turn && !signal?.aborted) this.problem = say(error);
    } finally {
      if (turn === this.#turn) this.loading = false;
    }
  }
}

/**
 * The user to whom a document belongs: the first who is signed in on it, until it is left. Does not use the DOM, for tests.
 */

/** The reaction to news of a user: go on, ask the server who is signed in, or leave the page. */
export type Next = 'stay' | 'ask' | 'leave';

export class Owner {
  #id: string | undefined;
  #turn = 0;

  get isKnown(): boolean {
    return this.#id !== undefined;
  }

  /** The server says that this user is signed in. */
  isOf(user: string): Next {
    this.#id ??= user;
    return this.#id === user ? 'stay' : 'leave';
  }

  /** Another tab signed in: its session is new, even if the user is the same. */
  signedIn(user: string): Next {
    return this.#id === undefined || this.#id === user ? 'ask' : 'leave';
  }

  /** Begins a request. Responses to earlier ones are outdated from now on. */
  turn(): number {
    return ++this.#turn;
  }

  isNow(turn: number): boolean {
    return turn === this.#turn;
  }
}

/** Who is signed in. */
import { api, call, setCsrfToken, whenForbidden, whenSignedOut, type Schemas } from './api/client';
import { Problem } from './api/problem';

export type User = Schemas['User'];

/**
 * - `loading`: nobody knows yet.
 * - `unreachable`: the server did not say.
 * - `out`: nobody; `why` says whether somebody was.
 * - `in`: `user` is.
 */
type State = 'loading' | 'unreachable' | 'out' | 'in';

class Session {
  state = $state<State>('loading');
  user = $state.raw<User | undefined>();
  /** `ended`: it ended without being asked to; one goes on where one was. */
  why = $state<'ended' | 'signed out' | undefined>();
  /** Whether admin/admin stands. Only administrators are told. */
  defaultPassword = $state(false);
  readonly isAdmin = $derived(this.user?.role === 'admin');
  /** Whether this user was an administrator while signed in here, and is none any more. */
  demoted = $state(false);

  #closing: (() => void)[] = [];
  #opening: ((user: User) => void)[] = [];
  #last: string | undefined;
  /** Counts who comes and goes, and questions: what was asked before is not heard after. */
  #turn = 0;
  #channel: BroadcastChannel | undefined;

  constructor() {
    whenSignedOut(() => {
      if (this.state === 'in') this.#close('ended');
    });
    // The role is another one than we know.
    whenForbidden(() => {
      if (this.isAdmin) void this.load();
    });
    if ('BroadcastChannel' in globalThis) {
      this.#channel = new BroadcastChannel('herald-session');
      // Another tab signed in or out: the cookie is everyone's.
      this.#channel.addEventListener('message', () => void this.load());
    }
  }

  /** Called with each user who signs in; `end` is called before another one can. */
  onOpen(open: (user: User) => void, close: () => void): void {
    this.#opening.push(open);
    this.#closing.push(close);
  }

  /** Whether this user is another one than before: nothing of theirs may be seen. */
  isAnother(user: User): boolean {
    return this.#last !== undefined && this.#last !== user.id;
  }

  /** Asks the server who is signed in. */
  async load(): Promise<void> {
    const turn = ++this.#turn;
    try {
      const answer = await call(api.GET('/auth/session'));
      if (turn === this.#turn) this.#open(answer);
    } catch (error) {
      if (turn !== this.#turn) return;
      if (error instanceof Problem && error.status === 401) {
        if (this.state === 'in') this.#close('ended');
        else this.state = 'out';
      } else if (this.state !== 'in') this.state = 'unreachable';
    }
  }

  /** @throws what the server refused. */
  async signIn(username: string, password: string): Promise<void> {
    this.#open(await call(api.POST('/auth/login', { body: { username, password } })));
    this.#channel?.postMessage('in');
  }

  /** @throws if the server could not be asked. */
  async signOut(): Promise<void> {
    await call(api.POST('/auth/logout'));
    this.#close('signed out');
    this.#last = undefined;
    this.#channel?.postMessage('out');
  }

  /** Asks again whether admin/admin stands. */
  async refresh(): Promise<void> {
    const answer = await call(api.GET('/auth/session'));
    this.defaultPassword = answer.default_password;
  }

  #open(answer: Schemas['Session']): void {
    setCsrfToken(answer.csrf_token ?? null);
    this.defaultPassword = answer.default_password;
    const before = this.user;
    if (this.state === 'in' && before?.id === answer.user.id) {
      this.demoted = answer.user.role !== 'admin' && (this.demoted || before.role === 'admin');
      this.user = answer.user;
      return;
    }
    if (this.state === 'in') this.#close('ended');
    this.#turn += 1;
    this.user = answer.user;
    this.demoted = false;
    this.why = undefined;
    for (const open of this.#opening) open(answer.user);
    this.#last = answer.user.id;
    this.state = 'in';
  }

  #close(why: 'ended' | 'signed out'): void {
    this.#turn += 1;
    setCsrfToken(null);
    this.why = why;
    this.state = 'out';
    this.user = undefined;
    this.defaultPassword = false;
    for (const close of this.#closing) close();
  }
}

export const session = new Session();

/**
 * Who is signed in.
 *
 * A document belongs to one user for as long as it lives. With another one, and after signing out, it is loaded anew: so
 * nothing that one user saw, wrote or still waits for can reach the next one, whichever answer comes late.
 */
import { api, call, setCsrfToken, whenForbidden, whenSignedOut, whenStale, type Schemas } from './api/client';
import { Problem } from './api/problem';
import { Owner, type Next } from './owner';

export type User = Schemas['User'];

/**
 * - `loading`: not known yet, or the page is being left.
 * - `unreachable`: the server did not respond.
 * - `out`: nobody is signed in; `why` says whether somebody was.
 * - `in`: `user` is signed in.
 */
type SignInState = 'loading' | 'unreachable' | 'out' | 'in';

/** Messages between tabs, which share the cookie. */
type TabMessage = { is: 'out' } | { is: 'in'; user: string };

/** Set when a user signs out, for the page that is loaded next. */
const SIGNED_OUT = 'herald-signed-out';

class Session {
  state = $state<SignInState>('loading');
  user = $state.raw<User | undefined>();
  /** `ended`: without the user's doing; after signing in, the user continues on the same page. */
  why = $state<'ended' | 'signed out' | undefined>();
  /** Whether the account admin still has the password admin. The server says so to administrators only. */
  defaultPassword = $state(false);
  readonly isAdmin = $derived(this.user?.role === 'admin');
  /** Whether this user was an administrator while signed in here, and is none any more. */
  demoted = $state(false);

  #owner = new Owner();
  #opening: ((user: User) => void)[] = [];
  #closing: (() => void)[] = [];
  #leaving: (() => void)[] = [];
  #asked: Promise<void> | undefined;
  #channel = new BroadcastChannel('herald-session');

  constructor() {
    if (sessionStorage.getItem(SIGNED_OUT) !== null) this.why = 'signed out';
    sessionStorage.removeItem(SIGNED_OUT);
    whenSignedOut(() => {
      this.#end();
    });
    // The user's role has changed.
    whenForbidden(() => {
      if (this.isAdmin) void this.load();
    });
    whenStale(async () => {
      // Another session has replaced the page's own in this browser.
      await this.load();
      return this.state === 'in';
    });
    this.#channel.addEventListener('message', ({ data }: MessageEvent<TabMessage>) => {
      if (data.is === 'in') this.#go(this.#owner.signedIn(data.user));
      else if (this.#owner.isKnown) this.#leave({ signedOut: true });
    });
    document.addEventListener('visibilitychange', () => {
      // Meanwhile somebody may have signed in elsewhere, such as on the page of the API.
      if (document.visibilityState === 'visible' && this.state === 'in') void this.load();
    });
    addEventListener('pageshow', ({ persisted }) => {
      // The browser kept a page that was left.
      if (persisted) location.reload();
    });
  }

  /** Called each time that the page's user is signed in, and when the session has ended. */
  onOpen(open: (user: User) => void, close: () => void): void {
    this.#opening.push(open);
    this.#closing.push(close);
  }

  /** Called before another user gets the page, or nobody: nothing of this user may stay in the browser. */
  onLeave(forget: () => void): void {
    this.#leaving.push(forget);
  }

  /** Asks the server who is signed in. If that is asked again meanwhile, the last answer counts for both. */
  async load(): Promise<void> {
    let waited = (this.#asked = this.#ask());
    for (await waited; waited !== this.#asked; await waited) waited = this.#asked;
  }

  async #ask(): Promise<void> {
    const turn = this.#owner.turn();
    try {
      const answer = await call(api.GET('/auth/session'));
      if (this.#owner.isNow(turn)) this.#open(answer);
    } catch (error) {
      if (!this.#owner.isNow(turn)) return;
      if (error instanceof Problem && error.status === 401) {
        if (this.state === 'in') this.#end();
        else this.state = 'out';
      } else if (this.state !== 'in') this.state = 'unreachable';
    }
  }

  /** @throws {Problem} the server's refusal. */
  async signIn(username: string, password: string): Promise<void> {
    const turn = this.#owner.turn();
    const answer = await call(api.POST('/auth/login', { body: { username, password } }));
    this.#broadcast({ is: 'in', user: answer.user.id });
    if (this.#owner.isNow(turn)) this.#open(answer);
    else await this.load();
  }

  /** @throws if the server could not be asked. */
  async signOut(): Promise<void> {
    await call(api.POST('/auth/logout'));
    this.#broadcast({ is: 'out' });
    this.#leave({ signedOut: true });
  }

  #open(answer: Schemas['Session']): void {
    const next = this.#owner.isOf(answer.user.id);
    if (next !== 'stay') {
      this.#go(next);
      return;
    }
    setCsrfToken(answer.csrf_token ?? null);
    this.defaultPassword = answer.default_password;
    this.demoted = answer.user.role !== 'admin' && (this.demoted || this.isAdmin);
    this.user = answer.user;
    this.why = undefined;
    if (this.state === 'in') return;
    this.state = 'in';
    for (const open of this.#opening) open(answer.user);
  }

  /** The session ended without the user's doing. */
  #end(): void {
    if (this.state !== 'in') return;
    this.#owner.turn();
    this.why = 'ended';
    this.state = 'out';
    this.user = undefined;
    this.defaultPassword = false;
    for (const close of this.#closing) close();
  }

  #go(next: Next): void {
    if (next === 'leave') this.#leave({ signedOut: false });
    else if (next === 'ask') void this.load();
  }

  #leave({ signedOut }: { signedOut: boolean }): void {
    this.#owner.turn();
    // Nothing of the user is shown from here on.
    this.state = 'loading';
    this.user = undefined;
    for (const close of this.#closing) close();
    for (const forget of this.#leaving) forget();
    if (signedOut) sessionStorage.setItem(SIGNED_OUT, 'yes');
    location.replace('/');
  }

  #broadcast(message: TabMessage): void {
    this.#channel.postMessage(message);
  }
}

export const session = new Session();

/** What the pages before signing in share. */
import { api, call } from './api/client';

class Entry {
  /** Whether one may make an account for oneself; `undefined` until the server said so. */
  open = $state<boolean | undefined>();
  /** Whether an account was made a moment ago. */
  registered = $state(false);
  /** Whether one signed in on this page: what has the focus then is gone. */
  passed = false;
  /** To be filled in. */
  username = '';

  async look(): Promise<void> {
    try {
      this.open = (await call(api.GET('/auth/registration'))).open;
    } catch {
      // Nobody is kept from signing in by that.
    }
  }

  registeredAs(username: string): void {
    this.registered = true;
    this.username = username;
  }

  signedIn(): void {
    this.registered = false;
    this.username = '';
  }
}

export const entry = new Entry();

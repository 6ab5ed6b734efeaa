/** Shared by the pages before signing in. */
import { api, call } from './api/client';

class Entry {
  /** Whether users may register; `undefined` until the server has said so. */
  open = $state<boolean | undefined>();
  /** Whether the user has just registered. */
  registered = $state(false);
  /** Whether the user signed in on this page: the focus has to be set anew, as its element is gone. */
  passed = false;
  /** The name to fill in. */
  username = '';

  async look(): Promise<void> {
    try {
      this.open = (await call(api.GET('/auth/registration'))).open;
    } catch {
      // Signing in works without it.
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

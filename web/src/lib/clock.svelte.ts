/** The time, ticking: what reads `now` is drawn anew four times a second, and only while the page is seen. */

const TICK_MS = 250;
const DAY_TICK_MS = 60_000;
/** The server's `Date` tells whole seconds: a difference below this is none. */
const NOISE_MS = 1500;

class Clock {
  /** By this device. */
  now = $state(Date.now());
  /** The server's time, to the minute: for what changes with the day. */
  today = $state(Date.now());
  /** How far the server's clock is ahead of this device's, in milliseconds. */
  #ahead = 0;

  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.now = Date.now();
    }, TICK_MS);
    setInterval(() => {
      this.today = this.serverNow();
    }, DAY_TICK_MS);
    document.addEventListener('visibilitychange', () => {
      this.now = Date.now();
    });
  }

  /** The server's time, ticking. */
  get server(): number {
    return this.now + this.#ahead;
  }

  /** The server's time at this moment. */
  serverNow(): number {
    return Date.now() + this.#ahead;
  }

  /** An answer was dated `server` (to the second), between two times of this device. */
  observe(server: number, asked: number, answered: number): void {
    const ahead = server + 500 - (asked + answered) / 2;
    this.#ahead = Math.abs(ahead) < NOISE_MS ? 0 : ahead;
  }
}

export const clock = new Clock();

/** The time as state: components that read `now` are rendered four times a second while the page is visible. */

const TICK_MS = 250;
const DAY_TICK_MS = 60_000;
/** A smaller difference is taken for none, as the server's `Date` is in whole seconds. */
const NOISE_MS = 1500;

class Clock {
  /** By this device's clock. */
  now = $state(Date.now());
  /** The server's time to the minute, for texts that change with the day. */
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

  /** Takes the `Date` of a response (to the second), which was requested and received at these times of this device. */
  observe(server: number, asked: number, answered: number): void {
    const ahead = server + 500 - (asked + answered) / 2;
    this.#ahead = Math.abs(ahead) < NOISE_MS ? 0 : ahead;
  }
}

export const clock = new Clock();

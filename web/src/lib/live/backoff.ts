/** How long to wait before trying again. */

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/**
 * Milliseconds before the attempt after `failures` (0 for the first): doubled with each, at most half a minute, and random
 * between half of that and all of it, so that not all come back at once to a server that was away.
 */
export function backoff(failures: number, random: () => number = Math.random): number {
  const most = Math.min(FIRST_MS * 2 ** Math.min(failures, 10), LONGEST_MS);
  return Math.round(most / 2 + (random() * most) / 2);
}

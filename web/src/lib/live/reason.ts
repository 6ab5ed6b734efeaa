/** Why the server refuses the connection. */
import { text } from '../../text';
import { Problem } from '../api/problem';
import { say } from '../say';
import { Refused } from './refused';

/** MQTT 5, section 2.4. */
const NOT_AUTHORIZED = 0x87;
const QUOTA_EXCEEDED = 0x97;
const RATE_EXCEEDED = 0x9f;
const BUSY = [0x88, 0x89];

/** The pause after a refusal that only an administrator can end. */
const SLOW_MS = 60_000;

/** The reason in words; `undefined` if the server did not respond. */
export function reason(why: unknown): string | undefined {
  if (why instanceof Problem) return say(why);
  if (!(why instanceof Refused)) return undefined;
  if (why.code === NOT_AUTHORIZED) return text.live.refused.notAllowed;
  if (why.code === QUOTA_EXCEEDED || why.code === RATE_EXCEEDED) return text.live.refused.tooMany;
  return BUSY.includes(why.code) ? text.problems.internal : text.live.refused.other(why.code);
}

/** How long to wait at least before the next attempt, in milliseconds. */
export function pauseAfter(why: unknown): number {
  if (why instanceof Problem) return why.retryAfterMs ?? (why.passing ? 0 : SLOW_MS);
  return why instanceof Refused && why.code === NOT_AUTHORIZED ? SLOW_MS : 0;
}

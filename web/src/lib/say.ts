/** Describes an error in words for the reader. */
import { text } from '../text';
import { Problem, Unreachable } from './api/problem';

/** For a failed request. The server's own words, which are for people too, where we have none. */
export function say(error: unknown): string {
  if (error instanceof Unreachable) return text.problems.unreachable;
  if (!(error instanceof Problem)) return text.problems.unexpected;
  // Waiting does not help.
  if (error.code === 'too_much_stored') return text.problems.codes.too_much_stored ?? error.message;
  if (error.status === 429 && error.retryAfterMs !== undefined) {
    return text.problems.tooMany(Math.ceil(error.retryAfterMs / 1000));
  }
  if (error.code === undefined || error.status >= 500) return text.problems.internal;
  return text.problems.codes[error.code] ?? error.message;
}

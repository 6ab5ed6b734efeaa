/** Errors in the forms of an account, and the fields at which they are shown. */
import { Problem } from '../../lib/api/problem';
import { say } from '../../lib/say';
import { text } from '../../text/admin';

/** As the server takes them. */
const USERNAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** Of a password, in characters. */
const SHORTEST = 8;

/** Why a user name is invalid; `undefined` if it is not. */
export function usernameProblem(name: string): string | undefined {
  return USERNAME.test(name) ? undefined : text.users.badName;
}

/** Why a password is refused, as far as the app can tell without the server. */
export function passwordProblem(password: string): string | undefined {
  // Characters as people count them, as the server does.
  return [...password].length < SHORTEST ? text.users.passwordShort : undefined;
}

/** Why the server refused. */
export function sayOfUser(error: unknown): string {
  if (error instanceof Problem) {
    if (error.code === 'last_administrator') return text.users.lastAdministrator;
    if (error.code === 'username_taken') return text.users.taken;
  }
  return say(error);
}

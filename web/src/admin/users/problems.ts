/** What can go wrong with an account, and where to say so. */
import { Problem } from '../../lib/api/problem';
import { say } from '../../lib/say';
import { text } from '../../text/admin';

/** As the server takes them. */
const USERNAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** Of a password, in characters. */
const SHORTEST = 8;

/** What is wrong with a user name; `undefined` if nothing is. */
export function usernameProblem(name: string): string | undefined {
  return USERNAME.test(name) ? undefined : text.users.badName;
}

/** What is wrong with a password, as far as one sees here. */
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

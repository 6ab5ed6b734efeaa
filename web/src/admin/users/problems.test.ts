import { expect, test } from 'vitest';
import { Problem, Unreachable, type ProblemCode } from '../../lib/api/problem';
import { text } from '../../text/admin';
import { passwordProblem, sayOfUser, usernameProblem } from './problems';

const refusal = (code: ProblemCode) =>
  new Problem(409, { type: 'about:blank', title: 'Conflict', status: 409, detail: 'as it is', code }, null);

test('user names are checked as the server checks them', () => {
  for (const good of ['a', '0', 'anna.b-c_d', 'a'.repeat(64)]) expect(usernameProblem(good), good).toBeUndefined();
  for (const bad of ['', 'Anna', '.a', '-a', 'a b', 'é', 'a/b', 'a'.repeat(65)]) {
    expect(usernameProblem(bad), bad).toBe(text.users.badName);
  }
});

test('a password has eight characters, however many bytes they are', () => {
  expect(passwordProblem('1234567')).toBe(text.users.passwordShort);
  expect(passwordProblem('🔑🔑🔑🔑')).toBe(text.users.passwordShort);
  expect(passwordProblem('12345678')).toBeUndefined();
});

test('refusals that an administrator can do something about say what', () => {
  expect(sayOfUser(refusal('last_administrator'))).toBe(text.users.lastAdministrator);
  expect(sayOfUser(refusal('username_taken'))).toBe(text.users.taken);
  expect(sayOfUser(refusal('not_found'))).toBe('as it is');
  expect(sayOfUser(new Unreachable(undefined))).toBe(text.problems.unreachable);
});

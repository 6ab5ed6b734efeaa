import { expect, test } from 'vitest';
import { text } from '../text';
import { Problem, Unreachable, type ProblemCode } from './api/problem';
import { say } from './say';

const problem = (status: number, code: ProblemCode | undefined, retryAfter: string | null = null) =>
  new Problem(status, code && { type: 'about:blank', title: 'No', status, code, detail: 'In the words of the server.' }, retryAfter);

test('what the server refuses is said in the words of the app, and else in its own', () => {
  expect(say(problem(413, 'too_large'))).toBe(text.problems.codes.too_large);
  expect(say(problem(422, 'invalid'))).toBe('In the words of the server.');
});

test('when to try again is said where it is known', () => {
  expect(say(problem(429, 'rate_limited', '90'))).toContain('90 seconds');
  expect(say(problem(429, 'rate_limited'))).toBe(text.problems.codes.rate_limited);
});

test('who has no room is not told to wait for some seconds', () => {
  expect(say(problem(429, 'too_much_stored', '60'))).toBe(text.problems.codes.too_much_stored);
});

test('who does not answer, and who answers in the place of the server, is told apart', () => {
  expect(say(new Unreachable(undefined))).toBe(text.problems.unreachable);
  expect(say(problem(502, undefined))).toBe(text.problems.internal);
  expect(say(problem(500, 'internal'))).toBe(text.problems.internal);
  expect(say(new TypeError('x is undefined'))).toBe(text.problems.unexpected);
});

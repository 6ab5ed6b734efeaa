import { expect, test } from 'vitest';
import { text } from '../../text';
import { Problem, Unreachable } from '../api/problem';
import { pauseAfter, reason } from './reason';
import { Refused } from './refused';

const limited = new Problem(
  429,
  { type: 'about:blank', title: 'No', status: 429, code: 'rate_limited', detail: 'Slower.' },
  '90',
);

test('a refusal has a reason, and silence has none', () => {
  expect(reason(limited)).toBe(text.problems.tooMany(90));
  expect(reason(new Refused(0x87))).toBe(text.live.refused.notAllowed);
  expect(reason(new Refused(0x97))).toBe(text.live.refused.tooMany);
  expect(reason(new Refused(0x8c))).toContain('140');
  expect(reason(new Unreachable(undefined))).toBeUndefined();
  expect(reason(undefined)).toBeUndefined();
});

test('what is refused is tried less often than what is not answered', () => {
  expect(pauseAfter(limited)).toBe(90_000);
  expect(pauseAfter(new Refused(0x87))).toBe(60_000);
  expect(pauseAfter(new Problem(403, undefined, null))).toBe(60_000);
  expect(pauseAfter(new Problem(503, undefined, null))).toBe(0);
  expect(pauseAfter(new Unreachable(undefined))).toBe(0);
});

test('what MQTT.js says is understood', () => {
  expect(Refused.of(Object.assign(new Error('Connection refused'), { code: 0x97 }))?.code).toBe(0x97);
  expect(Refused.of(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).toBeUndefined();
  expect(Refused.of(new Error('no code'))).toBeUndefined();
});

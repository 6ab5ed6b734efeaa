import { expect, test } from 'vitest';
import { timeAt, LAST, MARKS, positionOf, step } from './scale';

test('it goes from nothing to 30 days, always upwards', () => {
  const all = Array.from({ length: LAST + 1 }, (_, place) => timeAt(place));
  expect([all[0], all[LAST]]).toEqual([0, 2_592_000_000]);
  for (const [place, ms] of all.entries()) {
    if (place > 0) expect(ms).toBeGreaterThan(all[place - 1] ?? 0);
    expect(positionOf(ms)).toBe(place);
  }
});

test('what is between two places, or beyond the last one, has its place', () => {
  const second = positionOf(1000);
  expect(positionOf(1250)).toBe(second + 0.5);
  expect(positionOf(9e12)).toBe(LAST);
  expect([timeAt(-3), timeAt(1e9)]).toEqual([0, 2_592_000_000]);
});

test('a step leads to the next place, from between them too', () => {
  expect([step(1000, 1), step(1500, -1), step(1250, 1), step(1250, -1)]).toEqual([1500, 1000, 1500, 1000]);
  expect([step(0, -1), step(2_592_000_000, 1)]).toEqual([0, 2_592_000_000]);
});

test('the marks are spread over it', () => {
  const shares = MARKS.map(({ share }) => share);
  expect([shares[0], shares.at(-1)]).toEqual([0, 1]);
  for (const [n, share] of shares.entries()) if (n > 0) expect(share - (shares[n - 1] ?? 0)).toBeGreaterThan(0.1);
});

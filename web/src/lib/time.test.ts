import { expect, test } from 'vitest';
import { ago, countdown, duration } from './time';

test('durations are as exact as one reads them', () => {
  const shown = [0, 350, 1000, 1500, 12_400, 65_000, 60_000, 7_440_000, 86_400_000, 93_600_000].map(duration);
  expect(shown).toEqual(['0 ms', '350 ms', '1 s', '1.5 s', '12 s', '1 min 5 s', '1 min', '2 h 4 min', '1 d', '1 d 2 h']);
});

test('a countdown ends at its end', () => {
  expect([-5, 0, 1, 999, 1000, 59_001, 60_001].map(countdown)).toEqual(['0 s', '0 s', '1 s', '1 s', '1 s', '1 min', '1 min 1 s']);
});

test('the last minute has no age', () => {
  expect([0, 59_999, 60_000, 7_200_000, 200_000_000].map(ago)).toEqual([undefined, undefined, '1 min', '2 h', '2 d']);
});

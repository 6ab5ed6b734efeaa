import { expect, test } from 'vitest';
import { backoff } from './backoff';

test('pauses double, up to half a minute', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 100].map((failures) => backoff(failures, () => 1));
  expect(longest).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('a pause is random, and never less than half of what it may be', () => {
  expect(backoff(3, () => 0)).toBe(4000);
  const pauses = new Set(Array.from({ length: 50 }, () => backoff(3)));
  expect(pauses.size).toBeGreaterThan(10);
  for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(4000);
});

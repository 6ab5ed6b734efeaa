import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PACE_MS, Tally } from './tally';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the first news is told at once, what follows is counted and told once a second, and then there is silence', () => {
  const told: Record<string, number>[] = [];
  const tally = new Tally<string>((counts) => told.push(Object.fromEntries(counts)));
  tally.add('delivered');
  expect(told).toEqual([{ delivered: 1 }]);
  for (let n = 0; n < 200; n++) tally.add('delivered');
  tally.add('failed');
  vi.advanceTimersByTime(PACE_MS - 1);
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(told[1]).toEqual({ delivered: 200, failed: 1 });
  vi.advanceTimersByTime(10 * PACE_MS);
  expect(told.slice(2)).toEqual([{}]);
  tally.add('failed');
  expect(told.at(-1)).toEqual({ failed: 1 });
});

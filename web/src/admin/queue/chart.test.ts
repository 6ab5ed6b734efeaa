import { expect, test } from 'vitest';
import { countTicks, line, slots, timeTicks } from './chart';

const minute = (n: number) => ({ at: new Date(n * 60_000).toISOString(), processed: n, latency: null });

test('the last hour has sixty places, also when less is known', () => {
  const shown = slots([minute(100), minute(101), { ...minute(102), latency: { p50_ms: 3, p99_ms: 24 } }]);
  expect(shown).toHaveLength(60);
  expect(shown.at(-1)).toEqual({ ago: 0, at: 102 * 60_000, processed: 102, p50: 3, p99: 24 });
  expect(shown.at(-3)).toMatchObject({ ago: 2, processed: 100, p50: undefined });
  expect(shown[0]).toMatchObject({ ago: 59, at: 43 * 60_000, processed: undefined });
  expect(slots(Array.from({ length: 70 }, (_, n) => minute(n)))[0]).toMatchObject({ processed: 10 });
});

test.each([
  [0, [0, 1]],
  [1, [0, 1]],
  [3, [0, 1, 2, 3]],
  [7, [0, 2, 4, 6, 8]],
  [40, [0, 10, 20, 30, 40]],
  [100, [0, 25, 50, 75, 100]],
  [1234, [0, 500, 1000, 1500]],
])('counts up to %d have whole steps', (most, ticks) => {
  expect(countTicks(most, 4)).toEqual(ticks);
});

test.each([
  [24, [0, 10, 20, 30]],
  [900, [0, 250, 500, 750, 1000]],
  [3500, [0, 1000, 2000, 3000, 4000]],
  [200_000, [0, 60_000, 120_000, 180_000, 240_000]],
])('latencies up to %d ms have steps of a clock', (most, ticks) => {
  expect(timeTicks(most, 4)).toEqual(ticks);
});

test('however large, the axis shows it in few steps', () => {
  for (let most = 1; most < 1e10; most = Math.ceil(most * 1.7)) {
    for (const ticks of [countTicks(most, 4), timeTicks(most, 4)]) {
      expect(ticks.length).toBeLessThanOrEqual(5);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
    }
  }
});

test('a line has gaps where nothing is known', () => {
  const y = [1, 2, undefined, 4, undefined];
  expect(line(y.map((value, x) => ({ x, y: value })))).toBe('M0 1L1 2M0.5 4h5');
  expect(line([])).toBe('');
});

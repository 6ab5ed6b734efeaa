import { expect, test } from 'vitest';
import { body, inWords, same, scattered, spanOf, spread, ticks } from './model';

test('a delay goes to the API as it came', () => {
  for (const delay of [{ mode: 'fixed', ms: 7 } as const, { mode: 'uniform', min_ms: 1, max_ms: 9 } as const]) {
    expect(body(delay.mode, spanOf(delay))).toEqual(delay);
    expect(same(delay, delay.mode, spanOf(delay))).toBe(true);
  }
  expect(same({ mode: 'fixed', ms: 5 }, 'uniform', { from: 5, to: 5 })).toBe(false);
});

test('it is said in words', () => {
  expect(inWords({ from: 1500, to: 1500 })).toBe('1.5 s');
  expect(inWords({ from: 1000, to: 120_000 })).toBe('1 s to 2 min');
  expect(inWords({ from: 0, to: 0 })).toBe('no delay');
});

test('made random, it stays around what it was', () => {
  expect(spread({ from: 2000, to: 2000 })).toEqual({ from: 1000, to: 3000 });
  expect(spread({ from: 0, to: 0 })).toEqual({ from: 0, to: 1000 });
  expect(spread({ from: 2_592_000_000, to: 2_592_000_000 }).to).toBe(2_592_000_000);
});

test.each([0, 1, 350, 1500, 59_000, 3_600_000, 100_000_000, 2_592_000_000])('the axis for %d ms begins at 0 and shows it', (ms) => {
  const axis = ticks(ms, 5);
  expect(axis[0]).toBe(0);
  expect(axis.at(-1)).toBeGreaterThanOrEqual(ms);
  expect(axis.length).toBeLessThanOrEqual(6);
  expect(new Set(axis).size).toBe(axis.length);
});

test('the picture of chance is the same each time, and even', () => {
  const places = scattered(24);
  expect(places).toEqual(scattered(24));
  expect(places.filter((place) => place < 0.5).length).toBe(12);
  for (const place of places) expect(place >= 0 && place < 1).toBe(true);
});

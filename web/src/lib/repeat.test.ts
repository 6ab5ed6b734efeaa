import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { repeat } from './repeat';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('what is repeated has pauses that grow, counted from its end', async () => {
  const task = vi.fn(() => new Promise((resolve) => setTimeout(resolve, 500)));
  const stop = repeat(task, () => 1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(task).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(2499);
  expect(task).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(task).toHaveBeenCalledTimes(2);
  stop();
});

test('what is stopped while it is under way is not repeated', async () => {
  let end: () => void = () => undefined;
  const task = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
  const stop = repeat(task, () => 1);
  await vi.advanceTimersByTimeAsync(1000);
  stop();
  end();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(task).toHaveBeenCalledTimes(1);
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { poll } from './poll';

class Page extends EventTarget {
  visibilityState: DocumentVisibilityState = 'visible';

  show(state: DocumentVisibilityState): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function started(read: (signal: AbortSignal) => Promise<number>) {
  const page = new Page();
  const answers: number[] = [];
  const errors: unknown[] = [];
  const polling = poll({
    read,
    everyMs: 2000,
    onAnswer: (answer) => answers.push(answer),
    onError: (error) => errors.push(error),
    page: page as unknown as Document,
  });
  return { page, answers, errors, polling };
}

test('it asks at once and again after each answer', async () => {
  let n = 0;
  const { answers, polling } = started(() => Promise.resolve(++n));
  await vi.advanceTimersByTimeAsync(4000);
  expect(answers).toEqual([1, 2, 3]);
  polling.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(answers).toEqual([1, 2, 3]);
});

test('a slow answer is waited for', async () => {
  let asked = 0;
  const { polling } = started(() => new Promise((resolve) => setTimeout(() => resolve(++asked), 9000)));
  await vi.advanceTimersByTimeAsync(10_999);
  expect(asked).toBe(1);
  polling.stop();
});

test('a failure is told, and asked again', async () => {
  let n = 0;
  const { answers, errors, polling } = started(() => (n++ === 0 ? Promise.reject(new Error('down')) : Promise.resolve(n)));
  await vi.advanceTimersByTimeAsync(2000);
  expect(errors).toHaveLength(1);
  expect(answers).toEqual([2]);
  polling.stop();
});

test('nothing is asked while the page is hidden, and at once when it is seen again', async () => {
  const signals: AbortSignal[] = [];
  const { page, answers, errors, polling } = started((signal) => {
    signals.push(signal);
    return new Promise((resolve) => setTimeout(() => resolve(signals.length), 500));
  });
  page.show('hidden');
  expect(signals[0]?.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(signals).toHaveLength(1);
  page.show('visible');
  await vi.advanceTimersByTimeAsync(500);
  expect(answers).toEqual([2]);
  expect(errors).toEqual([]);
  polling.stop();
});

test('asked for now, an older answer does not count', async () => {
  let n = 0;
  const { answers, polling } = started(() => {
    const mine = ++n;
    return new Promise((resolve) => setTimeout(() => resolve(mine), mine === 1 ? 1500 : 10));
  });
  polling.now();
  await vi.advanceTimersByTimeAsync(1600);
  expect(answers).toEqual([2]);
  polling.stop();
});

import { expect, test } from 'vitest';
import { Problem, type ProblemCode } from '../../lib/api/problem';
import { retryAll, type RetryStep } from './retry';

const problem = (status: number, code: ProblemCode, after: string | null = null) =>
  new Problem(status, { code, detail: code, status, title: '', type: 'about:blank' }, after);
/** A server with 600 dead messages, of which it takes 256 at once. A step may find none. */
const STEPS: RetryStep[] = [{ retried: 256, next: 'a' }, { retried: 0, next: 'b' }, { retried: 256, next: 'c' }, { retried: 88 }];

function server(answer: (n: number) => RetryStep | Promise<RetryStep> = (n) => STEPS[n] ?? { retried: 0 }) {
  const asked: (string | undefined)[] = [];
  const reported: number[] = [];
  const stop = new AbortController();
  return {
    asked,
    reported,
    stop,
    step: (after: string | undefined) => Promise.resolve(answer(asked.push(after) - 1)),
    signal: stop.signal,
    onStep: (retried: number) => reported.push(retried),
  };
}

test('each step goes on where the one before ended', async () => {
  const all = server();
  expect(await retryAll(all)).toBe(600);
  expect(all.asked).toEqual([undefined, 'a', 'b', 'c']);
  expect(all.reported).toEqual([256, 256, 512, 600]);
});

test('asked too often, it waits as long as the server says and asks for the same again', async () => {
  const waits: number[] = [];
  const all = server((n) => {
    if (n === 1) return Promise.reject(problem(429, 'rate_limited', '7'));
    return n === 0 ? { retried: 256, next: 'a' } : { retried: 1 };
  });
  const queued = await retryAll({ ...all, wait: (ms) => Promise.resolve(void waits.push(ms)) });
  expect([queued, waits]).toEqual([257, [7000]]);
  expect(all.asked).toEqual([undefined, 'a', 'a']);
});

test('a failure ends it and is reported, and so is what was done before', async () => {
  const all = server((n) => (n === 0 ? { retried: 256, next: 'a' } : Promise.reject(problem(503, 'busy'))));
  await expect(retryAll(all)).rejects.toMatchObject({ code: 'busy' });
  expect(all.reported).toEqual([256]);
});

test('stopped, it asks for no more', async () => {
  const all = server((n) => {
    all.stop.abort();
    return STEPS[n] ?? { retried: 0 };
  });
  expect(await retryAll(all)).toBe(256);
  expect(all.asked).toEqual([undefined]);
});

test('stopped while it waits, it asks for no more', async () => {
  const all = server(() => Promise.reject(problem(429, 'rate_limited', '7')));
  const wait = () => Promise.resolve(all.stop.abort());
  expect(await retryAll({ ...all, wait })).toBe(0);
  expect(all.asked).toEqual([undefined]);
});

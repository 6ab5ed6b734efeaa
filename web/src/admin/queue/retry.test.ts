import { expect, test } from 'vitest';
import { Problem, type ProblemCode } from '../../lib/api/problem';
import { retryAll } from './retry';

const problem = (status: number, code: ProblemCode, after: string | null = null) =>
  new Problem(status, { code, detail: code, status, title: '', type: 'about:blank' }, after);
const ids = Array.from({ length: 10 }, (_, n) => `m${n}`);

test('each is retried once', async () => {
  const asked: string[] = [];
  const done: string[] = [];
  const queued = await retryAll({
    ids,
    retry: (id) => Promise.resolve(void asked.push(id)),
    signal: new AbortController().signal,
    onDone: (id) => done.push(id),
  });
  expect(queued).toBe(10);
  expect(asked).toEqual(ids);
  expect(done).toEqual(ids);
});

test('what is not dead any more is done, but not counted', async () => {
  const done: string[] = [];
  const queued = await retryAll({
    ids,
    retry: (id) => (id === 'm3' ? Promise.reject(problem(409, 'not_dead')) : Promise.resolve()),
    signal: new AbortController().signal,
    onDone: (id) => done.push(id),
  });
  expect(queued).toBe(9);
  expect(done.sort()).toEqual(ids);
});

test('asked too often, it waits as long as it was told', async () => {
  const waits: number[] = [];
  let refused = false;
  const queued = await retryAll({
    ids: ['m0'],
    retry: () => {
      if (refused) return Promise.resolve();
      refused = true;
      return Promise.reject(problem(429, 'rate_limited', '7'));
    },
    signal: new AbortController().signal,
    onDone: () => undefined,
    wait: (ms) => Promise.resolve(void waits.push(ms)),
  });
  expect([queued, waits]).toEqual([1, [7000]]);
});

test('a failure ends it and is told', async () => {
  const asked: string[] = [];
  const all = retryAll({
    ids,
    retry: (id) => (asked.push(id) > 5 ? Promise.reject(problem(503, 'busy')) : Promise.resolve()),
    signal: new AbortController().signal,
    onDone: () => undefined,
  });
  await expect(all).rejects.toMatchObject({ code: 'busy' });
  expect(asked.length).toBeLessThan(10);
});

test('stopped, it asks for no more', async () => {
  const stop = new AbortController();
  const asked: string[] = [];
  await retryAll({
    ids,
    retry: (id) => {
      asked.push(id);
      stop.abort();
      return Promise.resolve();
    },
    signal: stop.signal,
    onDone: () => undefined,
  });
  expect(asked.length).toBeLessThanOrEqual(4);
});

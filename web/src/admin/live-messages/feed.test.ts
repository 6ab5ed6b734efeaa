import { expect, test } from 'vitest';
import { Feed } from './feed';
import { matcher, read, userOf, type Gap } from './item';

/** Frames come when the test says so. */
function feedOf(bound: number) {
  const frames: (() => void)[] = [];
  let changes = 0;
  const feed = new Feed<number>(bound, () => changes++, (run) => frames.push(run));
  return {
    feed,
    changes: () => changes,
    frame: () => {
      for (const run of frames.splice(0)) run();
    },
  };
}

test('what comes between two frames is shown at once, newest first', () => {
  const { feed, frame, changes } = feedOf(5);
  for (const n of [1, 2, 3]) feed.add(n);
  expect(feed.items).toEqual([]);
  frame();
  expect(feed.items).toEqual([3, 2, 1]);
  expect(changes()).toBe(1);
  feed.add(4);
  frame();
  expect(feed.items).toEqual([4, 3, 2, 1]);
});

test('only the last ones are kept, also while no frame comes', () => {
  const { feed, frame } = feedOf(3);
  for (let n = 0; n < 1000; n++) feed.add(n);
  frame();
  expect(feed.items).toEqual([999, 998, 997]);
});

test('a pause holds the list still, counts, and loses nothing that would still be shown', () => {
  const { feed, frame } = feedOf(4);
  feed.add(1);
  frame();
  feed.pause();
  for (let n = 2; n < 20; n++) {
    feed.add(n);
    frame();
  }
  expect(feed.items).toEqual([1]);
  expect(feed.waiting).toBe(18);
  feed.resume();
  expect(feed.items).toEqual([19, 18, 17, 16]);
  expect(feed.waiting).toBe(0);
});

test('what came before a pause within the same frame waits, too', () => {
  const { feed, frame } = feedOf(4);
  feed.add(1);
  feed.pause();
  frame();
  expect(feed.items).toEqual([]);
  feed.resume();
  expect(feed.items).toEqual([1]);
});

test('clearing forgets what waits', () => {
  const { feed, frame } = feedOf(4);
  feed.add(1);
  frame();
  feed.pause();
  feed.add(2);
  feed.clear();
  feed.resume();
  frame();
  expect(feed.items).toEqual([]);
});

test('a topic says whose it is', () => {
  expect(userOf('users/alice/notifications')).toBe('alice');
  for (const other of ['users/alice/messages', 'users/alice', 'broadcast/alice/notifications', 'users/a/notifications/b']) {
    expect(userOf(other), other).toBeUndefined();
  }
});

const payload = JSON.stringify({
  seq: 7,
  type: 'message.processed',
  message: { id: '1', body: 'Water the Plants', status: 'processed', attempts: 1, created_at: '2026-11-22T10:00:00.000Z', result: 'Done' },
});

test('what is no notification is left out', () => {
  expect(read('users/alice/notifications', payload, 'k', 1)).toMatchObject({ user: 'alice', notification: { seq: 7 } });
  for (const bad of ['', 'null', '{}', '[1', '{"seq":1}']) expect(read('users/alice/notifications', bad, 'k', 1), bad).toBeUndefined();
});

test('the search looks at the user, the text and the result', () => {
  const item = read('users/alice/notifications', payload, 'k', 1);
  const gap: Gap = { kind: 'gap', key: 'g', from: 1, at: 2 };
  if (item === undefined) throw new Error('it is one');
  for (const found of ['', ' ', 'ALI', 'plants', 'done']) expect(matcher(found)(item), found).toBe(true);
  expect(matcher('bob')(item)).toBe(false);
  expect(matcher('bob')(gap)).toBe(true);
});

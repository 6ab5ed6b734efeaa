import { expect, test } from 'vitest';
import { bounded, room } from './bound';
import type { Message, Status } from './model';

function message(id: number, status: Status = 'processed', body = 'x'): Message {
  return {
    id: String(id).padStart(4, '0'),
    key: String(id),
    body,
    status,
    createdAt: 0,
    runAt: 0,
    attempts: 0,
    result: null,
    error: null,
    processedAt: null,
    deliveredAt: null,
    learnedAt: 0,
  };
}

const list = (ids: number[], status?: Status) => ids.map((id) => message(id, status));
const most = { messages: 3, size: 100 };
const ids = (all: readonly Message[]) => all.map(({ id }) => Number(id));

test('there is room for so many, and for so much text', () => {
  expect(room(list([5, 4, 3]), most)).toBe(3);
  expect(room(list([5, 4, 3, 2]), most)).toBe(3);
  expect(room([message(5, 'processed', 'x'.repeat(60)), message(4, 'processed', 'x'.repeat(60))], most)).toBe(1);
});

test('what fits stays as it is', () => {
  const held = { all: list([3, 2, 1]), readings: { all: { floor: '', next: null } } };
  expect(bounded(held, 'all', most)).toBe(held);
});

test('the oldest go, and the list says that it goes on without room for more', () => {
  const held = { all: list([5, 4, 3, 2, 1]), readings: { all: { floor: '', next: null } } };
  const now = bounded(held, 'all', most);
  expect(ids(now.all)).toEqual([5, 4, 3]);
  expect(now.readings.all).toEqual({ floor: '0003', next: '0003', full: true });
  // A list that was not read that far is unchanged.
  const other = bounded({ ...held, readings: { dead: { floor: '0004', next: '0004' } } }, undefined, most);
  expect(other.readings.dead).toEqual({ floor: '0004', next: '0004' });
});

test('while a list is read, what it does not show makes room for it', () => {
  const all = [...list([9, 8, 7]), ...list([2, 1], 'dead')];
  const readings = { all: { floor: '0007', next: '0007' }, dead: { floor: '0001', next: '0001' } };
  const now = bounded({ all, readings }, 'dead', most);
  expect(ids(now.all)).toEqual([2, 1]);
  // The others are read anew.
  expect(now.readings).toEqual({ dead: readings.dead });
});

test('a message that is too large for the bound is the only one', () => {
  const all = [message(2, 'processed', 'x'.repeat(101)), message(1)];
  const now = bounded({ all, readings: { all: { floor: '', next: null } } }, 'all', most);
  expect(ids(now.all)).toEqual([2]);
  expect(now.readings.all?.full).toBe(true);
});

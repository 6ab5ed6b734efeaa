import { expect, test } from 'vitest';
import { Owner } from './owner';

test('a page belongs to the first who is signed in on it', () => {
  const owner = new Owner();
  expect(owner.isKnown).toBe(false);
  expect(owner.isOf('alice')).toBe('stay');
  expect(owner.isOf('alice')).toBe('stay');
  expect(owner.isOf('bob')).toBe('leave');
  expect(owner.isOf('alice')).toBe('stay');
});

test('what another tab says is asked after, and another user is left to at once', () => {
  const owner = new Owner();
  expect(owner.signedIn('bob')).toBe('ask');
  owner.isOf('alice');
  expect(owner.signedIn('alice')).toBe('ask');
  expect(owner.signedIn('bob')).toBe('leave');
});

test('an answer to an older question is too old', () => {
  const owner = new Owner();
  const first = owner.turn();
  expect(owner.isNow(first)).toBe(true);
  const second = owner.turn();
  expect([owner.isNow(first), owner.isNow(second)]).toEqual([false, true]);
});

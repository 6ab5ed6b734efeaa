import { expect, test } from 'vitest';
import { match } from './match';

test('places take what stands there, decoded', () => {
  expect(match('/messages/:id', '/messages/a%20b')).toEqual({ id: 'a b' });
  expect(match('/', '/')).toEqual({});
  expect(match('/account', '/account/')).toEqual({});
});

test('other paths do not match', () => {
  for (const path of ['/', '/messages', '/messages/1/2', '/other/1', '/messages/%E0%A4%A']) {
    expect(match('/messages/:id', path)).toBeUndefined();
  }
});

import { expect, test } from 'vitest';
import { text } from '../../text/admin';
import { detail, isAction, sentence, times, type AuditAction, type AuditEntry } from './sentence';

const entry = (action: AuditAction, more: Partial<AuditEntry> = {}): AuditEntry => ({
  id: '1',
  at: '2026-11-22T10:00:00.000Z',
  action,
  actor: 'admin',
  address: '192.0.2.1',
  count: 1,
  ...more,
});
const read = (one: AuditEntry) => sentence(one).map((piece) => piece.text).join('');

test('every action is a sentence without gaps', () => {
  for (const action of Object.keys(text.audit.actions) as AuditAction[]) {
    const words = read(entry(action, { target: 'TARGET' }));
    expect(words, action).toMatch(/^\S.*\S$/);
    expect(words, action).not.toMatch(/[{}]|undefined/);
  }
});

test('an entry says who did what to whom', () => {
  expect(read(entry('user.created', { target: 'alice' }))).toBe('admin created the account alice');
  expect(read(entry('user.created', { target: 'alice', actor: null, address: null }))).toBe(
    'The command line created the account alice',
  );
  expect(read(entry('sign_in.failed', { actor: null }))).toBe('Somebody tried to sign in with a name that nobody has');
  expect(read(entry('access.denied', { target: 'GET /api/v1/admin/users', actor: null }))).toBe(
    'Somebody was denied GET /api/v1/admin/users',
  );
});

test('users in it can be followed, other things cannot', () => {
  const users = (one: AuditEntry) => sentence(one).flatMap((piece) => piece.user ?? []);
  expect(users(entry('user.changed', { target: 'alice' }))).toEqual(['admin', 'alice']);
  expect(users(entry('message.retried', { target: '01a2' }))).toEqual(['admin']);
  expect(users(entry('sign_in.failed', { target: 'alice', actor: null }))).toEqual(['alice']);
});

test("the server's short words are spelled out, and names that users chose are left alone", () => {
  expect(detail(entry('user.changed', { detail: 'role admin, disabled, password' }))).toBe(
    'role Administrator, locked, new password',
  );
  expect(detail(entry('sign_in.failed', { detail: 'MQTT, wrong' }))).toBe('over MQTT, wrong password');
  expect(detail(entry('token.created', { detail: 'wrong' }))).toBe('wrong');
  expect(detail(entry('user.changed', { detail: 'something new' }))).toBe('something new');
  expect(detail(entry('sign_out'))).toBeUndefined();
});

test('rules are told in the words of their page', () => {
  expect(detail(entry('rule.deleted', { detail: 'deny user:alice both rooms/a b/#' }))).toBe(
    'alice may neither publish nor subscribe to rooms/a b/#',
  );
  expect(detail(entry('rule.created', { detail: 'something new' }))).toBe('something new');
});

test('how often is said when it was more than once', () => {
  expect(times(entry('sign_in'))).toBeUndefined();
  expect(times(entry('sign_in', { count: 3 }))).toBe('3 times');
  expect(times(entry('audit.dropped', { count: 1 }))).toBe('1 entry');
});

test('only actions that there are can be asked for', () => {
  expect(['sign_in', 'toString', '', null].map(isAction)).toEqual([true, false, false, false]);
});

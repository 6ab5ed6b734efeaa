import { expect, test } from 'vitest';
import { filterParts, filterProblem, topicProblem } from './filter';
import { formatSubject, isBuiltin, parseSubject, ruleWords } from './rule';

test('filters are checked as the server checks them', () => {
  for (const good of ['a', '#', '+', 'rooms/%u/#', '+/b/+', 'a//b', '/', '$SYS/#', 'a-%u/b-%c', '100%%', '$SYS/%%', '%u%%', ' ', '$share/group/a', '$share/group/#', '$share/50%%/a']) {
    expect(filterProblem(good), good).toBeUndefined();
  }
  const bad = {
    '': 'empty',
    'a\0b': 'nul',
    'a+': 'alone',
    'rooms/x#': 'alone',
    '#/a': 'last',
    'a/#/b': 'last',
    '$share/group': 'shared',
    '$share//a': 'shared',
    '$share/group/': 'shared',
    '$share/+/a': 'shared',
    '$share/group/%u': 'shared',
    '$share/group/%x': 'percent',
    '$share/group/a/#/b': 'last',
    'a/50%': 'percent',
    'a/%x': 'percent',
    'a/%%%': 'percent',
    'a/%/u': 'percent',
    'a/%u%c': 'second',
    'a/%u-%u': 'second',
    '$%u/a': 'system',
    ['ä'.repeat(32_768)]: 'long',
  };
  for (const [filter, problem] of Object.entries(bad)) expect(filterProblem(filter), filter.slice(0, 20)).toBe(problem);
});

test('a topic is checked by what is done with it', () => {
  for (const good of ['a', '/', 'a//b', '50%', '$SYS/a']) expect(topicProblem(good, 'publish'), good).toBeUndefined();
  for (const good of ['a/+/b', '#', '$share/group/a/#', 'a/%x']) expect(topicProblem(good, 'subscribe'), good).toBeUndefined();
  expect(topicProblem('a/#', 'publish')).toBe('wild');
  expect(topicProblem('a+', 'publish')).toBe('wild');
  expect(topicProblem('a+', 'subscribe')).toBe('alone');
  expect(topicProblem('a/#/b', 'subscribe')).toBe('last');
  expect(topicProblem('', 'publish')).toBe('empty');
});

test('what stands for something else is told apart', () => {
  expect(filterParts('rooms/%u/%%u/+')).toEqual([
    { text: 'rooms/', isOpen: false },
    { text: '%u', isOpen: true },
    { text: '/', isOpen: false },
    { text: '%%', isOpen: false },
    { text: 'u/', isOpen: false },
    { text: '+', isOpen: true },
  ]);
});

test('subjects are read and written', () => {
  for (const subject of ['everyone', 'role:user', 'role:admin', 'user:alice', 'user:everyone']) {
    expect(formatSubject(parseSubject(subject))).toBe(subject);
  }
});

test('rules are sentences', () => {
  const rule = { subject: 'role:admin', effect: 'deny', action: 'both', filter: 'a/#' } as const;
  expect(ruleWords(rule)).toBe('Administrators may neither publish nor subscribe to a/#');
  expect(ruleWords({ ...rule, subject: 'user:bob', effect: 'allow', action: 'publish' })).toBe('bob may publish to a/#');
});

test('rules that came with the server are known by their ids', () => {
  expect(isBuiltin({ id: 'builtin-inbox' })).toBe(true);
  expect(isBuiltin({ id: '01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071' })).toBe(false);
});

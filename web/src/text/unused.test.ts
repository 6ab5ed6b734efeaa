import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { text } from './admin';

const src = path.resolve(import.meta.dirname, '..');

/** The sources of the app, without the words themselves and the tests. */
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith('.test.ts') && !name.startsWith(`text${path.sep}`))
  .map((name) => readFileSync(path.join(src, name), 'utf8'));

/** The paths of all words, as `units.ms`; a list of words is one word. */
function paths(words: object, prefix: string[] = []): string[][] {
  return Object.entries(words).flatMap(([name, value]: [string, unknown]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? paths(value, [...prefix, name]) : [[...prefix, name]],
  );
}

/** The paths into the words that a file names: `text.a.b`, and `words.b` after `const words = text.a`. */
function named(source: string): string[] {
  const found: string[] = [];
  const names: [string, string][] = [['text', '']];
  for (const [, name = '', of = ''] of source.matchAll(/const (\w+) = text\.([\w.]+);/g)) names.push([name, `${of}.`]);
  const bare = source.replaceAll(/const \w+ = text\.[\w.]+;/g, '');
  for (const [name, prefix] of names) {
    for (const [, rest = ''] of bare.matchAll(new RegExp(`(?<![\\w.])${name}\\.([\\w.]+)`, 'g'))) found.push(prefix + rest);
    // Any word of the group, by an index.
    if (new RegExp(`(?<![\\w.])${name}\\[`).test(bare)) found.push(prefix.slice(0, -1));
  }
  return found;
}

/** The word that a path names, as `title` in `title.length`, or a whole group that is passed on. */
function word(name: string): string {
  const [parent, at] = [name.split('.').slice(0, -1).join('.'), within(name)];
  return at === undefined && typeof within(parent) !== 'object' ? parent : name;
}

function within(name: string): unknown {
  return name.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], text);
}

test('there is no word that nobody reads', () => {
  const used = new Set(sources.flatMap(named).map(word));
  const unused = paths(text).filter((one) => !one.some((_, i) => used.has(one.slice(0, i + 1).join('.'))));
  expect(unused.map((one) => one.join('.'))).toEqual([]);
});

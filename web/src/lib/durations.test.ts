import { expect, test } from 'vitest';
import { LONGEST_MS, parseDuration, spell } from './durations';

test.each([
  ['0', 0],
  ['350 ms', 350],
  ['1.5 s', 1500],
  ['1,5s', 1500],
  [' 2 Min ', 120_000],
  ['2 minutes', 120_000],
  ['1 h 30 min', 5_400_000],
  ['1h30m', 5_400_000],
  ['30 d', LONGEST_MS],
  ['0.4 ms', 0],
])('%s is understood', (written, ms) => {
  expect(parseDuration(written)).toEqual({ ms });
});

test.each([
  ['', 'not a duration'],
  ['soon', 'not a duration'],
  ['-1 s', 'not a duration'],
  ['1..5 s', 'not a duration'],
  ['5 parsecs', 'not a duration'],
  ['1 h 30', 'not a duration'],
  ['1500', 'no unit'],
  ['31 d', 'too long'],
  ['1e9 d', 'not a duration'],
  [`${'9'.repeat(400)} d`, 'too long'],
])('%s is not', (written, wrong) => {
  expect(parseDuration(written)).toEqual({ wrong });
});

test('what is spelled is exact and can be written again', () => {
  const all = [0, 1, 999, 1000, 1500, 1001, 60_000, 90_500, 3_600_000, 5_400_000, 86_400_000, 187_200_000, LONGEST_MS];
  expect(all.map(spell).slice(0, 9)).toEqual(['0 ms', '1 ms', '999 ms', '1 s', '1.5 s', '1.001 s', '1 min', '1 min 30.5 s', '1 h']);
  for (const ms of all) expect(parseDuration(spell(ms))).toEqual({ ms });
});

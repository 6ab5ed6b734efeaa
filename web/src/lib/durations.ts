/** Durations in the form that people write: `1.5 s`, `2 min`, `1 h 30 min`. */
import { text } from '../text';
import { SIZES, written, type Unit } from './units';

/** The largest first. */
const UNITS = Object.entries(SIZES) as [Unit, number][];

/** No longer than the server allows: 30 days. */
export const LONGEST_MS = 30 * 86_400_000;

export type Parsed = { ms: number } | { wrong: 'not a duration' | 'no unit' | 'too long' };

/** Parses a written duration, to whole milliseconds. Only 0 needs no unit. */
export function parseDuration(written: string): Parsed {
  const left = written.trim().toLowerCase();
  if (/^\d+([.,]\d+)?$/.test(left)) return Number(left.replace(',', '.')) === 0 ? { ms: 0 } : { wrong: 'no unit' };
  if (!/^(\d+([.,]\d+)?\s*[^\d\s.,]+\s*)+$/u.test(left)) return { wrong: 'not a duration' };
  let ms = 0;
  for (const [, number = '', unit = ''] of left.matchAll(/(\d+(?:[.,]\d+)?)\s*([^\d\s.,]+)/gu)) {
    const size = UNITS.find(([name]) => text.units[name].includes(unit))?.[1];
    if (size === undefined) return { wrong: 'not a duration' };
    ms += Number(number.replace(',', '.')) * size;
  }
  ms = Math.round(ms);
  return ms > LONGEST_MS ? { wrong: 'too long' } : { ms };
}

/** Exactly, as it can be written again: `0 ms`, `1.5 s`, `1 min 30 s`, `2 d 4 h`. */
export function spell(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1000) return written(whole, 'ms');
  const parts: string[] = [];
  let rest = whole;
  for (const [name, size] of UNITS.slice(0, 3)) {
    const n = Math.floor(rest / size);
    if (n > 0) parts.push(written(n, name));
    rest -= n * size;
  }
  if (rest > 0) parts.push(written(rest / 1000, 's'));
  return parts.join(' ');
}

/** A delay, as the pages and the API have it. */
import type { Schemas } from '../../lib/api/client';
import { spell } from '../../lib/durations';
import { text } from '../../text/admin';

/** Of the API. */
export type Delay = Schemas['Delay'] | Schemas['UserDelay'];
export type Mode = Delay['mode'];

export interface Span {
  from: number;
  to: number;
}

/** Between which times of waiting a message is due. */
export function spanOf(delay: Delay): Span {
  return delay.mode === 'fixed' ? { from: delay.ms, to: delay.ms } : { from: delay.min_ms, to: delay.max_ms };
}

export function body(mode: Mode, { from, to }: Span): { mode: 'fixed'; ms: number } | { mode: 'uniform'; min_ms: number; max_ms: number } {
  return mode === 'fixed' ? { mode, ms: from } : { mode, min_ms: from, max_ms: to };
}

export function same(a: Delay, mode: Mode, span: Span): boolean {
  const { from, to } = spanOf(a);
  return a.mode === mode && from === span.from && to === span.to;
}

/** `1.5 s`, `1 s to 2 min`, or that there is none. */
export function inWords({ from, to }: Span): string {
  if (to === 0) return text.delay.none;
  return from === to ? spell(from) : text.delay.random(spell(from), spell(to));
}

/** The first proposal when the mode changes from `fixed` to `uniform`: from half of the delay to one and a half times. */
export function spread({ from }: Span): Span {
  return from === 0 ? { from: 0, to: 1000 } : { from: Math.round(from / 2), to: Math.min(from + Math.round(from / 2), 2_592_000_000) };
}

const UNIT_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const TICKS = [
  ...UNIT_STEPS,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * 1000),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * 60_000),
  ...[1, 2, 3, 6, 12].map((n) => n * 3_600_000),
  ...[1, 2, 5, 10, 15].map((n) => n * 86_400_000),
];

/** Times for an axis that shows `longest`: from 0, evenly, at most `most` steps. */
export function ticks(longest: number, most: number): number[] {
  const wanted = Math.max(longest, 10);
  const size = TICKS.find((tick) => tick * most >= wanted) ?? wanted / most;
  const count = Math.max(1, Math.ceil(wanted / size));
  return Array.from({ length: count + 1 }, (_, n) => n * size);
}

/** `count` numbers in 0..1, evenly spread and always the same: they stand for random ones in a picture. */
export function scattered(count: number): number[] {
  const golden = 0.618_033_988_75;
  return Array.from({ length: count }, (_, n) => (0.5 + n * golden) % 1);
}

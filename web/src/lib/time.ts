/** Times in words. */
import { text } from '../text';
import { SIZES, written, type Unit } from './units';

const { s: SECOND, min: MINUTE, h: HOUR, d: DAY } = SIZES;

const clockFormat = new Intl.DateTimeFormat(text.locale, { hour: '2-digit', minute: '2-digit' });
const secondsFormat = new Intl.DateTimeFormat(text.locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(text.locale, { day: 'numeric', month: 'short' });
const yearFormat = new Intl.DateTimeFormat(text.locale, { day: 'numeric', month: 'short', year: 'numeric' });
const fullFormat = new Intl.DateTimeFormat(text.locale, { dateStyle: 'medium', timeStyle: 'medium' });

/** `350 ms`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. */
export function duration(ms: number): string {
  if (ms < SECOND) return written(Math.max(0, Math.round(ms)), 'ms');
  if (ms < MINUTE) return written(trimmed(ms / SECOND), 's');
  return coarse(ms);
}

/** As `duration`, but in whole seconds, for a countdown. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / SECOND));
  return seconds < 60 ? written(seconds, 's') : coarse(seconds * SECOND);
}

function coarse(ms: number): string {
  if (ms < HOUR) return two(ms, 'min', 's');
  if (ms < DAY) return two(ms, 'h', 'min');
  return two(ms, 'd', 'h');
}

function two(ms: number, large: Unit, small: Unit): string {
  const rest = Math.floor((ms % SIZES[large]) / SIZES[small]);
  const first = written(Math.floor(ms / SIZES[large]), large);
  return rest === 0 ? first : `${first} ${written(rest, small)}`;
}

function trimmed(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, '') : String(Math.round(value));
}

/** The time today, else the day: `14:03`, `24 Nov`, `24 Nov 2025`. */
export function short(at: number, now: number): string {
  const [then, today] = [new Date(at), new Date(now)];
  if (then.toDateString() === today.toDateString()) return clockFormat.format(then);
  return (then.getFullYear() === today.getFullYear() ? dayFormat : yearFormat).format(then);
}

/** `14:03:27`, with the day unless it is today. */
export function exact(at: number, now: number): string {
  const then = new Date(at);
  const time = secondsFormat.format(then);
  return then.toDateString() === new Date(now).toDateString() ? time : `${dayFormat.format(then)}, ${time}`;
}

export function full(at: number): string {
  return fullFormat.format(at);
}

/** How long ago, coarsely: `5 min`; `undefined` for less than a minute. */
export function ago(ms: number): string | undefined {
  if (ms < MINUTE) return undefined;
  if (ms < HOUR) return written(Math.floor(ms / MINUTE), 'min');
  if (ms < DAY) return written(Math.floor(ms / HOUR), 'h');
  return written(Math.floor(ms / DAY), 'd');
}

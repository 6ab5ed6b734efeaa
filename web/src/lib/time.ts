/** Times in words. */
import { text } from '../text';

const {
  ms: [ms],
  s: [s],
  min: [min],
  h: [h],
  d: [d],
} = text.units;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const secondsFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const yearFormat = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** `350 ms`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. */
export function duration(time: number): string {
  if (time < SECOND) return `${Math.max(0, Math.round(time))} ${ms}`;
  if (time < MINUTE) return `${trimmed(time / SECOND)} ${s}`;
  return coarse(time);
}

/** As `duration`, in whole seconds: for what is counted down. */
export function countdown(time: number): string {
  const seconds = Math.max(0, Math.ceil(time / SECOND));
  return seconds < 60 ? `${seconds} ${s}` : coarse(seconds * SECOND);
}

function coarse(time: number): string {
  if (time < HOUR) return two(time, MINUTE, min, SECOND, s);
  if (time < DAY) return two(time, HOUR, h, MINUTE, min);
  return two(time, DAY, d, HOUR, h);
}

function two(time: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((time % large) / small);
  const first = `${Math.floor(time / large)} ${largeName}`;
  return rest === 0 ? first : `${first} ${rest} ${smallName}`;
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
export function ago(time: number): string | undefined {
  if (time < MINUTE) return undefined;
  if (time < HOUR) return `${Math.floor(time / MINUTE)} ${min}`;
  if (time < DAY) return `${Math.floor(time / HOUR)} ${h}`;
  return `${Math.floor(time / DAY)} ${d}`;
}

/** Bounds how much of the history the page holds: a page may be open for days, and a list has no end. */
import { matches, type Filter, type Message } from './model';

/** How far a list has been read. */
export interface Reading {
  /** The list is complete down to this id. */
  floor: string;
  /** Where the next page begins; `null` if there is none, `undefined` before the first. */
  next: string | null | undefined;
  /** Whether older messages were dropped, as there is no room for more. */
  full?: true;
}

export interface Held {
  /** Newest first. */
  readonly all: readonly Message[];
  readonly readings: Readonly<Partial<Record<Filter, Reading>>>;
}

export interface Most {
  messages: number;
  /** Of texts, in characters. */
  size: number;
}

export const MOST: Most = { messages: 20_000, size: 64 * 1024 * 1024 };

function size(message: Message): number {
  return message.body.length + (message.result?.length ?? 0) + (message.error?.length ?? 0);
}

/** How many of the newest messages may be kept: at least 1. */
export function room(all: readonly Message[], most: Most = MOST): number {
  let left = most.size;
  for (const [index, message] of all.entries()) {
    left -= size(message);
    if (index > 0 && (index >= most.messages || left < 0)) return index;
  }
  return all.length;
}

/**
 * Returns what is kept of `held`: the same object if there is room for all. Messages that the list being read (`reading`) does
 * not show are dropped first, then the oldest. Lists that lose messages are marked as having more.
 */
export function bounded(held: Held, reading?: Filter, most: Most = MOST): Held {
  if (room(held.all, most) === held.all.length) return held;
  const own = reading === undefined || reading === 'all' ? undefined : held.readings[reading];
  if (reading !== undefined && own !== undefined) {
    const all = held.all.filter((message) => matches(message, reading));
    if (all.length < held.all.length) return bounded({ all, readings: { [reading]: own } }, undefined, most);
  }
  const all = held.all.slice(0, room(held.all, most));
  const last = all.at(-1)?.id ?? '';
  const readings = Object.entries(held.readings).map(([filter, one]) => [
    filter,
    one.floor < last ? { floor: last, next: last, full: true } : one,
  ]);
  return { all, readings: Object.fromEntries(readings) as Held['readings'] };
}

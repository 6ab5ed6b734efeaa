/** How much of the history is held: a list can be read for ever, and a page lives for days. */
import { matches, type Filter, type Message } from './model';

/** How far a list has been read. */
export interface Reading {
  /** Everything from this id on is here. */
  floor: string;
  /** Where the next page begins; `null` if there is none, `undefined` before the first. */
  next: string | null | undefined;
  /** Older ones were let go: there is no room for them, and reading on is no use. */
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

/** How many of the newest there is room for: one in any case. */
export function room(all: readonly Message[], most: Most = MOST): number {
  let left = most.size;
  for (const [index, message] of all.entries()) {
    left -= size(message);
    if (index > 0 && (index >= most.messages || left < 0)) return index;
  }
  return all.length;
}

/**
 * What is kept of `held`; the same object if there is room for all. First goes what the list that is being read (`reading`)
 * does not show, then the oldest. Of lists that lose something it is known that they go on.
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

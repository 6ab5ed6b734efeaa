/** A message as the app knows it, and how that is updated. */
import type { Schemas } from '../api/client';

export type Status = Schemas['Status'];

/** The progress of a message that has not ended. */
export interface Progress {
  id: string;
  status: 'queued' | 'processing' | 'cancelled';
  run_at: string;
  attempts: number;
}

/** Times are milliseconds by the server's clock. */
export interface Message {
  readonly id: string;
  /** Names its row: the same from the moment it is sent. */
  readonly key: string;
  readonly body: string;
  readonly status: Status;
  readonly createdAt: number;
  readonly runAt: number;
  readonly attempts: number;
  readonly result: string | null;
  readonly error: string | null;
  readonly processedAt: number | null;
  readonly deliveredAt: number | null;
  /** When this was learned, by the monotonic clock of the page. */
  readonly learnedAt: number;
}

/** The phase that a reader sees. `due`: its time has come, but the worker has not taken it yet. */
export type Phase = 'queued' | 'due' | 'processing' | 'processed' | 'delivered' | 'dead' | 'cancelled';

/** Which messages a list shows. */
export type Filter = 'all' | 'queued' | 'processed' | 'dead' | 'cancelled';

/** Reads a message of the API. `learnedAt`: when it was requested. */
export function ofApi(message: Schemas['Message'], learnedAt: number): Message {
  return {
    id: message.id,
    key: message.id,
    body: message.body,
    status: message.status,
    createdAt: Date.parse(message.created_at),
    runAt: Date.parse(message.run_at),
    attempts: message.attempts,
    result: message.result ?? null,
    error: message.error ?? null,
    processedAt: time(message.processed_at),
    deliveredAt: time(message.delivered_at),
    learnedAt,
  };
}

/**
 * Reads the message of a notification: it has ended, and is delivered now. `known`: the message as known so far, for the text
 * if the notification leaves that out.
 */
export function ofNotification(
  { message }: Schemas['Notification'],
  serverNow: number,
  learnedAt: number,
  known?: Message,
): Message {
  // Both are there unless the message was deleted.
  const createdAt = time(message.created_at) ?? 0;
  return {
    id: message.id,
    key: message.id,
    body: message.body ?? known?.body ?? '',
    status: message.status,
    createdAt,
    runAt: createdAt,
    attempts: message.attempts,
    result: message.result ?? null,
    error: message.error ?? null,
    processedAt: time(message.processed_at),
    deliveredAt: serverNow,
    learnedAt,
  };
}

/** Reads the response to a send. */
export function ofAccepted(accepted: Schemas['AcceptedMessage'], body: string, key: string, learnedAt: number): Message {
  return {
    id: accepted.id,
    key,
    body,
    status: accepted.status,
    createdAt: Date.parse(accepted.created_at),
    runAt: Date.parse(accepted.run_at),
    attempts: 0,
    result: null,
    error: null,
    processedAt: null,
    deliveredAt: null,
    learnedAt,
  };
}

/** Updates `known` by `news`. Returns the same object if nothing changed. */
export function merged(known: Message | undefined, news: Message): Message {
  if (known === undefined) return news;
  // Requested before `known` was learned, so it may be out of date.
  if (news.learnedAt < known.learnedAt) return named(known, news);
  return {
    ...news,
    key: known.key === known.id ? news.key : known.key,
    // A notification does not know it.
    runAt: news.runAt === news.createdAt ? known.runAt : news.runAt,
    deliveredAt: isOpen(news) ? news.deliveredAt : (known.deliveredAt ?? news.deliveredAt),
  };
}

/**
 * Updates `known` by `progress`. Returns `undefined` if the message had ended already: progress and notifications come on
 * different topics in no order, so only the server knows its state.
 */
export function progressed(known: Message, { status, run_at, attempts }: Progress, learnedAt: number): Message | undefined {
  if (!isOpen(known)) return undefined;
  // The number of attempts only grows. Progress of an earlier attempt, or of one that is known to have failed, is late.
  const isLate = attempts < known.attempts || (status === 'processing' && known.status === 'queued' && attempts === known.attempts);
  if (isLate) return known;
  return { ...known, status, runAt: Date.parse(run_at), attempts, learnedAt };
}

/** Takes from an outdated response only what cannot have changed: the row that it belongs to, and when it was due. */
function named(known: Message, news: Message): Message {
  const key = known.key === known.id ? news.key : known.key;
  const runAt = known.runAt === known.createdAt ? news.runAt : known.runAt;
  return key === known.key && runAt === known.runAt ? known : { ...known, key, runAt };
}

export function isOpen(message: Message): boolean {
  return message.status === 'queued' || message.status === 'processing';
}

/** @param now by the server's clock. */
export function phase(message: Message, now: number): Phase {
  switch (message.status) {
    case 'queued':
      return now < message.runAt ? 'queued' : 'due';
    case 'processed':
      return message.deliveredAt === null ? 'processed' : 'delivered';
    default:
      return message.status;
  }
}

export function matches(message: Message, filter: Filter): boolean {
  if (filter === 'all') return true;
  return filter === 'queued' ? isOpen(message) : message.status === filter;
}

/** Where `id` is, or would be, in messages that are sorted newest first. */
export function position(messages: readonly Message[], id: string): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((messages[middle]?.id ?? '') > id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `messages` with `changes` and without those that are `gone`, newest first. */
export function withChanges(messages: readonly Message[], changes: Iterable<Message>, gone?: ReadonlySet<string>): Message[] {
  const next = messages.filter(({ id }) => gone?.has(id) !== true);
  const added: Message[] = [];
  for (const change of changes) {
    const at = position(next, change.id);
    if (next[at]?.id === change.id) next[at] = change;
    else added.push(change);
  }
  if (added.length === 0) return next;
  added.sort((a, b) => (a.id < b.id ? 1 : -1));
  const all: Message[] = [];
  let index = 0;
  for (const message of next) {
    for (let one = added[index]; one !== undefined && one.id > message.id; one = added[++index]) all.push(one);
    all.push(message);
  }
  return all.concat(added.slice(index));
}

function time(text: string | null | undefined): number | null {
  return text == null ? null : Date.parse(text);
}

/** The rows of the page of live messages. */
import type { Notification } from '../../lib/live/live.svelte';

/** A notification of any user. */
export interface ObservedNotification {
  kind: 'notification';
  key: string;
  user: string;
  /** When it came, by this device's clock. */
  at: number;
  notification: Notification;
}

/** A time without connection, by this device's clock. */
export interface Gap {
  kind: 'gap';
  key: string;
  from: number;
  at: number;
}

export type ObservedItem = ObservedNotification | Gap;

/** Whose topic it is: `users/NAME/notifications`. */
export function userOf(topic: string): string | undefined {
  const [users, name, notifications, ...more] = topic.split('/');
  return users === 'users' && notifications === 'notifications' && more.length === 0 ? name : undefined;
}

/** Reads a payload; `undefined` if it is no notification. */
export function read(topic: string, payload: string, key: string, at: number): ObservedNotification | undefined {
  const user = userOf(topic);
  if (user === undefined) return undefined;
  try {
    const notification = JSON.parse(payload) as Partial<Notification> | null;
    if (typeof notification?.seq !== 'number' || notification.message === undefined) return undefined;
    return { kind: 'notification', key, user, at, notification: notification as Notification };
  } catch {
    return undefined;
  }
}

/** Whether an item holds a text, whatever its case; each is looked at once. Gaps are always shown. */
export function matcher(filter: string): (item: ObservedItem) => boolean {
  const wanted = filter.trim().toLowerCase();
  const known = new WeakMap<ObservedItem, boolean>();
  return (item) => {
    if (wanted === '' || item.kind === 'gap') return true;
    let matches = known.get(item);
    if (matches === undefined) {
      const { body, result, error } = item.notification.message;
      matches = [item.user, body, result, error].some((text) => text?.toLowerCase().includes(wanted) === true);
      known.set(item, matches);
    }
    return matches;
  };
}

/** The browser's notifications while the page is hidden, and the count in the window's title. */
import { text } from '../text';
import { messages } from './messages/messages.svelte';
import type { Message } from './messages/model';
import { session } from './session.svelte';

/**
 * - `ask`: the browser will ask.
 * - `on`, `off`: allowed, and wanted or not.
 * - `denied`: the browser's permission was refused.
 * - `unsupported`: this browser has no notifications.
 */
type NotifyState = 'ask' | 'on' | 'off' | 'denied' | 'unsupported';

const WANTED = 'herald-notify';
const DISMISSED = 'herald-notify-dismissed';
/** Messages that end within this time share one notification. */
const TOGETHER_MS = 800;

class Notify {
  state = $state<NotifyState>('unsupported');
  dismissed = $state(localStorage.getItem(DISMISSED) !== null);
  /** How many ended since the page was seen last. */
  unseen = $state(0);

  #ended: Message[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Each notification with the id of its message, if it is about a single one. */
  #shown = new Map<Notification, string | undefined>();

  constructor() {
    this.#read();
    session.onLeave(() => {
      for (const shown of this.#shown.keys()) shown.close();
    });
    messages.onGone((id) => {
      this.#ended = this.#ended.filter((message) => message.id !== id);
      for (const [shown, of] of this.#shown) if (of === id) shown.close();
    });
    messages.onEnd((message) => {
      if (document.visibilityState === 'visible') return;
      this.unseen += 1;
      if (this.state !== 'on') return;
      this.#ended.push(message);
      if (this.#timer !== undefined) return;
      this.#timer = setTimeout(() => {
        this.#show();
      }, TOGETHER_MS);
    });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') {
        this.unseen = 0;
        this.#read();
      }
    });
  }

  async turnOn(): Promise<void> {
    localStorage.setItem(WANTED, 'yes');
    if (this.state !== 'unsupported') await Notification.requestPermission();
    this.#read();
  }

  turnOff(): void {
    localStorage.setItem(WANTED, 'no');
    this.#read();
  }

  dismiss(): void {
    localStorage.setItem(DISMISSED, 'yes');
    this.dismissed = true;
  }

  #read(): void {
    if (!('Notification' in globalThis)) this.state = 'unsupported';
    else if (Notification.permission === 'denied') this.state = 'denied';
    else if (Notification.permission === 'default') this.state = 'ask';
    else this.state = localStorage.getItem(WANTED) === 'no' ? 'off' : 'on';
  }

  #show(): void {
    this.#timer = undefined;
    const ended = this.#ended;
    this.#ended = [];
    const [first] = ended;
    if (first === undefined || document.visibilityState === 'visible') return;
    const failed = first.status === 'dead';
    const title =
      ended.length > 1 ? text.notify.several(ended.length) : failed ? text.notify.failed : text.notify.processed;
    const body = ended.length > 1 ? '' : failed ? (first.error ?? first.body) : (first.result ?? first.body);
    try {
      // With the same tag in two tabs, the later notification replaces the earlier.
      const shown = new Notification(title, { body: body.slice(0, 200), tag: first.id, icon: '/favicon.svg' });
      this.#shown.set(shown, ended.length > 1 ? undefined : first.id);
      shown.addEventListener('click', () => {
        window.focus();
        shown.close();
      });
      shown.addEventListener('close', () => {
        this.#shown.delete(shown);
      });
    } catch {
      // Some phones allow notifications to service workers only.
      this.state = 'unsupported';
    }
  }
}

export const notify = new Notify();

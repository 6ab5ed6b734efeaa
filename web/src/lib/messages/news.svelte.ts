/** Announces to screen readers what happens to the user's messages. */
import { text } from '../../text';
import { messages } from './messages.svelte';
import { outbox } from './outbox.svelte';
import { Tally } from './tally';

type News = 'queued' | 'waiting' | 'unsent' | 'delivered' | 'dead';

const words: Record<News, string> = {
  queued: text.status.queued,
  waiting: text.status.waiting,
  unsent: text.status.unsent,
  delivered: text.status.delivered,
  dead: text.status.dead,
};

class Announcements {
  /** Empty when nothing happened lately. */
  sentence = $state('');

  constructor() {
    const tally = new Tally<News>((counts) => {
      const sentence = [...counts].map(([news, n]) => text.messages.news(words[news], n)).join(' ');
      // Screen readers do not repeat an unchanged sentence: a space makes it differ from the last.
      this.sentence = sentence !== '' && sentence === this.sentence ? `${sentence}\u00a0` : sentence;
    });
    messages.onEnd(({ status }) => {
      tally.add(status === 'dead' ? 'dead' : 'delivered');
    });
    outbox.onNews((news) => {
      tally.add(news);
    });
  }
}

export const news = new Announcements();

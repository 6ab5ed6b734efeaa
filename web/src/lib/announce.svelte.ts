/** What is read out to who does not see it: what became of one's messages, in at most one sentence a second. */
import { text } from '../text';
import { messages } from './messages/messages.svelte';
import type { Message } from './messages/model';

const TOGETHER_MS = 1000;
const LONGEST = 100;

class Announcer {
  sentence = $state('');
  #ended: Message[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    messages.onEnd((message) => {
      this.#ended.push(message);
      if (this.#timer !== undefined) return;
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.sentence = told(this.#ended);
        this.#ended = [];
      }, TOGETHER_MS);
    });
  }

  /** Reads it out at once. */
  say(sentence: string): void {
    this.sentence = sentence;
  }
}

function told(ended: readonly Message[]): string {
  const words = text.announce;
  const failed = ended.filter(({ status }) => status === 'dead').length;
  const [first] = ended;
  if (first === undefined || ended.length > 1) return words.several(ended.length, failed);
  const body = first.body.slice(0, LONGEST);
  return failed === 1 ? words.failed(body) : words.delivered(body);
}

export const announcer = new Announcer();

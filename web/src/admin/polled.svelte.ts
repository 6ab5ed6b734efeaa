/** Data that a page polls, and why the last poll failed. */
import { onMount } from 'svelte';
import { poll, type Polling } from '../lib/poll';
import { say } from '../lib/say';

/** Made while a component is set up; ends with it. */
export class Polled<T> {
  data = $state.raw<T | undefined>();
  /** Why the last try failed; `data` is then that of before. */
  problem = $state<string | undefined>();
  #polling: Polling | undefined;

  constructor(read: (signal: AbortSignal) => Promise<T>, everyMs: number, onAnswer?: (answer: T) => void) {
    onMount(() => {
      this.#polling = poll({
        read,
        everyMs,
        onAnswer: (answer) => {
          this.data = answer;
          this.problem = undefined;
          onAnswer?.(answer);
        },
        onError: (error) => {
          this.problem = say(error);
        },
      });
      return () => {
        this.#polling?.stop();
      };
    });
  }

  /** Asks at once. */
  now(): void {
    this.#polling?.now();
  }
}

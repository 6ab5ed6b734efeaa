/** What one wrote is not lost with the tab: the browser asks before it is closed. */
import { outbox } from './messages/outbox.svelte';

let mayGo = false;

addEventListener('beforeunload', (event) => {
  if (!mayGo && outbox.isHolding) event.preventDefault();
});

/** Loads the page anew, without asking: the tab keeps what one wrote. */
export function loadAgain(): void {
  mayGo = true;
  location.reload();
}

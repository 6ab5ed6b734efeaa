/** Lets the browser ask before a tab is closed that has unsent messages or a draft. */
import { outbox } from './messages/outbox.svelte';

let mayGo = false;

addEventListener('beforeunload', (event) => {
  if (!mayGo && outbox.isHolding) event.preventDefault();
});

/** Reloads the page without asking: unsent messages are kept in the tab. */
export function loadAgain(): void {
  mayGo = true;
  location.reload();
}

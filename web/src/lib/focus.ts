/** Keeps the keyboard focus where it was. */
import { tick } from 'svelte';

/**
 * Moves the focus to `to`, or else to the page's heading, if the element that had it is gone once the page is rendered.
 */
export async function keepFocus(to?: () => HTMLElement | null | undefined): Promise<void> {
  await tick();
  const at = document.activeElement;
  if (at !== null && at !== document.body) return;
  (to?.() ?? document.querySelector('h1'))?.focus({ preventScroll: true });
}

/** Ignores clicks on busy buttons, and Enter in their forms: they have `aria-disabled`, with which they keep the focus. */
export function ignoreDisabled(event: MouseEvent): void {
  if (!(event.target instanceof Element) || event.target.closest('button[aria-disabled="true"]') === null) return;
  event.preventDefault();
  event.stopPropagation();
}

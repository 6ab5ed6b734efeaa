/** The keyboard's place on the page is kept. */
import { tick } from 'svelte';

/**
 * Once the page shows what has changed: if what had the focus is gone, the focus goes to `to`, and without that to the
 * page's heading, rather than to the beginning of the document.
 */
export async function keepFocus(to?: () => HTMLElement | null | undefined): Promise<void> {
  await tick();
  const at = document.activeElement;
  if (at !== null && at !== document.body) return;
  (to?.() ?? document.querySelector('h1'))?.focus({ preventScroll: true });
}

/** A button that is busy has `aria-disabled`, so that it keeps the focus: clicks on it, and Enter in its form, do nothing. */
export function ignoreDisabled(event: MouseEvent): void {
  if (!(event.target instanceof Element) || event.target.closest('button[aria-disabled="true"]') === null) return;
  event.preventDefault();
  event.stopPropagation();
}

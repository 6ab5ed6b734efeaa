// What the careful flows share.
const MESSAGES = '**/api/v1/messages';

export const box = (page) => page.getByRole('textbox', { name: 'Message', exact: true });
export const focused = (page, selector) => page.locator(`${selector}:focus`).waitFor({ state: 'attached' });

/** Lets no sends through, until the returned function is called. */
export async function cutSends(page) {
  await page.route(MESSAGES, (route) =>
    route.request().method() === 'POST' ? route.abort('connectionreset') : route.continue());
  return () => page.unroute(MESSAGES);
}

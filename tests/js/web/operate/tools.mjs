// What the flows of the pages Delay, Queue and Connections share.
import { fillSignIn, isLive, signIn } from '../browser.mjs';
import { ask } from '../steps.mjs';

/** An administrator on a page. */
export async function admin({ url, open }, path, options = {}) {
  const page = await (await open(options)).newPage();
  await page.goto(url + path);
  await fillSignIn(page, 'admin');
  await page.locator('h1').waitFor();
  return page;
}

/** A user on the page of messages. */
export async function user({ url, open }, name) {
  const page = await (await open()).newPage();
  await signIn(page, url, name);
  await isLive(page);
  return page;
}

export const inForce = (page, text) => page.locator('[data-in-force]', { hasText: text }).waitFor();
export const waiting = (page, n) => page.locator('[data-waiting]').getByText(String(n), { exact: true }).waitFor();
export const counted = (page, status, n) => page.locator(`[data-count="${status}"] dd`).getByText(String(n), { exact: true }).waitFor();
export const stored = (name) => ask('get', { user: 'admin', path: name === undefined ? '/admin/delay' : `/admin/users/${name}/delay` });

/** Chooses a user by name. */
export async function pick(page, name, within = page) {
  await within.getByRole('combobox', { name: 'User' }).fill(name);
  await page.getByRole('option', { name, exact: true }).click();
}

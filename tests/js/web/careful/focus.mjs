// Where the focus is.
import { fillSignIn, isLive, password, row, same, send } from '../browser.mjs';
import { focused } from './tools.mjs';

/** Notes what was on the page each time that nothing has the focus, when a task of the page is over. */
async function watchFocus(page) {
  await page.evaluate(() => {
    globalThis.lost = [];
    const look = () => {
      if (document.activeElement === document.body) globalThis.lost.push(document.querySelector('main').innerText.slice(0, 200));
    };
    // What changes the page hands the focus on within the same task.
    new MutationObserver(() => setTimeout(look)).observe(document.body, { childList: true, subtree: true, attributes: true });
  });
}

/** The delay is ten minutes. */
export async function focus({ url, open }) {
  const page = await (await open()).newPage();
  await page.goto(`${url}/tokens`);
  await page.getByLabel('User name').fill('alice');
  await page.getByLabel('Password').fill('not it');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('not right').waitFor();
  await focused(page, 'input[name=password]');
  // A page that is fetched, and one that is there.
  await fillSignIn(page, 'alice');
  await page.locator('h1:focus', { hasText: 'Access tokens' }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are signed out.').waitFor();
  await fillSignIn(page, 'alice');
  await page.locator('h1:focus', { hasText: 'Messages' }).waitFor({ state: 'attached' });
  await isLive(page);
  await watchFocus(page);

  // A button that is busy.
  await page.getByRole('link', { name: 'Account', exact: true }).click();
  await page.locator('h1:focus', { hasText: 'Account' }).waitFor();
  await page.getByLabel('Current password').fill(password('alice'));
  await page.getByLabel('New password').fill('another password');
  await page.getByRole('button', { name: 'Change the password' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('The password is changed.').waitFor();
  await focused(page, 'form button[type=submit][aria-disabled=false]');

  // A form that is gone.
  await page.getByRole('link', { name: 'Access tokens' }).click();
  await page.locator('h1:focus', { hasText: 'Access tokens' }).waitFor();
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('Backup');
  await page.getByRole('button', { name: 'Create the token' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('[data-token]').waitFor();
  await page.locator('dialog button:focus', { hasText: 'Copy' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  // A button that is gone; and from the details back to where one came from.
  await page.getByRole('link', { name: 'Messages', exact: true }).click();
  await page.locator('h1:focus', { hasText: 'Messages' }).waitFor({ state: 'attached' });
  for (const text of ['first', 'second', 'third']) await send(page, text);
  await row(page, 'third', 'queued').waitFor();
  await row(page, 'second', 'queued').focus();
  await page.keyboard.press('Enter');
  await focused(page, '#details-title');
  await page.getByRole('button', { name: 'Cancel the message' }).focus();
  await page.keyboard.press('Enter');
  await row(page, 'second', 'cancelled').waitFor();
  await focused(page, '#details-title');
  await page.keyboard.press('Escape');
  await page.locator('a[data-row]:focus', { hasText: 'second' }).waitFor();
  same(await page.evaluate(() => globalThis.lost), [], 'when nothing had the focus');

  // One came by the address: back is where the message is.
  await page.locator('a[data-row]', { hasText: 'first' }).click();
  await focused(page, '#details-title');
  await page.reload();
  await page.getByRole('region', { name: 'Message' }).getByText('Accepted').waitFor();
  await row(page, 'first').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('a[data-row]:focus', { hasText: 'first' }).waitFor();
}

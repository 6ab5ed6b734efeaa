// Toasts over a dialog.
import { assert, same, signIn } from '../browser.mjs';

export async function toasts({ url, open }) {
  const context = await open();
  await context.addInitScript(() => {
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new Error('no')) } });
  });
  const page = await context.newPage();
  await signIn(page, url, 'alice');
  await page.goto(`${url}/tokens`);
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('Backup');
  await page.getByRole('button', { name: 'Create the token' }).click();
  await page.locator('[data-token]').waitFor();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Copy' }).click();
  // In the dialog: what is outside of it is hidden from screen readers, and not to be clicked at.
  const toast = dialog.getByRole('status').getByText('did not let it be copied');
  await toast.waitFor();
  same(await page.getByText('did not let it be copied').count(), 1, 'toasts');
  const isOnTop = await toast.evaluate((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(left + width / 2, top + height / 2));
  });
  assert(isOnTop, 'the toast is covered');
  // It stays when the dialog goes.
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByText('did not let it be copied').waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByText('did not let it be copied').waitFor({ state: 'detached' });
}

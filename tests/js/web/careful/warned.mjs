// The warning of the default password leads to where it is changed.
import { assert, signIn } from '../browser.mjs';
import { ask } from '../steps.mjs';

export async function warned({ url, open }) {
  const page = await (await open()).newPage();
  await signIn(page, url, 'admin');
  const change = page.getByRole('main').getByRole('link', { name: 'Change it' });
  const { height } = await change.boundingBox();
  assert(height >= 24, `a link of ${height} px`);
  await change.click();
  await page.getByLabel('Current password').waitFor();
  await ask('administrator', { user: 'carol' });

  const other = await (await open()).newPage();
  await signIn(other, url, 'carol');
  await other.getByRole('main').getByRole('link', { name: 'Change it' }).click();
  const dialog = other.getByRole('dialog');
  await dialog.getByLabel('New password').fill('nobody knows this');
  await dialog.getByRole('button', { name: 'Set the password' }).click();
  await dialog.getByText('admin has a new password').waitFor();
  await other.getByText('everyone knows').waitFor({ state: 'detached' });
  // The audit's names are large enough to be hit.
  await other.goto(`${url}/admin/audit`);
  const name = other.locator('[data-action] a').first();
  await name.waitFor();
  const box = await name.boundingBox();
  assert(box.height >= 24, `a name of ${box.height} px`);
}

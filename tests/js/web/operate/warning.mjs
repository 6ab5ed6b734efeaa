// The warning of the default password.
import { same } from '../browser.mjs';
import { admin, user } from './tools.mjs';

export async function warning(world) {
  const page = await admin(world, '/admin/queue');
  const warning = page.getByText('The account admin still has the password admin');
  await warning.waitFor();
  const alice = await user(world, 'alice');
  same(await alice.getByText('still has the password').count(), 0, 'warnings for alice');
  await page.getByRole('link', { name: 'Change it' }).click();
  await page.getByLabel('Current password').fill('admin');
  await page.getByLabel('New password').fill('something better');
  await page.getByRole('button', { name: 'Change the password' }).click();
  await page.getByText('The password is changed.').waitFor();
  await warning.waitFor({ state: 'detached' });
  await page.reload();
  await page.getByRole('heading', { name: 'Account', exact: true }).waitFor();
  same(await warning.count(), 0, 'warnings after the change');
}

// Users: accounts from their making to their end.
import { assert, fillSignIn, isLive, password, same } from '../browser.mjs';
import { account, apiOf, close, create, look, manage, pageOf } from './tools.mjs';

/** Made, signed in, given another role and password, locked and let in again. */
export async function users(world) {
  const { url, open } = world;
  const page = await pageOf(world, 'admin');
  await page.getByRole('link', { name: 'Users' }).click();
  await account(page, 'bob').waitFor();

  await page.getByRole('button', { name: 'New user' }).click();
  const making = page.getByRole('dialog', { name: 'New user' });
  await look(page, 'user-new');
  await making.getByLabel('User name').fill('Carol!');
  await making.getByLabel('Password').fill('short');
  await making.getByRole('button', { name: 'Create the account' }).click();
  await making.getByText('begin with a letter').waitFor();
  await making.locator('.error', { hasText: 'At least 8 characters.' }).waitFor();
  await look(page, 'user-new-wrong');
  await making.getByLabel('User name').fill('alice');
  await making.getByLabel('Password').fill(password('carol'));
  await making.getByRole('button', { name: 'Create the account' }).click();
  await making.getByText('Somebody has this name already.').waitFor();
  await look(page, 'user-new-taken');
  await making.getByLabel('User name').fill('carol');
  await making.getByRole('button', { name: 'Create the account' }).click();
  await making.waitFor({ state: 'detached' });
  await account(page, 'carol').waitFor();

  const carol = await pageOf(world, 'carol');
  same(await carol.getByRole('heading', { name: 'Administration' }).count(), 0, 'navigation of administrators');

  // Both ways without loading the page anew.
  let dialog = await manage(page, 'carol');
  await look(page, 'user-manage');
  await dialog.getByRole('radio', { name: 'Administrator' }).check();
  await look(page, 'user-manage-role');
  await dialog.getByRole('button', { name: 'Save the role' }).click();
  await dialog.getByText('carol has the role Administrator now.').waitFor();
  await carol.getByRole('heading', { name: 'Administration' }).waitFor();
  await carol.getByRole('link', { name: 'Users' }).click();
  await account(carol, 'alice').waitFor();
  await dialog.getByRole('radio', { name: 'User' }).check();
  await dialog.getByRole('button', { name: 'Save the role' }).click();
  await carol.getByRole('heading', { name: 'You are no longer an administrator' }).first().waitFor();
  same(await carol.getByRole('heading', { name: 'Administration' }).count(), 0, 'navigation of administrators');
  await carol.getByRole('link', { name: 'Go to your messages' }).click();
  await isLive(carol);

  await dialog.getByLabel('New password').fill('short');
  await dialog.getByRole('button', { name: 'Set the password' }).click();
  await dialog.locator('.error', { hasText: 'At least 8 characters.' }).waitFor();
  await look(page, 'user-manage-wrong');
  await dialog.getByLabel('New password').fill('what carol is told');
  await dialog.getByRole('button', { name: 'Set the password' }).click();
  await dialog.getByText('carol has a new password.').waitFor();
  same(await dialog.getByLabel('New password').inputValue(), '', 'the password, still there');
  await carol.getByText('Your session has ended.').waitFor();
  await fillSignIn(carol, 'carol');
  await carol.getByText('not right').waitFor();
  await fillSignIn(carol, 'carol', 'what carol is told');
  await isLive(carol);

  await dialog.getByRole('button', { name: 'Lock the account' }).click();
  await dialog.getByText('carol is locked.').waitFor();
  await carol.getByText('Your session has ended.').waitFor();
  await fillSignIn(carol, 'carol', 'what carol is told');
  await carol.getByText('not right').waitFor();
  await look(page, 'user-manage-locked');
  await close(dialog);
  await account(page, 'carol').getByText('Locked').waitFor();
  await look(page, 'users-locked');
  dialog = await manage(page, 'carol');
  await dialog.getByRole('button', { name: 'Unlock the account' }).click();
  await dialog.getByText('carol can sign in again.').waitFor();
  await fillSignIn(carol, 'carol', 'what carol is told');
  await isLive(carol);
  await close(dialog);
  same(await account(page, 'carol').getByText('Locked').count(), 0, 'tags of a locked account');
}

/** Deleted, once the name was typed; others can have it then. */
export async function deleting(world) {
  const { url } = world;
  const page = await pageOf(world, 'admin');
  const bob = await pageOf(world, 'bob');
  await page.getByRole('link', { name: 'Users' }).click();
  const managing = await manage(page, 'bob');
  await managing.getByRole('button', { name: 'Delete the account' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete bob?' });
  const button = dialog.getByRole('button', { name: 'Delete the account' });
  await look(page, 'user-delete');
  await dialog.getByLabel('Type bob to confirm').fill('bobby');
  assert(await button.isDisabled(), 'deleted by another name');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await account(page, 'bob').waitFor();
  await isLive(bob);

  await (await manage(page, 'bob')).getByRole('button', { name: 'Delete the account' }).click();
  same(await dialog.getByLabel('Type bob to confirm').inputValue(), '', 'what was typed before');
  await dialog.getByLabel('Type bob to confirm').fill('bob');
  await button.click();
  await page.getByText('bob is deleted.').waitFor();
  await account(page, 'bob').waitFor({ state: 'detached' });
  await bob.getByText('Your session has ended.').waitFor();
  await fillSignIn(bob, 'bob');
  await bob.getByText('not right').waitFor();
  const api = await apiOf(url, 'admin');
  same((await api.get('/admin/users/bob')).status, 404, 'the account');
  // An address that leads to nobody.
  await page.goto(`${url}/admin/users?user=bob`);
  await page.getByText('There is no account bob.').waitFor();
  await look(page, 'user-gone');
}

/** One who is alone can neither be locked nor demoted nor deleted; one of two can. */
export async function lastAdministrator(world) {
  const { url } = world;
  const why = 'This is the only administrator who can sign in.';
  const page = await pageOf(world, 'admin');
  const api = await apiOf(url, 'admin');
  await page.getByRole('link', { name: 'Users' }).click();
  let dialog = await manage(page, 'admin');
  const lock = async () => {
    await dialog.getByRole('button', { name: 'Lock the account' }).click();
    const asking = page.getByRole('dialog', { name: 'Lock yourself out?' });
    await look(page, 'user-self-lock');
    await asking.getByRole('button', { name: 'Lock the account' }).click();
    await asking.waitFor({ state: 'detached' });
  };
  const giveUp = async () => {
    await dialog.getByRole('radio', { name: 'User' }).check();
    await dialog.getByRole('button', { name: 'Save the role' }).click();
    const asking = page.getByRole('dialog', { name: 'Give up administration?' });
    await look(page, 'user-self-role');
    await asking.getByRole('button', { name: 'Give it up' }).click();
    await asking.waitFor({ state: 'detached' });
  };
  await lock();
  await dialog.getByText(why).waitFor();
  await giveUp();
  await dialog.getByText(why).nth(1).waitFor();
  await look(page, 'user-last');
  const { role, disabled } = (await api.get('/admin/users/admin')).body;
  same([role, disabled], ['admin', false], 'the last administrator');
  await dialog.getByRole('button', { name: 'Delete the account' }).click();
  dialog = page.getByRole('dialog', { name: 'Delete admin?' });
  await dialog.getByLabel('Type admin to confirm').fill('admin');
  await dialog.getByRole('button', { name: 'Delete the account' }).click();
  await dialog.getByText(why).waitFor();
  await look(page, 'user-last-delete');
  await close(dialog);

  await create(api, ['root'], 'admin');
  dialog = await manage(page, 'admin');
  await giveUp();
  await page.getByRole('heading', { name: 'You are no longer an administrator' }).first().waitFor();
  await look(page, 'no-longer');
  await page.getByRole('link', { name: 'Go to your messages' }).click();
  await isLive(page);
  same((await api.get('/admin/users')).status, 403, 'the accounts, for one who gave up');
}

/** More accounts than a page holds. */
export async function many(world) {
  const { url } = world;
  const names = Array.from({ length: 60 }, (_, n) => `crew-${String(n).padStart(2, '0')}`);
  await create(await apiOf(url, 'admin'), names);
  const page = await pageOf(world, 'admin');
  await page.getByRole('link', { name: 'Users' }).click();
  await account(page, 'crew-10').waitFor();
  same(await account(page, 'crew-59').count(), 0, 'the last one on the first page');
  await page.getByRole('button', { name: 'Load more' }).click();
  await account(page, 'crew-59').waitFor();
  same(await page.locator('[data-user]').count(), 63, 'accounts');
  same(await page.getByRole('button', { name: 'Load more' }).count(), 0, 'buttons for more');
  await look(page, 'users-many');
  // One need not come so far to find one.
  await page.reload();
  const find = page.getByRole('combobox', { name: 'User' });
  await find.fill('crew-5');
  await page.getByRole('option', { name: 'crew-57' }).waitFor();
  await look(page, 'users-find');
  await page.getByRole('option', { name: 'crew-53' }).click();
  const dialog = page.getByRole('dialog', { name: 'crew-53' });
  await dialog.getByRole('heading', { name: 'Access' }).waitFor();
  await close(dialog);
}

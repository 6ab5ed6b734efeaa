// Each of the four pages, without a mouse.
import { isLive, row, same, send } from '../browser.mjs';
import { account, pageOf, tabTo } from './tools.mjs';

export async function keyboard(world) {
  const page = await pageOf(world, 'admin');
  const bob = await pageOf(world, 'bob');
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const type = (text) => page.keyboard.type(text);
  const goTo = async (name) => {
    await tabTo(page, page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }), { back: true });
    await press('Enter');
    await page.locator('h1:focus', { hasText: name }).waitFor();
  };

  await goTo('Users');
  await tabTo(page, page.getByRole('button', { name: 'New user' }));
  await press('Enter');
  await page.getByRole('dialog', { name: 'New user' }).getByLabel('User name').and(page.locator(':focus')).waitFor();
  await type('carol');
  await press('Tab');
  await type('password of carol');
  await press('Tab', 'ArrowDown', 'Enter');
  await account(page, 'carol').getByText('Administrator').waitFor();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'New user' }).and(page.locator(':focus')).waitFor();
  await tabTo(page, page.getByRole('link', { name: 'Manage carol' }));
  await press('Enter');
  await tabTo(page, page.getByRole('button', { name: 'Lock the account' }));
  await press('Enter');
  await page.getByText('carol is locked.').waitFor();
  await page.getByRole('button', { name: 'Unlock the account' }).and(page.locator(':focus')).waitFor();
  await press('Escape');
  await page.getByRole('link', { name: 'Manage carol' }).and(page.locator(':focus')).waitFor();
  // Found by name, and deleted.
  await tabTo(page, page.getByRole('combobox', { name: 'User' }), { back: true });
  await type('ali');
  await page.getByRole('option', { name: 'alice', selected: true }).waitFor();
  await press('Enter');
  await page.getByRole('dialog', { name: 'alice' }).waitFor();
  await tabTo(page, page.getByRole('button', { name: 'Delete the account' }));
  await press('Enter');
  await page.getByLabel('Type alice to confirm').and(page.locator(':focus')).waitFor();
  await type('alice');
  await press('Enter');
  await account(page, 'alice').waitFor({ state: 'detached' });
  await page.getByRole('combobox', { name: 'User' }).and(page.locator(':focus')).waitFor();

  await goTo('Access rules');
  await tabTo(page, page.getByRole('button', { name: 'New rule' }));
  await press('Enter');
  await tabTo(page, page.getByRole('radio', { name: 'Allow' }));
  await press('ArrowRight', 'Tab');
  await type('Every');
  await tabTo(page, page.getByLabel('Topics'));
  await type('cellar/#');
  await press('Enter');
  const made = page.getByRole('button', { name: 'Edit: Everyone may neither publish nor subscribe to cellar/#' });
  await made.waitFor();
  await page.getByRole('button', { name: 'New rule' }).and(page.locator(':focus')).waitFor();
  await tabTo(page, page.getByRole('region', { name: 'Try it' }).getByLabel('User name'));
  await type('bob');
  await press('Tab', 'ArrowLeft', 'Tab');
  await type('cellar/lamp');
  await press('Enter');
  await tabTo(page, page.getByRole('button', { name: 'Show it in the list' }));
  await press('Enter');
  await made.and(page.locator(':focus')).waitFor();
  await press('Tab', 'Enter');
  await tabTo(page, page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }));
  await press('Enter');
  await made.waitFor({ state: 'detached' });
  await page.locator('h1:focus').waitFor();

  await goTo('Audit');
  await tabTo(page, page.getByLabel('What'));
  await type('User del');
  await page.waitForURL('**?action=user.deleted');
  const entries = page.getByRole('list', { name: 'Entries' }).getByRole('listitem');
  await entries.filter({ hasText: 'admin deleted the account alice' }).waitFor();
  await tabTo(page, page.getByLabel('Who'));
  await type('bob');
  await press('Enter');
  await page.getByText('No entry is like this.').waitFor();
  await tabTo(page, page.getByRole('button', { name: 'Clear' }));
  await press('Enter');
  await entries.filter({ hasText: 'admin made an access rule' }).waitFor();
  await page.getByLabel('What').and(page.locator(':focus')).waitFor();

  await goTo('Live messages');
  await page.locator('[data-live-messages="live"]').waitFor();
  for (const text of ['one', 'two']) {
    await send(bob, text);
    await row(bob, text, 'delivered').waitFor();
  }
  const list = page.getByRole('list', { name: 'Notifications' });
  await list.getByRole('button', { name: 'two' }).waitFor();
  await tabTo(page, page.getByRole('button', { name: 'Pause' }));
  await press('Space');
  await page.getByText('Paused').waitFor();
  await press('Space');
  await page.getByText('Listening').waitFor();
  await tabTo(page, list.getByRole('button', { name: 'two' }));
  await press('ArrowDown', 'Enter');
  await page.getByRole('dialog', { name: 'Notification' }).getByRole('region', { name: 'Text' }).getByText('one').waitFor();
  await press('Escape');
  await list.getByRole('button', { name: 'one' }).and(page.locator(':focus')).waitFor();
  await tabTo(page, page.getByRole('searchbox', { name: 'Search' }), { back: true });
  await type('two');
  await page.getByText('1 of 2').waitFor();
  await isLive(page);
  same(await list.getByRole('button').count(), 1, 'notifications that are found');
}

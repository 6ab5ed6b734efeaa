// The audit: who did what, and no secrets.
import { assert, fillSignIn, password, same } from '../browser.mjs';
import { account, apiOf, close, look, manage, overhear, pageOf } from './tools.mjs';

const SECRETS = ['what dave is given first', 'what dave is given next', 'what nobody has'];

/** What was done on the other pages is there; by action, by actor, page by page. */
export async function audit(world) {
  const { url, open } = world;
  const page = await pageOf(world, 'admin');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
  await page.getByRole('link', { name: 'Users' }).click();
  await page.getByRole('button', { name: 'New user' }).click();
  await page.getByRole('dialog').getByLabel('User name').fill('dave');
  await page.getByRole('dialog').getByLabel('Password').fill(SECRETS[0]);
  await page.getByRole('dialog').getByRole('button', { name: 'Create the account' }).click();
  await account(page, 'dave').waitFor();
  let dialog = await manage(page, 'dave');
  await dialog.getByLabel('New password').fill(SECRETS[1]);
  await dialog.getByRole('button', { name: 'Set the password' }).click();
  await dialog.getByText('dave has a new password.').waitFor();
  await dialog.getByRole('radio', { name: 'Administrator' }).check();
  await dialog.getByRole('button', { name: 'Save the role' }).click();
  await dialog.getByText('dave has the role Administrator now.').waitFor();
  await dialog.getByRole('button', { name: 'Lock the account' }).click();
  await dialog.getByText('dave is locked.').waitFor();
  await close(dialog);
  await page.getByRole('link', { name: 'Access rules' }).click();
  await page.getByRole('button', { name: 'New rule' }).click();
  await page.getByRole('dialog').getByLabel('Topics').fill('rooms/%u/#');
  await page.getByRole('dialog').getByRole('button', { name: 'Make the rule' }).click();
  await page.getByRole('button', { name: 'Delete: Users may publish and subscribe to rooms/%u/#' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('The rule is deleted').waitFor();
  // Somebody who may not, and somebody who is nobody.
  const alice = await apiOf(url, 'alice');
  same((await alice.get('/admin/users')).status, 403, 'the accounts, for alice');
  const stranger = await (await open()).newPage();
  await stranger.goto(url);
  await fillSignIn(stranger, 'bob', SECRETS[2]);
  await stranger.getByText('not right').waitFor();

  const heard = overhear(page);
  const entries = page.getByRole('list', { name: 'Entries' }).getByRole('listitem');
  const entry = (...texts) => texts.reduce((found, hasText) => found.filter({ hasText }), entries);
  await page.getByRole('link', { name: 'Audit' }).click();
  await entry('admin created the account dave', 'role User', 'from 127.0.0.1').waitFor();
  await entry('admin changed the account dave', 'new password').waitFor();
  await entry('admin changed the account dave', 'role Administrator').waitFor();
  await entry('admin changed the account dave', 'locked').waitFor();
  await entry('admin made an access rule', 'Users may publish and subscribe to rooms/%u/#').waitFor();
  await entry('admin deleted an access rule', 'Users may publish and subscribe to rooms/%u/#').waitFor();
  await entry('alice was denied', 'administrators only').waitFor();
  await entry('Somebody tried to sign in as bob', 'wrong password').waitFor();
  await look(page, 'audit');
  await entry('admin deleted an access rule').getByRole('button', { name: 'Copy the request id' }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert(/^[0-9a-f-]{36}$/.test(copied), `the request id: ${copied}`);

  await page.getByLabel('What').selectOption('User changed');
  await entry('made an access rule').waitFor({ state: 'detached' });
  same(await entries.count(), 3, 'changes of accounts');
  assert(page.url().endsWith('?action=user.changed'), 'the filter has an address');
  await page.getByLabel('Who').fill('alice');
  await page.getByLabel('Who').press('Enter');
  await page.getByText('No entry is like this.').waitFor();
  await look(page, 'audit-none');
  await page.getByRole('button', { name: 'Clear' }).click();
  await entry('admin created the account dave').waitFor();
  await page.getByLabel('Who').fill('Not a name');
  await page.getByLabel('Who').press('Enter');
  await page.getByText('This is no user name.').waitFor();
  await look(page, 'audit-bad-name');
  await page.getByLabel('Who').fill('alice');
  await page.getByLabel('Who').press('Enter');
  await entry('admin created the account dave').waitFor({ state: 'detached' });
  await entry('alice signed in').waitFor();
  await page.reload();
  await entry('alice was denied').waitFor();
  same(await entry('admin created').count(), 0, "the administrator's among alice's");
  // Names lead on.
  await page.getByRole('button', { name: 'Clear' }).click();
  await entry('admin changed the account dave', 'locked').getByRole('link', { name: 'dave' }).click();
  dialog = page.getByRole('dialog', { name: 'dave' });
  await dialog.getByRole('link', { name: 'What they did' }).click();
  await page.getByText('No entry is like this.').waitFor();
  same(await page.getByLabel('Who').inputValue(), 'dave', 'the filter');
  await page.getByRole('button', { name: 'Clear' }).click();

  // More than a page holds, and what came meanwhile.
  const api = await apiOf(url, 'admin');
  for (let n = 0; n < 40; n++) {
    const { body } = await api.post('/admin/acl/rules', { subject: 'everyone', action: 'both', effect: 'allow', filter: `lamps/${n}` });
    await api.delete(`/admin/acl/rules/${body.id}`);
  }
  await page.getByRole('button', { name: 'Look again' }).click();
  await entry('lamps/39').first().waitFor();
  same(await entry('lamps/0').count(), 0, 'the first one on the first page');
  await page.getByRole('button', { name: 'Load more' }).click();
  await entry('lamps/0').first().waitFor();
  await page.getByRole('button', { name: 'Load more' }).waitFor({ state: 'detached' });
  await entry('admin created the account dave').waitFor();

  const all = `${await page.content()} ${heard.join(' ')}`;
  assert(all.includes('user.created'), 'nothing was overheard');
  for (const secret of [...SECRETS, password('alice'), password('bob')]) assert(!all.includes(secret), `${secret} is told`);
}

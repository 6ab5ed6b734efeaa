// An administrator whose role is taken away while pages are open.
import { assert, isLive, row, same, send } from '../browser.mjs';
import { account, apiOf, create, manage, overhear, pageOf, until } from './tools.mjs';

const TOLD = 'You are no longer an administrator';

/** Each page says so at once, and neither shows nor hears anything of others after that. */
export async function demoted(world) {
  const { url } = world;
  await create(await apiOf(url, 'admin'), ['carol'], 'admin');
  const page = await pageOf(world, 'admin');
  const alice = await pageOf(world, 'alice');
  const first = await pageOf(world, 'carol');
  const pages = [];
  for (const [path, shown] of [
    ['/admin/users?user=bob', 'Delete the account'],
    ['/admin/rules', 'users/%u/#'],
    ['/admin/audit', 'admin created the account carol'],
    ['/admin/live', 'Listening'],
  ]) {
    const open = pages.length === 0 ? first : await first.context().newPage();
    const heard = overhear(open);
    await open.goto(url + path);
    await isLive(open);
    await open.getByText(shown).first().waitFor();
    pages.push({ open, heard });
  }
  const [, , , live] = pages;
  await send(alice, 'for administrators, too');
  await live.open.getByText('for administrators, too').first().waitFor();

  await page.getByRole('link', { name: 'Users' }).click();
  const dialog = await manage(page, 'carol');
  await dialog.getByRole('radio', { name: 'User' }).check();
  await dialog.getByRole('button', { name: 'Save the role' }).click();
  for (const { open } of pages) {
    await open.getByRole('heading', { name: TOLD }).first().waitFor();
    await isLive(open);
    const left = await open.locator('main').innerText();
    assert(!/alice|bob|admin created/.test(left), `still shown: ${left}`);
    same(await open.getByRole('heading', { name: 'Administration' }).count(), 0, 'navigation of administrators');
    same(await open.getByRole('dialog').count(), 0, 'dialogs');
  }
  for (const { heard } of pages) heard.length = 0;
  await send(alice, 'not for carol');
  await row(alice, 'not for carol', 'delivered').waitFor();
  // What came after it shows that it would have come.
  for (const { open } of pages) await open.getByRole('link', { name: 'Go to your messages' }).click();
  await send(live.open, 'of carol');
  for (const { open, heard } of pages) {
    await row(open, 'of carol', 'delivered').waitFor();
    const all = heard.join('\n');
    assert(all.includes('of carol'), 'nothing was overheard');
    assert(!/not for carol|alice/.test(all), `heard of alice: ${all}`);
  }
  // The addresses are those of nothing now, also after a reload.
  await live.open.goto(`${url}/admin/live`);
  await live.open.getByRole('heading', { name: 'There is nothing here', level: 2 }).waitFor();

  // And back: where one is, without loading the page anew. A connection that comes about meanwhile would be ended, too, and
  // what is sent then would be missed.
  await isLive(live.open);
  await dialog.getByRole('radio', { name: 'Administrator' }).check();
  await dialog.getByRole('button', { name: 'Save the role' }).click();
  await live.open.locator('[data-live-messages="live"]').waitFor();
  await send(alice, 'for carol again');
  await live.open.getByText('for carol again').first().waitFor();

  // Without a connection the page learns of it when a request is refused.
  const quiet = await pageOf(world, 'carol');
  await quiet.getByRole('link', { name: 'Users' }).click();
  await account(quiet, 'alice').waitFor();
  await quiet.route('**/api/v1/auth/mqtt', (route) => route.abort('connectionreset'));
  const other = await apiOf(url, 'admin');
  same((await other.patch('/admin/users/carol', { role: 'user' })).status, 200, 'the change');
  await until('a refusal', async () => {
    const button = quiet.getByRole('link', { name: 'Manage alice' });
    if (await button.count() > 0) await button.click({ timeout: 1000 }).catch(() => {});
    return (await quiet.getByRole('heading', { name: TOLD }).count()) > 0;
  });
}

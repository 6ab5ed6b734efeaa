// Live messages: everyone's notifications, for administrators alone.
import { assert, isLive, row, same, send, signIn } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { clientOf } from './mqtt.mjs';
import { apiOf, close, look, overhear, pageOf } from './tools.mjs';

/** Notifications of two users, as they come. */
export async function liveMessages(world) {
  const page = await pageOf(world, 'admin');
  const [alice, bob] = [await pageOf(world, 'alice'), await pageOf(world, 'bob')];
  await page.getByRole('link', { name: 'Live messages' }).click();
  await page.getByText('Nothing yet').waitFor();
  await page.locator('[data-live-messages="live"]').waitFor();
  await look(page, 'live-empty');
  const list = page.getByRole('list', { name: 'Notifications' });
  const shown = (user, text) => list.locator(`[data-user="${user}"]`, { hasText: text });
  for (let n = 0; n < 3; n++) {
    await send(alice, `alice waters plant ${n}.`);
    await send(bob, `bob feeds cat ${n}.`);
  }
  for (let n = 0; n < 3; n++) {
    await shown('alice', `plant ${n}.`).getByText('Processed').waitFor();
    await shown('bob', `cat ${n}.`).getByText('Processed').waitFor();
  }
  await send(bob, 'fail: the cat is gone');
  await shown('bob', 'the cat is gone').getByText('Failed').waitFor();
  await page.getByText('7 notifications').waitFor();
  await look(page, 'live');
  await shown('bob', 'the cat is gone').click();
  const details = page.getByRole('dialog', { name: 'Notification' });
  await details.getByText('the service answered 422').first().waitFor();
  await look(page, 'live-details');
  await close(details);

  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Paused').waitFor();
  await send(alice, 'meanwhile');
  await row(alice, 'meanwhile', 'delivered').waitFor();
  await page.getByText('1 new one').waitFor();
  same(await shown('alice', 'meanwhile').count(), 0, 'shown while it is paused');
  await look(page, 'live-paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await shown('alice', 'meanwhile').waitFor();

  const search = page.getByRole('searchbox', { name: 'Search' });
  await search.fill('CAT');
  await shown('alice', 'plant').first().waitFor({ state: 'detached' });
  await page.getByText('4 of 8').waitFor();
  await search.fill('nobody says this');
  await page.getByText('No notification holds this text.').waitFor();
  await look(page, 'live-none');
  await search.fill('');
  await shown('alice', 'meanwhile').waitFor();

  // What happens while there is no connection is missing, and that is said.
  await ask('kill');
  await page.getByText('what happens meanwhile is not shown here').waitFor();
  await look(page, 'live-lost');
  await ask('start');
  const isBack = list.getByText(/Not connected from .* to/).waitFor();
  // It may be back by itself before that.
  const tried = page.getByRole('button', { name: 'Try now' }).last().click();
  tried.catch(() => {});
  await Promise.race([isBack, tried]);
  await isBack;
  await page.locator('[data-live-messages="live"]').waitFor();
  await isLive(bob);
  await send(bob, 'back again');
  await shown('bob', 'back again').waitFor();
  await look(page, 'live-gap');

  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('Nothing yet').waitFor();
  await send(bob, 'after that');
  await shown('bob', 'after that').waitFor();
  same(await list.getByRole('button').count(), 1, 'notifications after clearing');

  // The path that this page had earlier leads to it.
  await page.goto(`${world.url}/admin/tap?filter=cat`);
  await page.waitForURL('**/admin/live?filter=cat');
  same(await search.inputValue(), 'cat', 'the search');
}

/** One who is no administrator finds none of these pages, and hears nothing. */
export async function closed(world) {
  const { url, open } = world;
  const bob = await (await open()).newPage();
  const heard = overhear(bob);
  await signIn(bob, url, 'bob');
  const alice = await pageOf(world, 'alice');
  for (const path of ['users', 'rules', 'audit', 'live']) {
    await bob.goto(`${url}/admin/${path}`);
    await bob.getByRole('heading', { name: 'There is nothing here', level: 2 }).waitFor();
    await isLive(bob);
    await send(alice, `secret ${path}`);
    await row(alice, `secret ${path}`, 'delivered').waitFor();
  }
  await bob.getByRole('link', { name: 'Go to your messages' }).click();
  await send(bob, 'my own');
  await row(bob, 'my own', 'delivered').waitFor();
  const all = heard.join('\n');
  assert(all.includes('my own'), 'nothing was overheard');
  assert(!/secret|alice/.test(all), `bob heard of alice: ${all}`);
  assert(!all.includes('/api/v1/admin'), 'the page asked for what is not for bob');
  // Nor does one who goes there without the app.
  const api = await apiOf(url, 'bob');
  for (const path of ['users', 'users/alice', 'acl/rules', 'audit']) same((await api.get(`/admin/${path}`)).status, 403, path);
  const client = await clientOf(url, 'bob');
  for (const topic of ['users/+/notifications', 'users/#', '#', 'users/alice/notifications']) {
    same(await client.subscribe(topic), false, topic);
  }
  await client.end();
}

// The queue: paused and resumed, and its last hour.
import { assert, photograph, row, same, send } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { admin, counted, user } from './tools.mjs';

export async function queue(world) {
  const { url } = world;
  const page = await admin(world, '/admin/queue');
  const alice = await user(world, 'alice');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.locator('[data-queue="paused"]').waitFor();
  for (const text of ['one.', 'two.', 'three.']) await send(alice, text);
  await counted(page, 'queued', 3);
  await page.getByText('3 messages wait until it is resumed').waitFor();
  same((await ask('get', { user: 'admin', path: '/admin/queue' })).paused, true, 'whether the server is paused');
  same(await row(alice, '', 'delivered').count(), 0, 'messages delivered by a paused queue');
  await page.goto(`${url}/admin/delay`);
  await page.getByText('The queue is paused: what is due waits, too.').waitFor();
  await page.getByRole('link', { name: 'Queue' }).last().click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.locator('[data-queue="running"]').waitFor();
  for (const text of ['one.', 'two.', 'three.']) await row(alice, text, 'delivered').waitFor();
  await counted(page, 'processed', 3);
  await counted(page, 'queued', 0);

  // The three are in one of the last two minutes; each chart is read by keys.
  const history = page.getByRole('region', { name: 'The last hour' });
  const throughput = history.getByRole('slider', { name: 'Throughput' });
  const latency = history.getByRole('slider', { name: 'Latency' });
  await history.locator('rect.bar').first().waitFor();
  let total = 0;
  await throughput.focus();
  await throughput.press('End');
  for (let ago = 0; ago < 3; ago++) {
    const said = await throughput.getAttribute('aria-valuetext');
    total += Number(/: (\d+) messages?/.exec(said)?.[1] ?? 0);
    await throughput.press('ArrowLeft');
  }
  same(total, 3, 'messages in the chart');
  await latency.focus();
  await latency.press('End');
  for (let ago = 0; ago < 3; ago++) {
    if (/half within .+, 99 % within/.test(await latency.getAttribute('aria-valuetext'))) break;
    assert(ago < 2, 'the latency is not in the chart');
    await latency.press('ArrowLeft');
  }
  await history.getByText('As a table').click();
  const cells = await history.getByRole('row').allInnerTexts();
  const inTable = cells.slice(1).reduce((sum, text) => sum + Number(text.split('\t')[1]), 0);
  same(inTable, 3, 'messages in the table');
  await page.getByText('The server has run for less than an hour').waitFor();
  await photograph(page, 'admin-queue-hour');

  // What is not up to date says so, and recovers.
  await ask('kill');
  await page.getByText('These numbers are not up to date.').first().waitFor();
  await ask('start');
  await page.getByText('These numbers are not up to date.').first().waitFor({ state: 'detached' });
  await counted(page, 'processed', 3);
}

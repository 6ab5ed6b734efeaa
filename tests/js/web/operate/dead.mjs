// Messages that failed: read and retried, one by one or all.
import { assert, row, same, send } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { admin, counted, pick, user } from './tools.mjs';

export async function dead(world) {
  const page = await admin(world, '/admin/queue');
  const [alice, bob] = [await user(world, 'alice'), await user(world, 'bob')];
  await page.getByText('No failed messages').waitFor();
  await send(alice, 'mended soon');
  await row(alice, 'mended soon', 'dead').waitFor();
  await send(alice, 'fail: always');
  await row(alice, 'fail: always', 'dead').waitFor();
  await send(bob, 'mended, of bob');
  await row(bob, 'mended, of bob', 'dead').waitFor();
  await counted(page, 'dead', 3);
  const failed = page.getByRole('region', { name: 'Failed messages' });
  const failedMessage = (text) => failed.locator('[data-dead]', { hasText: text });
  await failedMessage('mended soon').getByText('the service answered 422').waitFor();
  await failedMessage('mended soon').getByRole('button', { expanded: false }).click();
  await failedMessage('mended soon').getByText('What went wrong').waitFor();
  await failedMessage('mended soon').getByRole('button', { name: 'Retry' }).click();
  await page.getByText('The message is queued again.').waitFor();
  await row(alice, 'mended soon', 'delivered').waitFor();
  same(await row(alice, 'mended soon').count(), 1, "rows of alice's message");
  await failedMessage('mended soon').waitFor({ state: 'detached' });

  await pick(page, 'bob', failed);
  await failedMessage('fail: always').waitFor({ state: 'detached' });
  await failedMessage('mended, of bob').waitFor();
  assert(page.url().endsWith('?user=bob'), 'the filter has no address');
  await failed.getByRole('button', { name: 'Show everyone' }).click();
  await failedMessage('fail: always').waitFor();

  // All of them: one recovers, one fails again.
  await failed.getByRole('button', { name: 'Retry all' }).click();
  await page.getByRole('dialog', { name: 'Retry all failed messages?' }).getByRole('button', { name: 'Retry' }).click();
  await row(bob, 'mended, of bob', 'delivered').waitFor();
  await counted(page, 'dead', 1);
  await failedMessage('fail: always').waitFor();
  same(await failedMessage('').count(), 1, 'failed messages');
  same(await row(alice, 'mended, of bob').count(), 0, "bob's message with alice");
}

export async function deadMany(world) {
  const page = await admin(world, '/admin/queue');
  // More than a page shows, and more than the server takes at once.
  await ask('send', { user: 'alice', count: 300, prefix: 'mended' });
  await ask('send', { user: 'bob', count: 2, prefix: 'mended, of bob' });
  await counted(page, 'dead', 302);
  const failed = page.getByRole('region', { name: 'Failed messages' });
  const calls = [];
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(/\/retry$/, async (route) => {
    calls.push([new URL(route.request().url()).pathname, route.request().postDataJSON()]);
    if (calls.length === 1) await held;
    await route.continue();
  });

  // Of one user, and stopped while the first step is under way: it is the last.
  await pick(page, 'alice', failed);
  await failed.getByRole('button', { name: 'Retry all of alice' }).click();
  const confirm = (title) => page.getByRole('dialog', { name: title }).getByRole('button', { name: 'Retry' }).click();
  await confirm('Retry all failed messages of alice?');
  await failed.getByText('Retried 0', { exact: true }).waitFor();
  await failed.getByRole('button', { name: 'Stop' }).click();
  release();
  await page.getByText('256 messages are queued again.').waitFor();
  await counted(page, 'dead', 46);
  same(calls.length, 1, 'steps before it was stopped');

  // The others, and nobody else's.
  await failed.getByRole('button', { name: 'Retry all of alice' }).click();
  await confirm('Retry all failed messages of alice?');
  await page.getByText('44 messages are queued again.').waitFor();
  await counted(page, 'dead', 2);
  await failed.getByText('None of alice’s messages failed at every attempt.').waitFor();

  await failed.getByRole('button', { name: 'Show everyone' }).click();
  await failed.getByRole('button', { name: 'Retry all' }).click();
  await confirm('Retry all failed messages?');
  await page.getByText('2 messages are queued again.').waitFor();
  await counted(page, 'dead', 0);
  await counted(page, 'processed', 302);
  assert(
    calls.every(([path]) => path === '/api/v1/admin/messages/retry'),
    'messages were retried one by one',
  );
  same(calls.length, 3, 'steps');
}

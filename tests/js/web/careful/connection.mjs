// A server that is away, refuses, or has other files by now.
import { isLive, light, row, same, send, signIn } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { box, cutSends } from './tools.mjs';

export async function connectionLight({ url, open }) {
  const page = await (await open()).newPage();
  // Between the page and the broker: can fall silent, as a network does that is gone.
  let silent = false;
  await page.routeWebSocket(/\/mqtt$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => { if (!silent) server.send(message); });
    server.onMessage((message) => { if (!silent) socket.send(message); });
  });
  await signIn(page, url, 'alice');
  await isLive(page);
  // Sends do not come through, while news does.
  let mend = await cutSends(page);
  await send(page, 'through a wall');
  await light(page, 'Cannot send').waitFor();
  await mend();
  await row(page, 'through a wall', 'delivered').waitFor();
  await light(page, 'Live').waitFor();
  // Nothing comes through: the keep-alive would notice after a minute.
  silent = true;
  mend = await cutSends(page);
  await send(page, 'into the void');
  await light(page, 'Reconnecting').waitFor();
  silent = false;
  await mend();
  await row(page, 'into the void', 'delivered').waitFor();
  await isLive(page);

  // The API refuses.
  await page.route('**/api/v1/auth/mqtt', (route) => route.fulfill({
    status: 429,
    contentType: 'application/problem+json',
    headers: { 'retry-after': '90' },
    body: JSON.stringify({ type: 'about:blank', title: 'No', status: 429, code: 'rate_limited', detail: 'Slower.' }),
  }));
  await ask('kill');
  await ask('start');
  await light(page, /Refused, again in (90|8\d) s/).waitFor();
  await page.locator('main').getByText('Try again in 90 seconds').waitFor();
  await page.unroute('**/api/v1/auth/mqtt');
  await page.getByRole('button', { name: 'Try now' }).first().click();
  await isLive(page);

  // A rule refuses.
  await ask('deny', { subject: 'user:alice', filter: 'users/alice/#' });
  await page.locator('main').getByText('an access rule denies it').waitFor();
  await light(page, /Refused/).waitFor();
}

/** The server is away at first. */
export async function found({ url, open }) {
  const page = await (await open()).newPage();
  await page.clock.install();
  let asked = 0;
  await page.route('**/api/v1/auth/session', (route) => {
    asked += 1;
    return asked <= 2 ? route.abort('connectionreset') : route.continue();
  });
  await page.goto(url);
  await page.getByText('The server cannot be reached').waitFor();
  await page.clock.runFor(20_000);
  await page.getByLabel('User name').waitFor();
  const then = asked;
  await page.clock.runFor(600_000);
  same(asked, then, 'questions who is signed in');
}

/** The server was upgraded, and has other files. */
export async function unfetched({ url, open }) {
  const page = await (await open()).newPage();
  await signIn(page, url, 'alice');
  await isLive(page);
  await box(page).fill('half a thought');
  await page.route('**/assets/TokensPage*', (route) => route.fulfill({ status: 404, body: 'gone' }));
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route('**/assets/SessionsPage*', async (route) => {
    await held;
    await route.fulfill({ status: 404, body: 'gone' });
  });
  await page.getByRole('link', { name: 'Access tokens' }).click();
  await page.getByRole('alert').getByText('could not be fetched').waitFor();
  await page.locator('h1:focus', { hasText: 'Access tokens' }).waitFor();
  same(await box(page).count(), 0, 'the page before');
  // A page that one has left meanwhile may be missing.
  await page.getByRole('link', { name: 'Sessions' }).click();
  await page.waitForURL('**/account/sessions');
  await page.getByRole('link', { name: 'Messages', exact: true }).click();
  await box(page).waitFor();
  const missing = page.waitForResponse('**/assets/SessionsPage*');
  letGo();
  await missing;
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  same(await page.getByText('could not be fetched').count(), 0, 'complaints about a page that was left');
  await page.getByRole('link', { name: 'Access tokens' }).click();
  await page.unroute('**/assets/TokensPage*');
  const asked = [];
  page.on('dialog', (dialog) => {
    asked.push(dialog.type());
    void dialog.accept();
  });
  await page.getByRole('button', { name: 'Load the app again' }).click();
  await page.getByText('No tokens').waitFor();
  await page.getByRole('link', { name: 'Messages', exact: true }).click();
  same(await box(page).inputValue(), 'half a thought', 'the draft');
  same(asked, [], 'questions about what is not lost');
}

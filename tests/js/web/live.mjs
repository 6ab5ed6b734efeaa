// What stays true while things go wrong. Arguments: the server's address, and the name of the flow.
import { assert, axe, inBrowser, isLive, light, row, same, send, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const flows = {
  /** Two users at once never see each other's. */
  async strangers({ open }) {
    const users = ['alice', 'bob'];
    const pages = await Promise.all(users.map(async (user) => {
      const page = await (await open()).newPage();
      await signIn(page, url, user);
      await isLive(page);
      return page;
    }));
    // What comes over the wire, not only what is shown.
    const heard = await Promise.all(users.map((user) => listener(open, user)));
    for (let n = 0; n < 10; n++) {
      await Promise.all(pages.map((page, i) => send(page, `secret of ${users[i]} ${n}.`)));
    }
    await Promise.all(pages.map(async (page, i) => {
      for (let n = 0; n < 10; n++) await row(page, `secret of ${users[i]} ${n}.`, 'delivered').waitFor();
      const other = users[1 - i];
      same(await page.getByText(`secret of ${other}`).count(), 0, `${other}'s with ${users[i]}`);
      await page.reload();
      await row(page, `secret of ${users[i]} 0.`, 'delivered').waitFor();
      same(await page.getByText(`secret of ${other}`).count(), 0, `${other}'s with ${users[i]}, loaded anew`);
      assert(!heard[i].join('').includes(`secret of ${other}`), `${users[i]} heard ${other}'s`);
      assert(heard[i].join('').includes(`secret of ${users[i]}`), `${users[i]} heard nothing`);
    }));
  },

  /** The server is killed under an open page, and comes back. */
  async killed({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'before');
    await row(page, 'before', 'delivered').waitFor();
    await ask('kill');
    await light(page, /Reconnecting in \d+ s/).waitFor();
    await send(page, 'meanwhile');
    await row(page, 'meanwhile', 'waiting').waitFor();
    await ask('start');
    // Sent by another client, and done, before the page is back.
    await ask('processed', { user: 'alice', body: 'from elsewhere' });
    await row(page, 'from elsewhere', 'delivered').waitFor();
    await row(page, 'meanwhile', 'delivered').waitFor();
    await isLive(page);
    for (const text of ['before', 'meanwhile', 'from elsewhere']) same(await row(page, text).count(), 1, `rows of ${text}`);
    same((await ask('count', { user: 'alice', body: 'meanwhile' })).count, 1, 'messages sent meanwhile');
    // Killed again, and the try is not waited for.
    await ask('kill');
    await page.getByRole('button', { name: 'Try now' }).first().waitFor();
    await ask('start');
    await page.getByRole('button', { name: 'Try now' }).first().click();
    await isLive(page);
  },

  /** Notifications leave out texts: what they left out is asked for. */
  async omitted({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    const long = (text) => `${text} ${'x'.repeat(3000)} end`;
    for (const text of ['short', long('by this page')]) {
      await send(page, text);
      await row(page, text.slice(0, 12), 'delivered').waitFor();
    }
    // Nothing of it is known before its notification.
    await ask('processed', { user: 'alice', body: long('by another client') });
    await row(page, 'by another client', 'delivered').waitFor();
    for (const text of ['short', 'by this page', 'by another client']) same(await row(page, text).count(), 1, `rows of ${text}`);
    await row(page, 'by this page').click();
    await page.getByText(long('by this page')).last().waitFor();
  },

  /** A page that is loaded anew sends what was not sent. */
  async reloaded({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await page.route('**/api/v1/messages', (route) =>
      route.request().method() === 'POST' ? route.abort('connectionreset') : route.continue());
    await send(page, 'not lost');
    await row(page, 'not lost', 'waiting').waitFor();
    await page.unroute('**/api/v1/messages');
    await page.reload();
    await row(page, 'not lost', 'delivered').waitFor();
    same((await ask('count', { user: 'alice', body: 'not lost' })).count, 1, 'messages');
  },

  /** Both tabs show everything, once. */
  async tabs({ open }) {
    const context = await open();
    const [one, other] = [await context.newPage(), await context.newPage()];
    await signIn(one, url, 'alice');
    await other.goto(url);
    await Promise.all([isLive(one), isLive(other)]);
    for (let n = 0; n < 5; n++) {
      await send(one, `from the first ${n}.`);
      await send(other, `from the second ${n}.`);
    }
    for (const page of [one, other]) {
      for (let n = 0; n < 5; n++) {
        for (const tab of ['first', 'second']) {
          await row(page, `from the ${tab} ${n}.`, 'delivered').waitFor();
          same(await row(page, `from the ${tab} ${n}.`).count(), 1, 'rows');
        }
      }
    }
    // One that was away goes on behind what it saw, though the other has acknowledged everything.
    await ask('delay', { ms: 600_000 });
    await send(other, 'while one is away');
    await row(other, 'while one is away', 'queued').waitFor();
    await network(one, false);
    await ask('delay', { ms: 0, apply_to_queued: true });
    await row(other, 'while one is away', 'delivered').waitFor();
    await network(one, true);
    await row(one, 'while one is away', 'delivered').waitFor();
    same(await row(one, 'while one is away').count(), 1, 'rows');
    // Signing out in one is signing out in both.
    await one.getByRole('button', { name: 'Sign out' }).click();
    await other.getByText('You are signed out.').waitFor();
  },

  /** What is deleted in one tab or by one client is gone in all, and nothing else is. */
  async deleted({ open }) {
    const context = await open();
    const [page, tab, client] = [await context.newPage(), await context.newPage(), await (await open()).newPage()];
    await signIn(page, url, 'alice');
    await tab.goto(url);
    await signIn(client, url, 'alice');
    const all = [page, tab, client];
    await Promise.all(all.map(isLive));
    for (const text of ['to keep', 'done with']) await send(page, text);
    await send(page, 'fail: for good');
    for (const one of all) {
      for (const text of ['to keep', 'done with']) await row(one, text, 'delivered').waitFor();
      await row(one, 'for good', 'dead').waitFor();
    }
    const detailsOf = (one) => one.getByRole('region', { name: 'Message' });
    const isGone = async (text) => {
      for (const one of all) await row(one, text).waitFor({ state: 'detached' });
      same((await ask('count', { user: 'alice', body: text })).count, 0, `messages: ${text}`);
    };
    await row(tab, 'done with').click();
    await row(page, 'done with').click();
    await detailsOf(page).getByRole('button', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete this message?' });
    await dialog.waitFor();
    same(await axe(page), [], 'what axe finds');
    // Escape is for the dialog alone.
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await detailsOf(page).getByRole('button', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('The message is deleted.').first().waitFor();
    await isGone('done with');
    await detailsOf(page).waitFor({ state: 'detached' });
    await detailsOf(tab).getByText('There is no such message').waitFor();

    // It has become something else since it was looked at: it stays.
    await row(page, 'for good').click();
    const changed = (route) => route.continue({ url: route.request().url().replace('status=dead', 'status=cancelled') });
    await page.route('**/api/v1/messages/*status=dead', changed);
    await detailsOf(page).getByRole('button', { name: 'Delete' }).click();
    const answered = page.waitForResponse((response) => response.request().method() === 'DELETE');
    const lookedAgain = page.waitForRequest((request) => request.method() === 'GET' && request.url().includes('/messages/'));
    await dialog.getByRole('button', { name: 'Delete' }).click();
    same((await answered).status(), 409, 'the answer');
    await lookedAgain;
    await page.getByText('The message has changed meanwhile').first().waitFor();
    await dialog.waitFor({ state: 'detached' });
    await row(page, 'for good', 'dead').waitFor();
    await page.unroute('**/api/v1/messages/*status=dead', changed);
    // And now another client is quicker, while one is asked.
    await detailsOf(page).getByRole('button', { name: 'Delete' }).click();
    await row(client, 'for good').click();
    await detailsOf(client).getByRole('button', { name: 'Delete' }).click();
    await client.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await isGone('fail: for good');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await detailsOf(page).waitFor({ state: 'detached' });

    // One that was offline meanwhile hears of it, too.
    await ask('delay', { ms: 600_000 });
    await send(page, 'short of life');
    await row(tab, 'short of life', 'queued').waitFor();
    await network(tab, false);
    await ask('delay', { ms: 0, apply_to_queued: true });
    await row(page, 'short of life', 'delivered').waitFor();
    await ask('cancel', { user: 'alice', body: 'short of life' });
    await row(page, 'short of life').waitFor({ state: 'detached' });
    await network(tab, true);
    await isGone('short of life');

    await ask('delay', { ms: 600_000 });
    await send(page, 'never mind');
    await row(page, 'never mind', 'queued').click();
    same(await detailsOf(page).getByRole('button', { name: 'Delete' }).count(), 0, 'ways to delete what waits');
    await detailsOf(page).getByRole('button', { name: 'Cancel the message' }).click();
    await row(page, 'never mind', 'cancelled').waitFor();
    await detailsOf(page).getByRole('button', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await isGone('never mind');
    for (const one of all) same(await row(one, 'to keep', 'delivered').count(), 1, 'rows of what was kept');
  },

  /** The token lasts an hour; the page goes on with a new one, and nobody notices. */
  async renewed({ open }) {
    const page = await (await open()).newPage();
    await page.clock.install();
    const sockets = [];
    page.on('websocket', (socket) => sockets.push(socket));
    await signIn(page, url, 'alice');
    await isLive(page);
    await page.evaluate(() => {
      globalThis.states = [];
      const look = () => document.querySelectorAll('[data-state]').forEach(({ dataset }) => globalThis.states.push(dataset.state));
      new MutationObserver(look).observe(document, { subtree: true, childList: true, attributeFilter: ['data-state'] });
    });
    const [former] = sockets;
    const closed = former.waitForEvent('close');
    await page.clock.fastForward('56:00');
    await closed;
    same(sockets.length, 2, 'connections');
    await send(page, 'still there');
    await row(page, 'still there', 'delivered').waitFor();
    same(await row(page, 'still there').count(), 1, 'rows');
    same([...new Set(await page.evaluate(() => globalThis.states))].filter((state) => state !== 'live'), [], 'other states');
  },

  /** What happens before a message ends. A failed attempt is repeated after half a minute. */
  async progress({ open }) {
    const context = await open();
    const [page, other] = [await context.newPage(), await context.newPage()];
    await signIn(page, url, 'alice');
    await other.goto(url);
    await Promise.all([isLive(page), isLive(other)]);
    const bob = await (await open()).newPage();
    await signIn(bob, url, 'bob');
    await isLive(bob);
    const heard = [];
    bob.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => heard.push(payload.toString('latin1'))));
    await bob.reload();
    await isLive(bob);
    let asked = 0;
    page.on('request', (request) => {
      if (request.method() === 'GET' && request.url().includes('/api/v1/messages')) asked += 1;
    });
    await send(page, 'hold it');
    for (const tab of [page, other]) await row(tab, 'hold it', 'processing').waitFor();
    await send(bob, 'release them');
    for (const tab of [page, other]) await row(tab, 'hold it', 'delivered').waitFor();
    await send(page, 'flaky');
    for (const tab of [page, other]) await row(tab, 'flaky', 'queued').getByText(/tries again in \d+ s/).waitFor();
    same(asked, 0, 'requests for what was told');

    // Cancelled by another client, and given another time by an administrator.
    await ask('delay', { ms: 600_000 });
    await send(page, 'never mind');
    await row(page, 'never mind', 'queued').getByText(/in (9|10) min/).waitFor();
    await ask('cancel', { user: 'alice', body: 'never mind' });
    for (const tab of [page, other]) await row(tab, 'never mind', 'cancelled').waitFor();
    assert(heard.join('').includes('release them'), 'bob heard nothing');
    const alices = (await ask('ids', { user: 'alice' })).ids;
    same(alices.filter((id) => heard.join('').includes(id)), [], "what bob heard of alice's messages");
  },

  /** An administrator changes the delay while a user waits. */
  async delayed({ open }) {
    await ask('delay', { ms: 60_000 });
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'hurry');
    await row(page, 'hurry', 'queued').getByText(/in (1 min|5\d s)/).waitFor();
    await ask('delay', { ms: 0, apply_to_queued: true });
    await row(page, 'hurry', 'delivered').waitFor();
    // And the other way round, before the first countdown is over.
    await ask('delay', { ms: 30_000 });
    await send(page, 'patience');
    await row(page, 'patience', 'queued').waitFor();
    await ask('delay', { ms: 600_000, apply_to_queued: true });
    await row(page, 'patience', 'queued').getByText(/in ([89]|10) min/).waitFor();
  },
};

/** A page's network comes, or goes. */
async function network(page, isThere) {
  await page.evaluate((there) => {
    Object.defineProperty(navigator, 'onLine', { get: () => there, configurable: true });
    dispatchEvent(new Event(there ? 'online' : 'offline'));
  }, isThere);
  if (!isThere) await light(page, 'Offline').waitFor();
}

/** What the broker sends to a user's page, as it came. */
async function listener(open, user) {
  const page = await (await open()).newPage();
  const frames = [];
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => frames.push(payload.toString('latin1'))));
  await signIn(page, url, user);
  await isLive(page);
  return frames;
}

await inBrowser(url, flows[flow]);
done();

// Small things that one notices when they are missing. Arguments: the server's address, and the name of the flow.
import { assert, fillSignIn, inBrowser, isLive, light, password, row, same, send, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const MESSAGES = '**/api/v1/messages';
const box = (page) => page.getByRole('textbox', { name: 'Message', exact: true });
const focused = (page, selector) => page.locator(`${selector}:focus`).waitFor({ state: 'attached' });

/** Sends do not come through, until the function that this answers is called. */
async function cutSends(page) {
  await page.route(MESSAGES, (route) =>
    route.request().method() === 'POST' ? route.abort('connectionreset') : route.continue());
  return () => page.unroute(MESSAGES);
}

/** Notes what was on the page each time that nothing has the focus, when a task of the page is over. */
async function watchFocus(page) {
  await page.evaluate(() => {
    globalThis.lost = [];
    const look = () => {
      if (document.activeElement === document.body) globalThis.lost.push(document.querySelector('main').innerText.slice(0, 200));
    };
    // What changes the page hands the focus on within the same task.
    new MutationObserver(() => setTimeout(look)).observe(document.body, { childList: true, subtree: true, attributes: true });
  });
}

const flows = {
  /** The delay is ten minutes. */
  async focus({ open }) {
    const page = await (await open()).newPage();
    await page.goto(`${url}/tokens`);
    await page.getByLabel('User name').fill('alice');
    await page.getByLabel('Password').fill('not it');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('not right').waitFor();
    await focused(page, 'input[name=password]');
    // A page that is fetched, and one that is there.
    await fillSignIn(page, 'alice');
    await page.locator('h1:focus', { hasText: 'Access tokens' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await fillSignIn(page, 'alice');
    await page.locator('h1:focus', { hasText: 'Messages' }).waitFor({ state: 'attached' });
    await isLive(page);
    await watchFocus(page);

    // A button that is busy.
    await page.getByRole('link', { name: 'Account', exact: true }).click();
    await page.locator('h1:focus', { hasText: 'Account' }).waitFor();
    await page.getByLabel('Current password').fill(password('alice'));
    await page.getByLabel('New password').fill('another password');
    await page.getByRole('button', { name: 'Change the password' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('The password is changed.').waitFor();
    await focused(page, 'form button[type=submit][aria-disabled=false]');

    // A form that is gone.
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await page.locator('h1:focus', { hasText: 'Access tokens' }).waitFor();
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').fill('Backup');
    await page.getByRole('button', { name: 'Create the token' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('[data-token]').waitFor();
    await page.locator('dialog button:focus', { hasText: 'Copy' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });

    // A button that is gone; and from the details back to where one came from.
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await page.locator('h1:focus', { hasText: 'Messages' }).waitFor({ state: 'attached' });
    for (const text of ['first', 'second', 'third']) await send(page, text);
    await row(page, 'third', 'queued').waitFor();
    await row(page, 'second', 'queued').focus();
    await page.keyboard.press('Enter');
    await focused(page, '#details-title');
    await page.getByRole('button', { name: 'Cancel the message' }).focus();
    await page.keyboard.press('Enter');
    await row(page, 'second', 'cancelled').waitFor();
    await focused(page, '#details-title');
    await page.keyboard.press('Escape');
    await page.locator('a[data-row]:focus', { hasText: 'second' }).waitFor();
    same(await page.evaluate(() => globalThis.lost), [], 'when nothing had the focus');

    // One came by the address: back is where the message is.
    await page.locator('a[data-row]', { hasText: 'first' }).click();
    await focused(page, '#details-title');
    await page.reload();
    await page.getByRole('region', { name: 'Message' }).getByText('Accepted').waitFor();
    await row(page, 'first').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('a[data-row]:focus', { hasText: 'first' }).waitFor();
  },

  /** One sentence for many messages. */
  async announced({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await page.evaluate(() => {
      globalThis.said = [];
      const region = document.querySelector('[data-news]');
      new MutationObserver(() => {
        if (region.textContent !== '') globalThis.said.push([performance.now(), region.textContent.trim()]);
      }).observe(region, { childList: true, characterData: true, subtree: true });
    });
    const counted = (what) => page.evaluate((word) => globalThis.said
      .flatMap(([, sentence]) => [...sentence.matchAll(new RegExp(`${word}: (\\d+)`, 'g'))])
      .reduce((sum, [, n]) => sum + Number(n), 0), what);
    const told = (what, n) => page.waitForFunction(([word, all]) => globalThis.said
      .flatMap(([, sentence]) => [...sentence.matchAll(new RegExp(`${word}: (\\d+)`, 'g'))])
      .reduce((sum, [, count]) => sum + Number(count), 0) === all, [what, n]);
    await ask('send', { user: 'alice', count: 40, prefix: 'many' });
    await told('Delivered', 40);
    for (const text of ['one', 'two', 'three']) await send(page, text);
    await told('Queued', 3);
    await told('Delivered', 43);
    const mend = await cutSends(page);
    await send(page, 'cut off');
    await told('Not sent yet', 1);
    await mend();
    await told('Queued', 4);
    await send(page, 'x'.repeat(70_000));
    await told('Not sent', 1);
    await send(page, 'fail: no paper');
    await told('Failed', 1);
    same(await counted('Not sent yet'), 1, 'how often one was told of waiting');
    const times = await page.evaluate(() => globalThis.said.map(([at]) => at));
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    assert(Math.min(...gaps) > 800, `sentences follow each other after ${Math.min(...gaps)} ms`);
  },

  /** Drafts, and what waits. */
  async unsent({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    const asked = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.type());
      void dialog.accept();
    });
    await page.reload();
    await isLive(page);
    same(asked, [], 'questions when there is nothing to lose');
    await box(page).fill('half a thought');
    await page.reload();
    await isLive(page);
    same(asked, ['beforeunload'], 'questions when there is a draft');
    same(await box(page).inputValue(), 'half a thought', 'the draft');
    await box(page).fill('');

    const mend = await cutSends(page);
    await send(page, 'misspelt');
    await send(page, 'not at all');
    await row(page, 'misspelt', 'waiting').waitFor();
    await row(page, 'not at all', 'waiting').waitFor();
    await box(page).fill('next');
    await row(page, 'misspelt', 'waiting').getByRole('button', { name: 'Edit' }).click();
    same(await box(page).inputValue(), 'misspelt\nnext', 'what is written');
    await focused(page, '#compose');
    await box(page).fill('spelt');
    await page.keyboard.press('Control+Enter');
    await row(page, 'spelt', 'waiting').waitFor();
    await row(page, 'not at all', 'waiting').getByRole('button', { name: 'Discard' }).focus();
    // It keeps the focus while it is tried again, and what is left gets it.
    await page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/messages'));
    await page.locator('button[aria-disabled=false]:focus').waitFor();
    same(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Discard', 'the focus');
    await page.keyboard.press('Enter');
    await row(page, 'not at all').waitFor({ state: 'detached' });
    await page.locator('[role=listitem] button:focus').waitFor();
    await mend();
    await row(page, 'spelt').getByRole('button', { name: 'Send again' }).click();
    await row(page, 'spelt', 'delivered').waitFor();
    for (const body of ['misspelt', 'not at all']) {
      same((await ask('count', { user: 'alice', body })).count, 0, `messages ${body}`);
    }
    await page.close({ runBeforeUnload: true });
    same(asked.length, 1, 'questions when all is sent');
  },

  async light({ open }) {
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
  },

  /** The server was upgraded, and has other files. */
  async unfetched({ open }) {
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
  },

  async warned({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'admin');
    const change = page.getByRole('main').getByRole('link', { name: 'Change it' });
    const { height } = await change.boundingBox();
    assert(height >= 24, `a link of ${height} px`);
    await change.click();
    await page.getByLabel('Current password').waitFor();
    await ask('administrator', { user: 'carol' });

    const other = await (await open()).newPage();
    await signIn(other, url, 'carol');
    await other.getByRole('main').getByRole('link', { name: 'Change it' }).click();
    const dialog = other.getByRole('dialog');
    await dialog.getByLabel('New password').fill('nobody knows this');
    await dialog.getByRole('button', { name: 'Set the password' }).click();
    await dialog.getByText('admin has a new password').waitFor();
    await other.getByText('everyone knows').waitFor({ state: 'detached' });
    // The audit's names are large enough to be hit.
    await other.goto(`${url}/admin/audit`);
    const name = other.locator('[data-action] a').first();
    await name.waitFor();
    const box = await name.boundingBox();
    assert(box.height >= 24, `a name of ${box.height} px`);
  },

  async toasts({ open }) {
    const context = await open();
    await context.addInitScript(() => {
      Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new Error('no')) } });
    });
    const page = await context.newPage();
    await signIn(page, url, 'alice');
    await page.goto(`${url}/tokens`);
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').fill('Backup');
    await page.getByRole('button', { name: 'Create the token' }).click();
    await page.locator('[data-token]').waitFor();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Copy' }).click();
    // In the dialog: what is outside of it is hidden from screen readers, and not to be clicked at.
    const toast = dialog.getByRole('status').getByText('did not let it be copied');
    await toast.waitFor();
    same(await page.getByText('did not let it be copied').count(), 1, 'toasts');
    const isOnTop = await toast.evaluate((element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      return element.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    });
    assert(isOnTop, 'the toast is covered');
    // It stays when the dialog goes.
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByText('did not let it be copied').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await page.getByText('did not let it be copied').waitFor({ state: 'detached' });
  },

  /** The server is away at first. */
  async found({ open }) {
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
  },

  /** More than there is room for, from a server that is played. */
  async endless({ open }) {
    const ALL = 24_000;
    const idOf = (n) => String(n).padStart(8, '0');
    const at = new Date(0).toISOString();
    const message = (n) => ({
      id: idOf(n),
      body: `number ${n}.`,
      // The oldest are dead.
      status: n < 100 ? 'dead' : 'processed',
      created_at: at,
      run_at: at,
      processed_at: at,
      delivered_at: at,
      attempts: 1,
      result: null,
      error: n < 100 ? 'no paper' : null,
    });
    let reads = 0;
    const page = await (await open()).newPage();
    await page.route('**/api/v1/messages?*', (route) => {
      reads += 1;
      const query = new URL(route.request().url()).searchParams;
      const first = Math.min(query.get('status') === 'dead' ? 100 : ALL, Number(query.get('before') ?? ALL));
      const items = Array.from({ length: Math.min(200, first) }, (_, i) => message(first - 1 - i));
      const last = first - items.length;
      return route.fulfill({ json: { items, next: last > 0 ? idOf(last) : null } });
    });
    await signIn(page, url, 'alice');
    await isLive(page);
    await row(page, 'number 23999.').waitFor();
    await page.waitForFunction(() => {
      const list = document.querySelector('[role=list][aria-label="Your messages"]');
      list.scrollTop = list.scrollHeight;
      return list.textContent.includes('The list ends here, with the newest 20,000.');
    }, undefined, { polling: 20, timeout: 90_000 });
    await row(page, 'number 4000.').waitFor();
    same(await page.getByText('That is all.').count(), 0, 'claims that there are no more');
    assert(reads <= 102, `${reads} pages were read`);
    // What comes now is at the top.
    await send(page, 'news');
    await page.evaluate(() => {
      document.querySelector('[role=list][aria-label="Your messages"]').scrollTop = 0;
    });
    await row(page, 'news').waitFor();
    // A filter leads to what is older.
    await page.getByRole('radio', { name: 'Failed' }).check();
    await row(page, 'number 99.', 'dead').waitFor();
    await page.getByRole('radio', { name: 'All' }).check();
    await row(page, 'number 23999.').waitFor();
  },
};

await inBrowser(url, flows[flow]);
done();

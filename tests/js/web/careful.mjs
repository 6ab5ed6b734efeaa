// Small things that annoy where they are missing. Arguments: the server's address, and the name of the flow.
import { assert, fillSignIn, inBrowser, isLive, light, row, same, send, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const compose = (page) => page.getByRole('textbox', { name: 'Message', exact: true });
const unanswered = (page) => page.route('**/api/v1/messages', (route) =>
  route.request().method() === 'POST' ? route.abort('connectionreset') : route.continue());

const flows = {
  async unsent({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await unanswered(page);
    await send(page, 'given up');
    await send(page, 'kept');
    await row(page, 'given up', 'waiting').getByRole('button', { name: 'Discard' }).click();
    await row(page, 'given up').waitFor({ state: 'detached' });
    await compose(page).fill('half a thought');
    // The browser asks before it forgets.
    const asked = await page.evaluate(() => {
      const event = new Event('beforeunload', { cancelable: true });
      dispatchEvent(event);
      return event.defaultPrevented;
    });
    assert(asked, 'the page may be closed with messages that were not sent');
    page.on('dialog', (dialog) => void dialog.accept());
    await page.unroute('**/api/v1/messages');
    await page.route('**/api/v1/messages', (route) =>
      route.request().method() === 'POST'
        ? route.fulfill({ status: 429, headers: { 'retry-after': '600' } })
        : route.continue());
    await page.reload();
    await row(page, 'kept', 'waiting').getByText(/Sending again in \d+ s/).waitFor();
    same(await compose(page).inputValue(), 'half a thought', 'the draft after a new load');
    await isLive(page);
    await page.unroute('**/api/v1/messages');
    await row(page, 'kept', 'waiting').getByRole('button', { name: 'Send now' }).click();
    await row(page, 'kept', 'delivered').waitFor();
    same((await ask('count', { user: 'alice', body: 'kept' })).count, 1, 'messages that were kept');
    same((await ask('count', { user: 'alice', body: 'given up' })).count, 0, 'messages that were given up');
  },

  async announced({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    const said = page.locator('[data-announced]');
    await send(page, 'hello');
    await said.getByText('Delivered: hello').waitFor({ state: 'attached' });
    await send(page, 'fail: no paper');
    await said.getByText('Failed: fail: no paper').waitFor({ state: 'attached' });
    await ask('send', { user: 'alice', count: 20 });
    await said.getByText(/\d+ messages delivered|Delivered: number/).waitFor({ state: 'attached' });
    await send(page, `long ${'x'.repeat(70_000)}`);
    await said.getByText(/^Not sent: /).waitFor({ state: 'attached' });
  },

  async places({ open }) {
    const page = await (await open()).newPage();
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    const isSomewhere = async (when) =>
      assert(await page.evaluate(() => document.activeElement !== document.body), `the focus is lost ${when}`);
    await page.goto(url);
    await fillSignIn(page, 'alice', 'not it');
    await page.getByRole('alert').waitFor();
    await isSomewhere('after a wrong password');
    await fillSignIn(page, 'alice');
    await isLive(page);
    for (const text of ['one', 'two', 'three']) {
      await send(page, text);
      await row(page, text, 'delivered').waitFor();
    }
    // Back from the details, one is at the row.
    await row(page, 'two').click();
    await page.getByRole('region', { name: 'Message' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('region', { name: 'Message' }).waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement?.matches('[data-row]'));
    assert((await focused()).includes('two'), 'the focus is at another row');

    await ask('delay', { ms: 600_000 });
    await send(page, 'later');
    await row(page, 'later', 'queued').click();
    await page.getByRole('button', { name: 'Cancel the message' }).click();
    await row(page, 'later', 'cancelled').waitFor();

    await page.getByRole('link', { name: 'Account' }).click();
    await page.getByLabel('Current password').fill('wrong one');
    await page.getByLabel('New password').fill('another password');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('not your current password').waitFor();
    await isSomewhere('after a wrong password');

    // News that come while a dialog is open are in front of it, and not inert.
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').fill('Backup');
    await page.evaluate(() => {
      navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'));
    });
    await page.getByRole('button', { name: 'Create the token' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('dialog').getByText('did not let it be copied').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Dismiss' }).last().click();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Revoke Backup' }).click();
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByText('No tokens').waitFor();
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
  },

  async chunk({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await page.route('**/assets/TokensPage*', (route) => route.abort('failed'));
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await page.getByText('This page could not be fetched').waitFor();
    same(await compose(page).count(), 0, 'the page before');
    await page.unroute('**/assets/TokensPage*');
    await page.getByRole('button', { name: 'Load again' }).click();
    await page.getByRole('heading', { name: 'Access tokens' }).waitFor();
  },

  async refused({ open }) {
    await ask('deny', { subject: 'user:alice', filter: 'users/alice/#' });
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await page.locator('.refusal', { hasText: 'An access rule keeps you from your own notifications' }).waitFor();
    // A server that is not reached is another thing.
    await page.route('**/api/v1/auth/mqtt', (route) => route.abort('connectionreset'));
    await light(page, /Reconnecting/).getByRole('button', { name: 'Try now' }).click();
    await page.locator('[data-state][title^="The server cannot be reached"]').first().waitFor({ state: 'attached' });
    await page.unroute('**/api/v1/auth/mqtt');
    await page.route('**/api/v1/auth/mqtt', (route) => route.fulfill({ status: 429, headers: { 'retry-after': '7' } }));
    await light(page, /Reconnecting/).getByRole('button', { name: 'Try now' }).click();
    await page.locator('.refusal', { hasText: 'The server refuses the connection' }).waitFor();
  },

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
};

await inBrowser(url, flows[flow]);
done();

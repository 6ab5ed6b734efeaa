// What a user does. Arguments: the server's address, and the name of the flow.
import { assert, fillSignIn, inBrowser, isLive, password, row, same, send, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const flows = {
  /** Wrong password, sign in, sign out; another's page does not show what one wrote. */
  async signing({ open }) {
    const page = await (await open()).newPage();
    await page.goto(`${url}/tokens`);
    await fillSignIn(page, 'alice', 'not it');
    await page.getByRole('alert').getByText('not right').waitFor();
    await fillSignIn(page, 'alice');
    // Where one wanted to go.
    await page.getByRole('heading', { name: 'Access tokens' }).waitFor();
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await send(page, 'for me alone');
    await row(page, 'for me alone', 'delivered').waitFor();
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('a draft of alice');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await fillSignIn(page, 'bob');
    await page.getByText('Nothing here yet').waitFor();
    same(await page.getByRole('textbox', { name: 'Message', exact: true }).inputValue(), '', 'the draft');
    same(await row(page, 'for me alone').count(), 0, "alice's messages");
    await page.goto(`${url}/admin/users`);
    await page.getByRole('heading', { name: 'There is nothing here', level: 2 }).waitFor();
  },

  /** Sending, queued with a countdown, processing, delivered. The server's delay is eight seconds. */
  async sending({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    let polls = 0;
    page.on('request', (request) => {
      if (request.method() === 'GET' && request.url().includes('/api/v1/messages')) polls += 1;
    });
    // Held back, so that it can be seen on its way.
    let letGo;
    const held = new Promise((resolve) => (letGo = resolve));
    await page.route('**/api/v1/messages', async (route) => {
      await held;
      await route.continue();
    });
    await send(page, 'hello');
    await row(page, 'hello', 'sending').waitFor();
    letGo();
    await row(page, 'hello', 'queued').getByText(/in [1-8] s/).waitFor();
    await row(page, 'hello', 'delivered').waitFor();
    same(await row(page, 'hello').count(), 1, 'rows');
    same(polls, 0, 'requests for what came live');
    // The button does the same.
    await page.getByRole('textbox', { name: 'Message', exact: true }).fill('by the button');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await row(page, 'by the button', 'queued').waitFor();
    // Only white space is no message.
    assert(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled(), 'an empty message could be sent');
  },

  /** An answer that is lost, a refusal, a message that fails: nothing is sent twice. */
  async failures({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    const keys = [];
    let lost = 2;
    await page.route('**/api/v1/messages', async (route) => {
      if (route.request().method() !== 'POST') return route.continue();
      keys.push(await route.request().headerValue('idempotency-key'));
      if (lost-- > 0) {
        // The server takes it, and the answer never comes.
        await route.fetch();
        return route.abort('connectionreset');
      }
      return route.continue();
    });
    await send(page, 'once');
    await row(page, 'once', 'waiting').waitFor();
    await row(page, 'once', 'delivered').waitFor();
    same(new Set(keys).size, 1, 'keys');
    assert(keys.length >= 3, `tried ${keys.length} times`);
    same(await row(page, 'once').count(), 1, 'rows');
    await page.unroute('**/api/v1/messages');

    const long = `long ${'x'.repeat(70_000)}`;
    await send(page, long);
    await row(page, 'long', 'failed').getByText('Not sent').waitFor();
    await row(page, 'long').getByRole('button', { name: 'Send again' }).click();
    await row(page, 'long', 'failed').waitFor();
    await row(page, 'long').getByRole('button', { name: 'Discard' }).click();
    await row(page, 'long').waitFor({ state: 'detached' });

    await send(page, 'fail: no paper');
    await row(page, 'no paper', 'dead').getByText('the service answered 422').waitFor();
    for (let time = 0; time < 2; time++) {
      await row(page, 'no paper', 'dead').last().click();
      await page.getByRole('button', { name: 'Send again' }).click();
      await page.getByText('Sent again.').first().waitFor();
    }
    await row(page, 'no paper', 'dead').nth(1).waitFor();
    const { count } = await ask('count', { user: 'alice', body: 'fail: no paper' });
    same(count, 2, 'messages after sending again twice');
    same((await ask('count', { user: 'alice', body: 'once' })).count, 1, 'messages after two lost answers');
  },

  /** Details, attempts, cancelling, filters and paging. */
  async history({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'flaky');
    await row(page, 'flaky', 'delivered').click();
    const details = page.getByRole('region', { name: 'Message' });
    for (const step of ['Accepted', 'Attempt 1 failed', 'Processed', 'Delivered to you']) {
      await details.getByText(step, { exact: true }).waitFor();
    }
    assert(page.url().includes('/messages/'), 'details have an address');
    await page.reload();
    await details.getByText('Attempt 1 failed').waitFor();
    await page.keyboard.press('Escape');
    await details.waitFor({ state: 'detached' });

    await ask('delay', { ms: 600_000 });
    await send(page, 'later');
    await row(page, 'later', 'queued').click();
    await details.getByRole('button', { name: 'Cancel the message' }).click();
    await row(page, 'later', 'cancelled').waitFor();
    await details.getByRole('link', { name: 'Back' }).click();

    await page.getByRole('radio', { name: 'Cancelled' }).check();
    await row(page, 'later').waitFor();
    same(await row(page, 'flaky').count(), 0, 'processed among cancelled');
    assert(page.url().endsWith('?status=cancelled'), 'the filter has an address');
    await page.getByRole('radio', { name: 'Failed' }).check();
    await page.getByText('None of these').waitFor();
    await page.getByRole('radio', { name: 'All' }).check();

    await ask('delay', { ms: 0 });
    await ask('send', { user: 'alice', count: 450 });
    await page.reload();
    await row(page, 'number 449').waitFor();
    await row(page, 'number 449').focus();
    // Each time that the end is near, the next page comes.
    await page.waitForFunction(() => {
      const list = document.querySelector('[role=list][aria-label="Your messages"]');
      list.scrollTop = list.scrollHeight;
      return list.textContent.includes('flaky');
    }, undefined, { polling: 50 });
    await page.getByText('That is all.').waitFor();
  },

  async tokens({ open }) {
    const page = await (await open()).newPage();
    await signIn(page, url, 'alice');
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await page.getByText('No tokens').waitFor();
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByRole('button', { name: 'Create the token' }).click();
    await page.getByText('Say what the token is for.').waitFor();
    await page.getByLabel('Name').fill('Backup');
    await page.getByRole('button', { name: 'Create the token' }).click();
    const token = await page.locator('[data-token]').innerText();
    await page.getByRole('button', { name: 'Done' }).click();
    same((await ask('use', { token })).status, 200, 'with the token');
    same(await page.getByText(token).count(), 0, 'the token, shown again');
    await page.getByRole('button', { name: 'Revoke Backup' }).click();
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByText('No tokens').waitFor();
    same((await ask('use', { token })).status, 401, 'with the revoked token');
  },

  /** A new password ends the other browser's session, which says so and goes on where it was. */
  async password({ open }) {
    const [one, other] = [await (await open()).newPage(), await (await open()).newPage()];
    await signIn(one, url, 'alice');
    await signIn(other, url, 'alice');
    await isLive(other);
    await other.getByRole('textbox', { name: 'Message', exact: true }).fill('half a thought');
    await other.getByRole('link', { name: 'Access tokens' }).click();
    await other.getByRole('heading', { name: 'Access tokens' }).waitFor();

    await one.getByRole('link', { name: 'Account' }).click();
    await one.getByLabel('Current password').fill('wrong one');
    await one.getByLabel('New password').fill('another password');
    await one.getByRole('button', { name: 'Change the password' }).click();
    await one.getByText('not your current password').waitFor();
    await one.getByLabel('Current password').fill(password('alice'));
    await one.getByRole('button', { name: 'Change the password' }).click();
    await one.getByText('The password is changed.').waitFor();

    // Nothing was done there: the connection ended, and there is no token for another one.
    await other.getByText('Your session has ended.').waitFor();
    await fillSignIn(other, 'alice', 'another password');
    await other.getByRole('heading', { name: 'Access tokens' }).waitFor();
    await other.getByRole('link', { name: 'Messages', exact: true }).click();
    same(await other.getByRole('textbox', { name: 'Message', exact: true }).inputValue(), 'half a thought', 'the draft');
    await isLive(other);

    // And one ends the other from the list.
    await one.getByRole('link', { name: 'Sessions' }).click();
    await one.getByRole('listitem').filter({ hasNot: one.getByText('This browser') }).getByRole('button').click();
    await one.getByText('That browser is signed out.').waitFor();
    await other.getByText('Your session has ended.').waitFor();
  },

  async registering({ open }) {
    const page = await (await open()).newPage();
    await page.goto(url);
    await page.getByRole('link', { name: 'Create an account' }).click();
    await page.getByLabel('User name').fill('Carol!');
    await page.getByLabel('Password').fill('short');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await page.getByText('begin with a letter').waitFor();
    await page.getByLabel('User name').fill('alice');
    await page.getByLabel('Password').fill('password of carol');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await page.getByText('Somebody has this name already.').waitFor();
    await page.getByLabel('User name').fill('carol');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await page.getByText('Your account is ready.').waitFor();
    same(await page.getByLabel('User name').inputValue(), 'carol', 'the name, filled in');
    await page.getByLabel('Password').fill('password of carol');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Nothing here yet').waitFor();
  },

  async closed({ open }) {
    const page = await (await open()).newPage();
    await page.goto(url);
    await page.getByLabel('User name').waitFor();
    await page.waitForLoadState('networkidle');
    same(await page.getByRole('link', { name: 'Create an account' }).count(), 0, 'links to a closed page');
    await page.goto(`${url}/register`);
    await page.getByText('an administrator creates the accounts').waitFor();
  },

  /** No mouse. */
  async keyboard({ open }) {
    const page = await (await open()).newPage();
    await page.goto(url);
    await page.getByLabel('User name').waitFor();
    const focused = () => page.evaluate(() => {
      const { activeElement: e } = document;
      return e.getAttribute('aria-label') ?? (e.id || e.textContent.trim());
    });
    const tabTo = async (name) => {
      for (let presses = 0; presses < 40; presses++) {
        if ((await focused()).startsWith(name)) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`Tab does not come to ${name}`);
    };
    // The first field has the focus.
    await page.keyboard.type('alice');
    await page.keyboard.press('Tab');
    await page.keyboard.type(password('alice'));
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
    await isLive(page);
    await tabTo('compose');
    for (const text of ['first', 'second', 'third']) {
      await page.keyboard.type(text);
      await page.keyboard.press('Control+Enter');
      await row(page, text, 'delivered').waitFor();
    }
    await tabTo('third');
    await page.keyboard.press('ArrowDown');
    same((await focused()).startsWith('second'), true, 'one down');
    await page.keyboard.press('End');
    same((await focused()).startsWith('first'), true, 'the last');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Message' }).getByText('Delivered to you').waitFor();
    same(await focused(), 'details-title', 'the focus goes along');
    await page.keyboard.press('Escape');
    await page.getByRole('region', { name: 'Message' }).waitFor({ state: 'detached' });
    // The filters are radio buttons.
    await page.getByRole('radio', { name: 'All' }).focus();
    await page.keyboard.press('ArrowRight');
    assert(page.url().endsWith('?status=queued'), 'an arrow chooses');
    await page.reload();
    await page.getByRole('radio', { name: 'Queued' }).waitFor();
    await page.keyboard.press('Tab');
    same(await focused(), 'Skip to the content', 'the first stop');
    await tabTo('Access tokens');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Access tokens' }).waitFor();
    await page.locator('h1:focus').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('By hand');
    await page.keyboard.press('Enter');
    await page.locator('[data-token]').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByText('By hand').waitFor();
  },

  /** The browser notifies a user who is elsewhere. */
  async notified({ open }) {
    const context = await open();
    await context.addInitScript(() => {
      globalThis.told = [];
      globalThis.Notification = class extends EventTarget {
        static permission = 'default';
        static requestPermission() {
          this.permission = 'granted';
          return Promise.resolve('granted');
        }
        constructor(title, { body }) {
          super();
          globalThis.told.push([title, body]);
        }
        close() {}
      };
      globalThis.away = false;
      Object.defineProperty(document, 'visibilityState', { get: () => (globalThis.away ? 'hidden' : 'visible') });
    });
    const page = await context.newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'here');
    await row(page, 'here', 'delivered').waitFor();
    await page.getByRole('button', { name: 'Notify me' }).click();
    await page.getByRole('button', { name: 'Notify me' }).waitFor({ state: 'detached' });
    await page.evaluate(() => { globalThis.away = true; });
    await send(page, 'elsewhere');
    await page.waitForFunction(() => globalThis.told.length > 0);
    same(await page.evaluate(() => globalThis.told), [['Message processed', 'elsewhere']], 'what was told');
    await page.waitForFunction(() => document.title.startsWith('(1)'));
    await page.evaluate(() => {
      globalThis.away = false;
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await page.waitForFunction(() => !document.title.startsWith('('));
  },
};

await inBrowser(url, flows[flow]);
done();

// Two users in one browser. Arguments: the server's address, and the name of the flow.
import { assert, fillSignIn, inBrowser, isLive, password, row, same, send, signIn } from './browser.mjs';
import { done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

/** What is seen, and what the document holds beside it. */
const everything = (page) => page.evaluate(() => document.documentElement.outerHTML + JSON.stringify({ ...sessionStorage }));

async function isNowhere(page, text, when) {
  assert(!(await everything(page)).includes(text), `${text} is on the page ${when}`);
}

async function signOut(page) {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are signed out.').waitFor();
}

const isOf = (page, name) => page.locator('.user .name', { hasText: name }).first().waitFor({ state: 'attached' });

/** Signs in as the page of the API does, which notifies no tab of the app. */
async function signInElsewhere(context, name) {
  const page = await context.newPage();
  await page.goto(`${url}/docs`);
  const status = await page.evaluate(async ([username, secret]) => {
    const answer = await fetch('/api/v1/auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password: secret }),
    });
    return answer.status;
  }, [name, password(name)]);
  same(status, 200, 'signing in elsewhere');
  await page.close();
}

const flows = {
  async tabs({ open }) {
    const context = await open();
    const [one, other] = [await context.newPage(), await context.newPage()];
    await signIn(one, url, 'alice');
    await isLive(one);
    await send(one, 'a secret of alice');
    await row(one, 'a secret of alice', 'delivered').click();
    await one.getByText('Delivered to you').waitFor();
    await other.goto(`${url}/tokens`);
    await other.getByRole('heading', { name: 'Access tokens' }).waitFor();
    // One hears nothing of the server for a while, and so not that alice is gone.
    await one.route('**/api/v1/auth/session', (route) => route.abort('connectionreset'), { times: 2 });
    await signOut(other);
    await fillSignIn(other, 'bob');
    await other.getByText('Nothing here yet').waitFor();
    await one.waitForFunction(() => !document.documentElement.outerHTML.includes('a secret of alice'));
    await one.unroute('**/api/v1/auth/session');
    await one.reload();
    await isOf(one, 'bob');
    await one.getByText('Nothing here yet').waitFor();
    await send(one, 'of bob');
    await row(one, 'of bob', 'delivered').waitFor();
    await row(other, 'of bob', 'delivered').waitFor();
    for (const page of [one, other]) await isNowhere(page, 'a secret of alice', 'of bob');

    // A dialog with a new token, which another tab takes the user away from.
    await one.goto(`${url}/tokens`);
    await one.getByRole('button', { name: 'New token' }).click();
    await one.getByLabel('Name').fill('Backup');
    await one.getByRole('button', { name: 'Create the token' }).click();
    const token = await one.locator('[data-token]').innerText();
    await signOut(other);
    await fillSignIn(other, 'alice');
    await row(other, 'a secret of alice').waitFor();
    await isOf(one, 'alice');
    await isNowhere(one, token, "after bob's leaving");
    await isNowhere(one, 'of bob', "after bob's leaving");
  },

  async late({ open }) {
    const context = await open();
    const page = await context.newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'a secret of alice');
    await row(page, 'a secret of alice', 'delivered').waitFor();
    // Whatever is asked from now on is answered when bob is here.
    const held = [];
    await page.route('**/api/v1/**', async (route) => {
      const method = route.request().method();
      if (method === 'GET') held.push({ route, answer: await route.fetch() });
      else await route.continue();
    });
    await row(page, 'a secret of alice').click();
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await page.waitForFunction(() => performance.getEntriesByType('resource').length > 0);
    while (held.length < 2) await page.waitForEvent('request');
    await signOutHeld(page);
    await page.unroute('**/api/v1/**');
    for (const { route, answer } of held) await route.fulfill({ response: answer }).catch(() => undefined);
    await fillSignIn(page, 'bob');
    await page.getByText('Nothing here yet').waitFor();
    await isLive(page);
    await send(page, 'of bob');
    await row(page, 'of bob', 'delivered').waitFor();
    same(await page.locator('[role=listitem]').count(), 1, "rows of bob's");
    await isNowhere(page, 'a secret of alice', 'of bob');
  },

  async elsewhere({ open }) {
    const context = await open();
    const page = await context.newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await send(page, 'a secret of alice');
    await row(page, 'a secret of alice', 'delivered').waitFor();
    await signInElsewhere(context, 'bob');
    // Whatever the page does next, it finds that it is not alice's any more.
    await page.getByRole('link', { name: 'Access tokens' }).click();
    await isOf(page, 'bob');
    await isNowhere(page, 'a secret of alice', 'of bob');
    // The page may have found it out before the click: then it was bob who went there.
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await page.getByText('Nothing here yet').waitFor();
    await isNowhere(page, 'a secret of alice', 'of bob');
    await isLive(page);
    await send(page, 'of bob');
    await row(page, 'of bob', 'delivered').waitFor();

    // What is being written does not go to the other one, whether the page finds out before it is sent or by sending it.
    const box = page.getByRole('textbox', { name: 'Message', exact: true });
    await box.fill('bob wrote this');
    await signInElsewhere(context, 'alice');
    await box.press('Control+Enter');
    await isOf(page, 'alice');
    await row(page, 'a secret of alice', 'delivered').waitFor();
    await isNowhere(page, 'bob wrote this', 'of alice');
    await isNowhere(page, 'of bob', 'of alice');
    await signOut(page);
  },

  async again({ open }) {
    const context = await open();
    const page = await context.newPage();
    await signIn(page, url, 'alice');
    await isLive(page);
    await page.evaluate(() => { globalThis.isTheSamePage = true; });
    await signInElsewhere(context, 'alice');
    await send(page, 'by the new session');
    await row(page, 'by the new session', 'delivered').waitFor();
    assert(await page.evaluate(() => globalThis.isTheSamePage), 'the page was loaded anew');
    await signOut(page);
  },

  /** The server's delay is long. */
  async traces({ open }) {
    const context = await open();
    const [page, other] = [await context.newPage(), await context.newPage()];
    await signIn(page, url, 'alice');
    await other.goto(url);
    for (const tab of [page, other]) {
      await tab.getByRole('link', { name: 'Account' }).click();
      await tab.getByRole('link', { name: 'Messages', exact: true }).click();
      await isLive(tab);
      await tab.route('**/api/v1/messages', (route) =>
        route.request().method() === 'POST' ? route.abort('connectionreset') : route.continue());
      await send(tab, 'never sent');
      await row(tab, 'never sent', 'waiting').waitFor();
      await tab.getByRole('textbox', { name: 'Message', exact: true }).fill('half a thought');
    }
    await page.getByRole('button', { name: 'Sign out' }).click();
    for (const tab of [page, other]) {
      await tab.getByText('You are signed out.').waitFor();
      for (const text of ['never sent', 'half a thought']) await isNowhere(tab, text, 'after signing out');
      // Nor does going back bring it.
      await tab.goBack();
      await tab.getByLabel('User name').waitFor();
      for (const text of ['never sent', 'half a thought']) await isNowhere(tab, text, 'after going back');
      same(await tab.evaluate(() => indexedDB.databases().then((all) => all.length)), 0, 'databases');
      const kept = await tab.evaluate(() => Object.keys({ ...localStorage, ...sessionStorage }).filter((key) => !/theme|notify/.test(key)));
      same(kept, [], 'what is kept');
    }
  },
};

/** The page is being left while answers are held. */
async function signOutHeld(page) {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForEvent('framenavigated');
}

await inBrowser(url, flows[flow]);
done();

// Every page, in light and dark, on a desktop and a phone: photographed and looked at by axe.
import { assert, DESKTOP, inBrowser, isLive, look, PHONE, send, signIn, row } from './browser.mjs';

const [url] = process.argv.slice(2);

/** Name, path, and whether only administrators have it. */
const PAGES = [
  ['messages', '/'],
  ['tokens', '/tokens'],
  ['sessions', '/account/sessions'],
  ['account', '/account'],
  ['not-found', '/nothing/here'],
  ['admin-delay', '/admin/delay'],
  ['admin-queue', '/admin/queue'],
  ['admin-connections', '/admin/connections'],
  ['admin-users', '/admin/users'],
  ['admin-rules', '/admin/rules'],
  ['admin-audit', '/admin/audit'],
  ['admin-live', '/admin/live'],
];

await inBrowser(url, async ({ open }) => {
  const found = [];
  const looks = [];
  for (const [scheme, size] of [['light', DESKTOP], ['dark', DESKTOP], ['light', PHONE], ['dark', PHONE]]) {
    const isPhone = size === PHONE;
    const context = await open({ size, colorScheme: scheme, reducedMotion: 'reduce', isMobile: isPhone, hasTouch: isPhone });
    const page = await context.newPage();
    const see = async (name) => {
      const full = `${name}-${isPhone ? 'phone' : 'desktop'}-${scheme}`;
      looks.push(full);
      found.push(...(await look(page, full)));
    };
    await page.goto(url);
    await page.getByLabel('User name').waitFor();
    await page.getByRole('link', { name: 'Create an account' }).waitFor();
    await see('sign-in');
    await page.goto(`${url}/register`);
    await page.getByRole('button', { name: 'Create the account' }).waitFor();
    await see('register');
    await signIn(page, url, 'admin');
    await isLive(page);
    if (looks.length === 2) {
      await see('messages-empty');
      await page.goto(`${url}/tokens`);
      await page.getByRole('heading', { name: 'No tokens' }).waitFor();
      await see('tokens-empty');
      await token(page, 'Backup script');
      await token(page, 'Doorbell');
      await page.goto(url);
      for (const text of ['Water the plants on the balcony', 'Call the bank about the new card', 'hello']) await send(page, text);
      await row(page, 'hello', 'delivered').waitFor();
      await send(page, 'fail: the printer in room 4 is out of paper');
      await row(page, 'printer', 'dead').waitFor();
    }
    await send(page, `Remind me of the meeting (${scheme})`);
    await row(page, `meeting (${scheme})`).first().waitFor();
    for (const [name, path] of PAGES) {
      await page.goto(url + path);
      await page.locator('h1').first().waitFor({ state: 'attached' });
      await page.waitForLoadState('networkidle');
      await see(name);
    }
    await page.goto(url);
    await row(page, 'printer', 'dead').click();
    await page.getByText('Attempt 1 failed').waitFor();
    await see('message-failed');
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog', { name: 'Delete this message?' }).waitFor();
    await see('message-delete');
    await page.keyboard.press('Escape');
    await page.goto(`${url}/tokens`);
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').waitFor();
    await see('token-new');
    await page.keyboard.press('Escape');
    if (isPhone) {
      await page.getByRole('button', { name: 'Menu' }).click();
      await page.getByRole('dialog').waitFor();
      await see('menu');
    }
    await context.close();
  }
  assert(found.length === 0, `axe found:\n${found.join('\n')}`);
  process.stdout.write(`${looks.length} looks\n`);
});

async function token(page, name) {
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill(name);
  await page.getByRole('button', { name: 'Create the token' }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByText(name).waitFor();
}

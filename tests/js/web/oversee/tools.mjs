// What the administrator's flows share.
import { request } from 'playwright-core';
import { assert, axe, DESKTOP, isLive, password, PHONE, photograph, signIn } from '../browser.mjs';

/** The page of somebody who is signed in, in a window of its own. */
export async function pageOf({ url, open }, username) {
  const page = await (await open({ reducedMotion: 'reduce' })).newPage();
  await signIn(page, url, username);
  await isLive(page);
  return page;
}

/** Looks at the page as it is now: by axe and with a camera, in light and dark, on a desktop and a phone. */
export async function look(page, name) {
  const before = page.viewportSize();
  const found = [];
  for (const [size, device] of [[DESKTOP, 'desktop'], [PHONE, 'phone']]) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const full = `admin-${name}-${device}-${colorScheme}`;
      await photograph(page, full);
      for (const violation of await axe(page)) found.push(`${full}: ${violation}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
  assert(found.length === 0, `axe found:\n${found.join('\n')}`);
}

/** The API, as somebody who signed in without the app. */
export async function apiOf(url, username, secret = password(username)) {
  const context = await request.newContext({ ignoreHTTPSErrors: true });
  const ask = async (method, path, data, csrf) => {
    const headers = csrf === undefined ? {} : { 'X-CSRF-Token': csrf };
    const answer = await context.fetch(`${url}/api/v1${path}`, { method, data, headers });
    const text = await answer.text();
    return { status: answer.status(), body: text === '' ? undefined : JSON.parse(text) };
  };
  const { status, body } = await ask('POST', '/auth/login', { username, password: secret });
  return {
    /** What signing in was answered. */
    status,
    get: (path) => ask('GET', path),
    post: (path, data) => ask('POST', path, data, body.csrf_token),
    patch: (path, data) => ask('PATCH', path, data, body.csrf_token),
    delete: (path) => ask('DELETE', path, undefined, body.csrf_token),
  };
}

/** Makes accounts, with the password that the others have. */
export async function create(api, names, role = 'user') {
  for (const username of names) {
    const { status } = await api.post('/admin/users', { username, password: password(username), role });
    assert(status === 201, `${username}: ${status}`);
  }
}

/** The row of an account. */
export function account(page, name) {
  return page.locator(`[data-user="${name}"]`);
}

/** Opens what can be done with an account, from the list. */
export async function manage(page, name) {
  await page.getByRole('link', { name: `Manage ${name}`, exact: true }).click();
  const dialog = page.getByRole('dialog', { name });
  await dialog.getByRole('heading', { name: 'Access' }).waitFor();
  return dialog;
}

export async function close(dialog) {
  await dialog.page().keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
}

/** Presses Tab until something has the focus. */
export async function tabTo(page, locator, { back = false } = {}) {
  await locator.waitFor();
  const focused = locator.and(page.locator(':focus'));
  for (let presses = 0; presses < 60; presses++) {
    if (await focused.count() > 0) return;
    await page.keyboard.press(back ? 'Shift+Tab' : 'Tab');
  }
  throw new Error(`Tab does not come to ${locator}`);
}

/** Collects what the server sends a page, over HTTP and WebSockets, from now on. */
export function overhear(page) {
  const heard = [];
  const frames = (socket) => socket.on('framereceived', ({ payload }) => heard.push(payload.toString('latin1')));
  page.on('websocket', frames);
  page.on('response', async (response) => {
    if (!response.url().includes('/api/v1/')) return;
    heard.push(`${response.status()} ${response.url()} ${await response.text().catch(() => '')}`);
  });
  return heard;
}

/** Asks again until the answer is a good one. */
export async function until(what, check) {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await check();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`in vain: ${what}`);
}

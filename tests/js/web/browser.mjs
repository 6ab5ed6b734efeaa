// A browser and what tests do with it.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { chromium } from 'playwright-core';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export function password(username) {
  return username === 'admin' ? 'admin' : `password of ${username}`;
}

/** Runs `test` with a browser on the server at `url`. Whatever a page complains about fails it. */
export async function inBrowser(url, test) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  const problems = [];
  try {
    await test({
      url,
      /** A window of its own: nothing is shared with the others. */
      async open({ size = DESKTOP, ...options } = {}) {
        // The local certificate authority is not in the browser's store; that it signs is tested with other clients.
        const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: size, ...options });
        context.setDefaultTimeout(60_000);
        context.on('page', (page) => watch(page, problems));
        return context;
      },
    });
  } finally {
    await browser.close();
  }
  if (problems.length > 0) throw new Error(`the page complained: ${problems.join('\n')}`);
}

function watch(page, problems) {
  page.on('pageerror', (error) => problems.push(error.stack ?? error.message));
  page.on('console', (message) => {
    const text = message.text();
    // Chromium says so of each answer of 4xx, of a server that is down, and of a good-bye that meets the server's: tests do
    // that on purpose.
    const isExpected = /Failed to load resource|WebSocket connection to|WebSocket is already in CLOSING/.test(text);
    if (message.type() === 'error' && !isExpected) problems.push(text);
  });
}

export async function signIn(page, url, username) {
  await page.goto(url);
  await fillSignIn(page, username);
  await page.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
}

export async function fillSignIn(page, username, secret = password(username)) {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function send(page, text) {
  const box = page.getByRole('textbox', { name: 'Message', exact: true });
  await box.fill(text);
  await box.press('Control+Enter');
}

/** The row of a message; `phase`: once it is there. */
export function row(page, text, phase) {
  const where = phase === undefined ? '[data-phase]' : `[data-phase="${phase}"]`;
  return page.locator(`[role=listitem] ${where}`, { hasText: text });
}

export async function isLive(page) {
  await page.locator('[data-state="live"]').first().waitFor({ state: 'attached' });
}

/** The connection light that is seen: there is one for narrow windows, and one for wide ones. */
export function light(page, hasText) {
  return page.locator('[data-state]:visible', { hasText });
}

/** What axe finds wrong on the page. */
export async function axe(page) {
  // Scripts of the test's own are let in past the Content-Security-Policy.
  await page.evaluate(await import('node:fs').then((fs) => fs.readFileSync(axePath, 'utf8')));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return violations.map(({ id, nodes }) =>
    `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(' | ')}`);
}

/** Photographs the page, and returns what is wrong with it: what axe finds, and whether it is wider than the window. */
export async function look(page, name) {
  await photograph(page, name);
  const wrong = await axe(page);
  const { scrollWidth, clientWidth } = await page.evaluate(() => ({
    scrollWidth: document.documentElement.scrollWidth,
    clientWidth: document.documentElement.clientWidth,
  }));
  if (scrollWidth > clientWidth) wrong.push(`the page has ${scrollWidth} px in a window of ${clientWidth}`);
  return wrong.map((what) => `${name}: ${what}`);
}

/** All of the page, also what is below the window. */
export async function photograph(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const at = await page.evaluate(() => scrollY);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', fullPage: true });
  await page.evaluate((y) => scrollTo(0, y), at);
}

export function assert(condition, text) {
  if (!condition) throw new Error(text);
}

export function same(actual, expected, text) {
  assert(isDeepStrictEqual(actual, expected), `${text}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}

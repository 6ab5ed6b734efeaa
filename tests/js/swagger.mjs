// In Swagger UI, as a person would who has just started the server: an administrator signs in, has messages processed at
// once, sends one, and looks at what became of it. Arguments: the page's address, user name, password, text to send.
// Prints the statuses, the message as it was seen last and all problems as JSON. SCREENSHOT: where to put pictures, a
// folder.
import { chromium } from 'playwright-core';

const [url, username, password, text] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

try {
  // The local certificate authority is not in the browser's store; that it signs is tested with other clients.
  const page = await browser.newPage({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 1000 } });
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(`${message.text()} (${message.location().url})`);
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'data:' && origin !== new URL(url).origin) problems.push(`from elsewhere: ${request.url()}`);
  });
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
  await page.goto(url);

  async function picture(name) {
    if (process.env.SCREENSHOT) await page.screenshot({ path: `${process.env.SCREENSHOT}/${name}.png` });
  }

  function operation(method, path) {
    return page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) });
  }

  async function open(block) {
    if (!(await block.getAttribute('class')).includes('is-open')) {
      await block.locator('.opblock-summary-control').click();
    }
    await block.locator('.try-out__btn').click();
  }

  /** Presses Execute. Returns the status and the body of the response. */
  async function execute(block) {
    const answered = page.waitForResponse((response) => response.url().includes('/api/v1/')
      && !response.url().endsWith('/auth/session'));
    await block.locator('.execute').click();
    const response = await answered;
    // What the page shows is what counts.
    const shown = block.locator('.live-responses-table .response').first();
    await shown.locator('.response-col_status', { hasText: String(response.status()) }).waitFor();
    return { status: response.status(), body: JSON.parse(await response.text() || 'null') };
  }

  /** Executes the operation with `body`. */
  async function call(method, path, body) {
    const block = operation(method, path);
    await open(block);
    await block.locator('textarea.body-param__text').fill(JSON.stringify(body));
    return execute(block);
  }

  /** Executes the operation with `id` until its answer's status is `wanted`. */
  async function until(path, id, wanted) {
    const block = operation('get', path);
    await open(block);
    await block.locator('[data-param-name="id"] input').fill(id);
    for (;;) {
      const { status, body } = await execute(block);
      if (status !== 200 || body.status === wanted) return { status, body };
    }
  }

  await operation('post', '/auth/login').waitFor();
  await picture('page');
  // The words at the top lead to it.
  await page.locator('.info a', { hasText: 'POST /auth/login' }).click();
  await page.locator('.opblock-post.is-open', { has: page.locator('[data-path="/auth/login"]') }).waitFor();
  const login = await call('post', '/auth/login', { username, password });
  await operation('post', '/auth/login').scrollIntoViewIfNeeded();
  await picture('login');
  const delay = await call('put', '/admin/delay', { mode: 'fixed', ms: 0 });
  const send = await call('post', '/messages', { body: text });
  const seen = await until('/messages/{id}', send.body.id, 'processed');
  await operation('get', '/messages/{id}').locator('.live-responses-table').scrollIntoViewIfNeeded();
  await picture('done');
  process.stdout.write(JSON.stringify({
    login: login.status, delay: delay.status, send: send.status, seen: seen.status, message: seen.body, problems,
  }));
} finally {
  await browser.close();
}

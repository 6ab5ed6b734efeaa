// Signs in and sends in Swagger UI, as a person would. Arguments: the page's address, user name, password, text to send.
// Prints the answer to the send as JSON.
import { chromium } from 'playwright-core';

const [url, username, password, text] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

try {
  // The local certificate authority is not in the browser's store; that it signs is tested with other clients.
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) problems.push(message.text());
  });
  await page.goto(url);

  /** Executes the POST to `path` with `body`; answers its status and text. */
  async function post(path, body) {
    const operation = page.locator('.opblock-post', { has: page.locator(`[data-path="${path}"]`) });
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.try-out__btn').click();
    await operation.locator('textarea.body-param__text').fill(JSON.stringify(body));
    await operation.locator('.execute').click();
    const response = operation.locator('.live-responses-table .response').first();
    const status = await response.locator('.response-col_status').innerText();
    const answer = await response.locator('.highlight-code').first().innerText();
    return { status: Number.parseInt(status, 10), answer };
  }

  const login = await post('/auth/login', { username, password });
  const send = await post('/messages', { body: text });
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  process.stdout.write(JSON.stringify({ login: login.status, send: send.status, answer: send.answer, problems }));
} finally {
  await browser.close();
}

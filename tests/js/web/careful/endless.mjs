// A history that is longer than the app holds.
import { assert, isLive, row, same, send, signIn } from '../browser.mjs';

/** More messages than the app holds, from a mocked API. */
export async function endless({ url, open }) {
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
}

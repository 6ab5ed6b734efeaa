// Ten thousand messages in the list, and 200 notifications a second. Argument: the server's address.
import { assert, inBrowser, isLive, same, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url] = process.argv.slice(2);
const MANY = 10_000;
const PER_S = 200;
const SECONDS = 5;

const LIST = '[role=list][aria-label="Your messages"]';

await inBrowser(url, async ({ open }) => {
  await ask('send', { user: 'alice', count: MANY });
  const page = await (await open()).newPage();
  await signIn(page, url, 'alice');
  await isLive(page);

  // To the very end, page by page.
  await page.waitForFunction((selector) => {
    const list = document.querySelector(selector);
    if (list === null) return false;
    list.scrollTop = list.scrollHeight;
    return list.textContent.includes('number 0.') && list.textContent.includes('That is all.');
  }, LIST, { polling: 30, timeout: 90_000 });
  same(await page.locator(`${LIST} [role=listitem]`).first().getAttribute('aria-setsize'), String(MANY), 'messages in the list');
  const rows = await page.locator(`${LIST} [role=listitem]`).count();
  assert(rows < 60, `${rows} rows in the document`);

  // All the way up in steps of a quick wheel.
  const scrolling = await page.evaluate(async (selector) => {
    const list = document.querySelector(selector);
    const frames = [];
    let last = performance.now();
    for (let step = 0; step < 150; step++) {
      list.scrollTop -= 900;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
    }
    return frames.sort((a, b) => a - b);
  }, LIST);
  const at = (list, share) => Math.round(list[Math.floor((list.length - 1) * share)]);
  assert(at(scrolling, 0.5) <= 34, `half of the frames take longer than ${at(scrolling, 0.5)} ms`);
  assert(at(scrolling, 0.95) <= 100, `one of twenty frames takes ${at(scrolling, 0.95)} ms`);

  // While they come, the page answers.
  await page.evaluate((selector) => {
    document.querySelector(selector).scrollTop = 0;
    globalThis.frames = [];
    let last = performance.now();
    const frame = () => {
      const now = performance.now();
      globalThis.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }, LIST);
  const box = page.getByRole('textbox', { name: 'Message', exact: true });
  const sending = ask('send', { user: 'alice', count: PER_S * SECONDS, per_s: PER_S, prefix: 'burst' });
  await box.pressSequentially('still here', { delay: 100 });
  await sending;
  await page.waitForFunction(([selector, all]) => {
    const first = document.querySelector(`${selector} [role=listitem]`);
    return first?.getAttribute('aria-setsize') === String(all);
  }, [LIST, MANY + PER_S * SECONDS]);
  await page.locator(`${LIST} [data-phase="delivered"]`, { hasText: `burst ${PER_S * SECONDS - 1}.` }).waitFor();
  same(await box.inputValue(), 'still here', 'what was typed meanwhile');
  const frames = (await page.evaluate(() => globalThis.frames)).sort((a, b) => a - b);
  assert(at(frames, 0.95) <= 100, `one of twenty frames took ${at(frames, 0.95)} ms`);
  assert(at(frames, 1) <= 1000, `the page stood still for ${at(frames, 1)} ms`);
  process.stdout.write(`${JSON.stringify({
    scrolling: { p50: at(scrolling, 0.5), p95: at(scrolling, 0.95), longest: at(scrolling, 1) },
    burst: { p50: at(frames, 0.5), p95: at(frames, 0.95), longest: at(frames, 1) },
  })}\n`);
});
done();

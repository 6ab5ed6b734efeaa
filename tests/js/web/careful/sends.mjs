// What becomes of sends is read out, and what waits is not lost.
import { assert, isLive, row, same, send, signIn } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { box, cutSends, focused } from './tools.mjs';

/** One sentence for many messages. */
export async function announced({ url, open }) {
  const page = await (await open()).newPage();
  await signIn(page, url, 'alice');
  await isLive(page);
  await page.evaluate(() => {
    globalThis.said = [];
    const region = document.querySelector('[data-news]');
    new MutationObserver(() => {
      if (region.textContent !== '') globalThis.said.push([performance.now(), region.textContent.trim()]);
    }).observe(region, { childList: true, characterData: true, subtree: true });
  });
  const counted = (what) => page.evaluate((word) => globalThis.said
    .flatMap(([, sentence]) => [...sentence.matchAll(new RegExp(`${word}: (\\d+)`, 'g'))])
    .reduce((sum, [, n]) => sum + Number(n), 0), what);
  const told = (what, n) => page.waitForFunction(([word, all]) => globalThis.said
    .flatMap(([, sentence]) => [...sentence.matchAll(new RegExp(`${word}: (\\d+)`, 'g'))])
    .reduce((sum, [, count]) => sum + Number(count), 0) === all, [what, n]);
  await ask('send', { user: 'alice', count: 40, prefix: 'many' });
  await told('Delivered', 40);
  for (const text of ['one', 'two', 'three']) await send(page, text);
  await told('Queued', 3);
  await told('Delivered', 43);
  const mend = await cutSends(page);
  await send(page, 'cut off');
  await told('Not sent yet', 1);
  await mend();
  await told('Queued', 4);
  await send(page, 'x'.repeat(70_000));
  await told('Not sent', 1);
  await send(page, 'fail: no paper');
  await told('Failed', 1);
  same(await counted('Not sent yet'), 1, 'how often one was told of waiting');
  const times = await page.evaluate(() => globalThis.said.map(([at]) => at));
  const gaps = times.slice(1).map((at, i) => at - times[i]);
  assert(Math.min(...gaps) > 800, `sentences follow each other after ${Math.min(...gaps)} ms`);
}

/** Drafts, and what waits. */
export async function unsent({ url, open }) {
  const page = await (await open()).newPage();
  await signIn(page, url, 'alice');
  await isLive(page);
  const asked = [];
  page.on('dialog', (dialog) => {
    asked.push(dialog.type());
    void dialog.accept();
  });
  await page.reload();
  await isLive(page);
  same(asked, [], 'questions when there is nothing to lose');
  await box(page).fill('half a thought');
  await page.reload();
  await isLive(page);
  same(asked, ['beforeunload'], 'questions when there is a draft');
  same(await box(page).inputValue(), 'half a thought', 'the draft');
  await box(page).fill('');

  const mend = await cutSends(page);
  await send(page, 'misspelt');
  await send(page, 'not at all');
  await row(page, 'misspelt', 'waiting').waitFor();
  await row(page, 'not at all', 'waiting').waitFor();
  await box(page).fill('next');
  await row(page, 'misspelt', 'waiting').getByRole('button', { name: 'Edit' }).click();
  same(await box(page).inputValue(), 'misspelt\nnext', 'what is written');
  await focused(page, '#compose');
  await box(page).fill('spelt');
  await page.keyboard.press('Control+Enter');
  await row(page, 'spelt', 'waiting').waitFor();
  await row(page, 'not at all', 'waiting').getByRole('button', { name: 'Discard' }).focus();
  // It keeps the focus while it is tried again, and what is left gets it.
  await page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/messages'));
  await page.locator('button[aria-disabled=false]:focus').waitFor();
  same(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Discard', 'the focus');
  await page.keyboard.press('Enter');
  await row(page, 'not at all').waitFor({ state: 'detached' });
  await page.locator('[role=listitem] button:focus').waitFor();
  await mend();
  await row(page, 'spelt').getByRole('button', { name: 'Send again' }).click();
  await row(page, 'spelt', 'delivered').waitFor();
  for (const body of ['misspelt', 'not at all']) {
    same((await ask('count', { user: 'alice', body })).count, 0, `messages ${body}`);
  }
  await page.close({ runBeforeUnload: true });
  same(asked.length, 1, 'questions when all is sent');
}

// Ten thousand messages in the list, and 200 notifications a second. Argument: the server's address.
//
// What they cost the page is compared with a page of few messages, which takes turns with it: times alone would tell about
// the machine.
import { assert, inBrowser, isLive, same, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url] = process.argv.slice(2);
const MANY = 10_000;
const FEW = 200;
const PER_S = 200;
const BURST = 500;
const ROUNDS = 3;
const STEPS = 100;
/** So many times the work for a step or a notification is too much. What grows with the list is 50 times as much. */
const WORK = 4;
/** So many times the wait for a frame: keys and notifications, and all else on the machine, meet by chance. */
const WAIT = 10;

const LIST = '[role=list][aria-label="Your messages"]';

await inBrowser(url, async ({ open }) => {
  const many = await opened(open, 'alice', MANY);
  const few = await opened(open, 'bob', FEW);
  const rows = await many.page.locator(`${LIST} [role=listitem]`).count();
  assert(rows < 60, `${rows} rows in the document`);

  const scrolling = [];
  for (let round = 0; round < ROUNDS; round++) {
    scrolling.push({ many: await scrolled(many.page), few: await scrolled(few.page) });
  }

  const typing = { quiet: await typed(many.page, 'while nothing comes, '), burst: [] };
  const notifying = [];
  for (let round = 0; round < ROUNDS; round++) {
    const burst = async (who) => {
      const before = await who.work();
      const sending = ask('send', { user: who.user, count: BURST, per_s: PER_S, prefix: `burst ${round}` });
      // While they come, the page answers.
      const waits = await typed(who.page, 'still here, ');
      if (who === many) typing.burst.push(...waits);
      await sending;
      who.messages += BURST;
      await holds(who);
      await who.page.locator(`${LIST} [data-phase="delivered"]`, { hasText: `burst ${round} ${BURST - 1}.` }).waitFor();
      return ((await who.work()) - before) / BURST;
    };
    notifying.push({ many: await burst(many), few: await burst(few) });
  }
  const text = `while nothing comes, ${'still here, '.repeat(ROUNDS)}`;
  same(await many.page.getByRole('textbox', { name: 'Message', exact: true }).inputValue(), text, 'what was typed');

  const [burst, quiet] = [median(typing.burst), median(typing.quiet)];
  const figures = {
    scrolling: compared(scrolling),
    notifying: compared(notifying),
    typing: { burst: round(burst), quiet: round(quiet), ratio: round(burst / quiet) },
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  for (const [what, limit] of [['scrolling', WORK], ['notifying', WORK], ['typing', WAIT]]) {
    const { ratio } = figures[what];
    assert(ratio < limit, `${what}: ${ratio} times as much`);
  }
});
done();

/** The page of a user who has sent so many, all of them in its list. */
async function opened(open, user, messages) {
  await ask('send', { user, count: messages });
  const page = await (await open()).newPage();
  await signIn(page, url, user);
  await isLive(page);
  // To the very end, page by page.
  await page.waitForFunction((selector) => {
    const list = document.querySelector(selector);
    if (list === null) return false;
    list.scrollTop = list.scrollHeight;
    return list.textContent.includes('number 0.') && list.textContent.includes('That is all.');
  }, LIST, { polling: 30, timeout: 300_000 });
  const who = { user, page, messages, work: await meter(page) };
  await holds(who);
  return who;
}

/** Waits until all messages are in the list. */
async function holds({ page, messages }) {
  await page.waitForFunction(([selector, all]) => {
    const first = document.querySelector(`${selector} [role=listitem]`);
    return first?.getAttribute('aria-setsize') === String(all);
  }, [LIST, messages]);
}

/** How long the page's main thread has worked, in ms of processor time: what else runs on the machine is not in it. */
async function meter(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
  };
}

/** Turns a quick wheel up and down the list, beginning at its end. Returns the work for one step. */
async function scrolled(page) {
  const work = await meter(page);
  const before = await work();
  await page.evaluate(async ([selector, steps]) => {
    const list = document.querySelector(selector);
    list.scrollTop = list.scrollHeight;
    let by = -900;
    for (let step = 0; step < steps; step++) {
      const at = list.scrollTop;
      list.scrollTop += by;
      if (list.scrollTop === at) by = -by;
      await new Promise(requestAnimationFrame);
    }
    list.scrollTop = 0;
  }, [LIST, STEPS]);
  return ((await work()) - before) / STEPS;
}

/** Types. Returns for each key how long it took to the next frame, in ms. */
async function typed(page, text) {
  await page.evaluate(() => {
    globalThis.waits = [];
    globalThis.onkeydown = ({ timeStamp }) => requestAnimationFrame(() => {
      globalThis.waits.push(performance.now() - timeStamp);
    });
  });
  await page.getByRole('textbox', { name: 'Message', exact: true }).pressSequentially(text, { delay: 100 });
  await page.waitForFunction((keys) => globalThis.waits.length === keys, text.length);
  return page.evaluate(() => globalThis.waits);
}

/** Medians, and that of the ratios of all rounds. */
function compared(rounds) {
  const of = (figure) => round(median(rounds.map(figure)));
  return { many: of(({ many }) => many), few: of(({ few }) => few), ratio: of(({ many, few }) => many / few) };
}

function median(figures) {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)];
}

function round(figure) {
  return Math.round(figure * 100) / 100;
}

// What an administrator does with the delay, the queue and the connections. Arguments: the server's address, and the name
// of the flow.
import { assert, DESKTOP, fillSignIn, inBrowser, isLive, light, look, PHONE, photograph, row, same, send, signIn } from './browser.mjs';
import { ask, done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

/** An administrator on a page. */
async function admin(open, path, options = {}) {
  const page = await (await open(options)).newPage();
  await page.goto(url + path);
  await fillSignIn(page, 'admin');
  await page.locator('h1').waitFor();
  return page;
}

/** A user on the page of messages. */
async function user(open, name) {
  const page = await (await open()).newPage();
  await signIn(page, url, name);
  await isLive(page);
  return page;
}

const inForce = (page, text) => page.locator('[data-in-force]', { hasText: text }).waitFor();
const waiting = (page, n) => page.locator('[data-waiting]').getByText(String(n), { exact: true }).waitFor();
const counted = (page, status, n) => page.locator(`[data-count="${status}"] dd`).getByText(String(n), { exact: true }).waitFor();
const stored = (name) => ask('get', { user: 'admin', path: name === undefined ? '/admin/delay' : `/admin/users/${name}/delay` });

async function pick(page, name, within = page) {
  await within.getByRole('combobox', { name: 'User' }).fill(name);
  await page.getByRole('option', { name, exact: true }).click();
}

const flows = {
  async delay({ open }) {
    const page = await admin(open, '/admin/delay');
    const other = await admin(open, '/admin/delay');
    const alice = await user(open, 'alice');
    await Promise.all([inForce(page, 'None'), inForce(other, 'None')]);
    const field = page.getByRole('textbox', { name: 'Delay', exact: true });
    const save = page.getByRole('button', { name: 'Put in force' });
    assert(await save.isDisabled(), 'what is in force can be put in force');

    for (const [written, said] of [['5', 'Which unit?'], ['soon', 'Write a time with its unit'], ['31 d', 'At most 30 days.']]) {
      await field.fill(written);
      await field.blur();
      await page.getByText(said).waitFor();
      assert(await save.isDisabled(), `${written} can be put in force`);
    }
    await field.fill('1 h');
    await page.getByText('would be processed after 1 h.').waitFor();
    await save.click();
    await page.getByText('In force now: 1 h.').waitFor();
    await Promise.all([inForce(page, '1 h'), inForce(other, '1 h')]);
    same(await stored(), { mode: 'fixed', ms: 3_600_000 }, 'the delay of the server');

    await send(alice, 'patience');
    await row(alice, 'patience', 'queued').getByText(/in (1 h|59 min)/).waitFor();
    await Promise.all([waiting(page, 1), waiting(other, 1)]);

    // Random, of what is queued, too.
    await page.getByRole('radio', { name: 'Random' }).check();
    await page.getByRole('textbox', { name: 'At least', exact: true }).fill('3 min');
    await page.getByRole('textbox', { name: 'At most', exact: true }).fill('2 min');
    await page.getByText('The shortest is longer than the longest.').waitFor();
    assert(await save.isDisabled(), 'an upside-down delay can be put in force');
    await page.getByRole('textbox', { name: 'At most', exact: true }).fill('4 min');
    await page.getByText('on average after 3 min 30 s').waitFor();
    await page.getByRole('checkbox', { name: 'Also for what is queued now' }).check();
    await save.click();
    const dialog = page.getByRole('dialog', { name: 'Change the delay of 1 message?' });
    await dialog.getByRole('button', { name: 'Change the delay' }).click();
    await Promise.all([inForce(page, '3 min to 4 min'), inForce(other, '3 min to 4 min')]);
    await row(alice, 'patience', 'queued').getByText(/in [234] min/).waitFor();
    same(await stored(), { mode: 'uniform', min_ms: 180_000, max_ms: 240_000 }, 'the delay of the server');

    // None, by the slider, of what is queued, too: it comes at once.
    await page.getByRole('radio', { name: 'Fixed' }).check();
    await page.getByRole('slider', { name: 'Delay, slider' }).fill('0');
    await page.getByText('would be processed at once.').waitFor();
    await page.getByRole('checkbox', { name: 'Also for what is queued now' }).check();
    await save.click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    same((await stored()).mode, 'uniform', 'the mode after cancelling');
    await save.click();
    await page.getByRole('dialog').getByRole('button', { name: 'Change the delay' }).click();
    await row(alice, 'patience', 'delivered').waitFor();
    await Promise.all([waiting(page, 0), waiting(other, 0), inForce(other, 'None')]);

    // What one was writing is kept while another administrator changes it.
    await field.fill('7 s');
    await ask('delay', { ms: 9000 });
    await inForce(page, '9 s');
    same(await field.inputValue(), '7 s', 'what was being written');
    await page.getByRole('button', { name: 'Undo' }).click();
    same(await field.inputValue(), '9 s', 'after undoing');
  },

  async overrides({ open }) {
    const page = await admin(open, '/admin/delay');
    const section = page.getByRole('region', { name: 'For one user' });
    const [alice, bob] = [await user(open, 'alice'), await user(open, 'bob')];
    await section.getByText('Nobody has one.').waitFor();
    await pick(page, 'alice', section);
    await section.getByText('As everyone').waitFor();
    await section.getByRole('button', { name: 'Give an own delay' }).click();
    await section.getByRole('textbox', { name: 'Delay', exact: true }).fill('45 min');
    await section.getByRole('button', { name: 'Put in force' }).click();
    await section.getByText('Own delay').waitFor();
    await section.getByRole('list', { name: 'Users with a delay of their own' }).getByText('alice').waitFor();
    same(await stored('alice'), { mode: 'fixed', ms: 2_700_000, overridden: true }, "alice's delay");

    await Promise.all([send(alice, 'slow one'), send(bob, 'quick one')]);
    await row(bob, 'quick one', 'delivered').waitFor();
    await row(alice, 'slow one', 'queued').getByText(/in 4[45] min/).waitFor();

    // From the list, also after a new start of the page.
    await page.reload();
    await section.getByRole('button', { name: 'alice 45 min' }).click();
    await section.getByRole('button', { name: 'Take it away' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('checkbox', { name: 'Also for what is queued now' }).check();
    await dialog.getByRole('button', { name: 'Take it away' }).click();
    await row(alice, 'slow one', 'delivered').waitFor();
    await section.getByText('As everyone').waitFor();
    await section.getByText('Nobody has one.').waitFor();
    same((await stored('alice')).overridden, false, 'whether alice has an own delay');

    await section.getByRole('combobox', { name: 'User' }).fill('nobody');
    await section.getByRole('combobox', { name: 'User' }).press('Enter');
    await section.getByText('There is no user nobody.').waitFor();
  },

  async queue({ open }) {
    const page = await admin(open, '/admin/queue');
    const alice = await user(open, 'alice');
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('[data-queue="paused"]').waitFor();
    for (const text of ['one.', 'two.', 'three.']) await send(alice, text);
    await counted(page, 'queued', 3);
    await page.getByText('3 messages wait until it is resumed').waitFor();
    same((await ask('get', { user: 'admin', path: '/admin/queue' })).paused, true, 'whether the server is paused');
    same(await row(alice, '', 'delivered').count(), 0, 'messages delivered by a paused queue');
    await page.goto(`${url}/admin/delay`);
    await page.getByText('The queue is paused: what is due waits, too.').waitFor();
    await page.getByRole('link', { name: 'Queue' }).last().click();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.locator('[data-queue="running"]').waitFor();
    for (const text of ['one.', 'two.', 'three.']) await row(alice, text, 'delivered').waitFor();
    await counted(page, 'processed', 3);
    await counted(page, 'queued', 0);

    // The three are in one of the last two minutes; each chart is read by keys.
    const history = page.getByRole('region', { name: 'The last hour' });
    const throughput = history.getByRole('slider', { name: 'Throughput' });
    const latency = history.getByRole('slider', { name: 'Latency' });
    await history.locator('rect.bar').first().waitFor();
    let total = 0;
    await throughput.focus();
    await throughput.press('End');
    for (let ago = 0; ago < 3; ago++) {
      const said = await throughput.getAttribute('aria-valuetext');
      total += Number(/: (\d+) messages?/.exec(said)?.[1] ?? 0);
      await throughput.press('ArrowLeft');
    }
    same(total, 3, 'messages in the chart');
    await latency.focus();
    await latency.press('End');
    for (let ago = 0; ago < 3; ago++) {
      if (/half within .+, 99 % within/.test(await latency.getAttribute('aria-valuetext'))) break;
      assert(ago < 2, 'the latency is not in the chart');
      await latency.press('ArrowLeft');
    }
    await history.getByText('As a table').click();
    const cells = await history.getByRole('row').allInnerTexts();
    const inTable = cells.slice(1).reduce((sum, text) => sum + Number(text.split('\t')[1]), 0);
    same(inTable, 3, 'messages in the table');
    await page.getByText('The server has run for less than an hour').waitFor();
    await photograph(page, 'admin-queue-hour');

    // What is not up to date says so, and recovers.
    await ask('kill');
    await page.getByText('These numbers are not up to date.').first().waitFor();
    await ask('start');
    await page.getByText('These numbers are not up to date.').first().waitFor({ state: 'detached' });
    await counted(page, 'processed', 3);
  },

  async dead({ open }) {
    const page = await admin(open, '/admin/queue');
    const [alice, bob] = [await user(open, 'alice'), await user(open, 'bob')];
    await page.getByText('No failed messages').waitFor();
    await send(alice, 'mended soon');
    await row(alice, 'mended soon', 'dead').waitFor();
    await send(alice, 'fail: always');
    await row(alice, 'fail: always', 'dead').waitFor();
    await send(bob, 'mended, of bob');
    await row(bob, 'mended, of bob', 'dead').waitFor();
    await counted(page, 'dead', 3);
    const failed = page.getByRole('region', { name: 'Failed messages' });
    const failedMessage = (text) => failed.locator('[data-dead]', { hasText: text });
    await failedMessage('mended soon').getByText('the service answered 422').waitFor();
    await failedMessage('mended soon').getByRole('button', { expanded: false }).click();
    await failedMessage('mended soon').getByText('What went wrong').waitFor();
    await failedMessage('mended soon').getByRole('button', { name: 'Retry' }).click();
    await page.getByText('The message is queued again.').waitFor();
    await row(alice, 'mended soon', 'delivered').waitFor();
    same(await row(alice, 'mended soon').count(), 1, "rows of alice's message");
    await failedMessage('mended soon').waitFor({ state: 'detached' });

    await pick(page, 'bob', failed);
    await failedMessage('fail: always').waitFor({ state: 'detached' });
    await failedMessage('mended, of bob').waitFor();
    assert(page.url().endsWith('?user=bob'), 'the filter has no address');
    await failed.getByRole('button', { name: 'Show everyone' }).click();
    await failedMessage('fail: always').waitFor();

    // All of them: one recovers, one fails again.
    await failed.getByRole('button', { name: 'Retry all' }).click();
    await page.getByRole('dialog', { name: 'Retry all failed messages?' }).getByRole('button', { name: 'Retry' }).click();
    await row(bob, 'mended, of bob', 'delivered').waitFor();
    await counted(page, 'dead', 1);
    await failedMessage('fail: always').waitFor();
    same(await failedMessage('').count(), 1, 'failed messages');
    same(await row(alice, 'mended, of bob').count(), 0, "bob's message with alice");
  },

  async deadMany({ open }) {
    const page = await admin(open, '/admin/queue');
    // More than a page shows, and more than the server takes at once.
    await ask('send', { user: 'alice', count: 300, prefix: 'mended' });
    await ask('send', { user: 'bob', count: 2, prefix: 'mended, of bob' });
    await counted(page, 'dead', 302);
    const failed = page.getByRole('region', { name: 'Failed messages' });
    const calls = [];
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route(/\/retry$/, async (route) => {
      calls.push([new URL(route.request().url()).pathname, route.request().postDataJSON()]);
      if (calls.length === 1) await held;
      await route.continue();
    });

    // Of one user, and stopped while the first step is under way: it is the last.
    await pick(page, 'alice', failed);
    await failed.getByRole('button', { name: 'Retry all of alice' }).click();
    const confirm = (title) => page.getByRole('dialog', { name: title }).getByRole('button', { name: 'Retry' }).click();
    await confirm('Retry all failed messages of alice?');
    await failed.getByText('Retried 0', { exact: true }).waitFor();
    await failed.getByRole('button', { name: 'Stop' }).click();
    release();
    await page.getByText('256 messages are queued again.').waitFor();
    await counted(page, 'dead', 46);
    same(calls.length, 1, 'steps before it was stopped');

    // The others, and nobody else's.
    await failed.getByRole('button', { name: 'Retry all of alice' }).click();
    await confirm('Retry all failed messages of alice?');
    await page.getByText('44 messages are queued again.').waitFor();
    await counted(page, 'dead', 2);
    await failed.getByText('None of alice’s messages failed at every attempt.').waitFor();

    await failed.getByRole('button', { name: 'Show everyone' }).click();
    await failed.getByRole('button', { name: 'Retry all' }).click();
    await confirm('Retry all failed messages?');
    await page.getByText('2 messages are queued again.').waitFor();
    await counted(page, 'dead', 0);
    await counted(page, 'processed', 302);
    assert(
      calls.every(([path]) => path === '/api/v1/admin/messages/retry'),
      'messages were retried one by one',
    );
    same(calls.length, 3, 'steps');
  },

  async connections({ open }) {
    const page = await admin(open, '/admin/connections');
    const alice = await (await open()).newPage();
    let closed = 0;
    let opened = 0;
    alice.on('websocket', (socket) => {
      opened += 1;
      socket.on('close', () => {
        closed += 1;
      });
    });
    await signIn(alice, url, 'alice');
    await isLive(alice);
    const bob = await user(open, 'bob');
    const of = (name) => page.locator('[data-connection]', { hasText: name });
    await of('alice').waitFor();
    await of('bob').waitFor();
    const shown = await of('alice').innerText();
    for (const part of ['127.0.0.1', 'WebSocket', 'Token', 'MQTT 5', 'keep-alive 1 min']) {
      assert(shown.includes(part), `the connection does not say ${part}: ${shown}`);
    }

    await pick(page, 'bob');
    await of('alice').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Show everyone' }).click();
    await of('alice').waitFor();

    // Kicked, alice's page comes back by itself, and has missed nothing.
    await of('alice').getByRole('button', { name: /^Kick/ }).click();
    await page.getByRole('dialog', { name: 'Kick this client of alice?' }).getByRole('button', { name: 'Kick' }).click();
    await page.getByText('The client is kicked.').waitFor();
    await light(alice, /Reconnecting|Connecting/).waitFor();
    await isLive(alice);
    same([opened, closed], [2, 1], 'connections opened and closed');
    same(await light(bob, 'Live').count(), 1, "bob's light");
    await send(alice, 'still here');
    await row(alice, 'still here', 'delivered').waitFor();

    await bob.close();
    await of('bob').waitFor({ state: 'detached' });
  },

  async warning({ open }) {
    const page = await admin(open, '/admin/queue');
    const warning = page.getByText('The account admin still has the password admin');
    await warning.waitFor();
    const alice = await user(open, 'alice');
    same(await alice.getByText('still has the password').count(), 0, 'warnings for alice');
    await page.getByRole('link', { name: 'Change it' }).click();
    await page.getByLabel('Current password').fill('admin');
    await page.getByLabel('New password').fill('something better');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('The password is changed.').waitFor();
    await warning.waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('heading', { name: 'Account', exact: true }).waitFor();
    same(await warning.count(), 0, 'warnings after the change');
  },

  /** No mouse. The server's delay is a minute. */
  async keyboard({ open }) {
    const alice = await user(open, 'alice');
    await send(alice, 'mended by keys');
    await row(alice, 'mended by keys', 'queued').waitFor();
    const page = await admin(open, '/admin/delay');
    const keys = page.keyboard;
    const tabTo = async (what) => {
      for (let n = 0; n < 60; n++) {
        await keys.press('Tab');
        const is = await page.evaluate(() => {
          const { activeElement: at } = document;
          if (at === null || at === document.body) return '';
          const by = document.getElementById(at.getAttribute('aria-labelledby') ?? '');
          return [at.ariaLabel, by?.textContent, at.labels?.[0]?.textContent, at.textContent].filter(Boolean).join('|');
        });
        if (is.includes(what)) return;
      }
      throw new Error(`Tab does not come to ${what}`);
    };
    await inForce(page, '1 min');
    await tabTo('Delay, slider');
    await keys.press('ArrowLeft');
    await keys.press('Home');
    await page.getByText('would be processed at once.').waitFor();
    await tabTo('Also for what is queued now');
    await keys.press('Space');
    await tabTo('Put in force');
    await keys.press('Enter');
    await page.getByRole('dialog').waitFor();
    await tabTo('Change the delay');
    await keys.press('Enter');
    await inForce(page, 'None');
    await row(alice, 'mended by keys', 'dead').waitFor();
    // A dialog gives the focus back.
    assert(await page.evaluate(() => document.activeElement !== document.body), 'the focus is lost after the dialog');

    const section = page.getByRole('region', { name: 'For one user' });
    await section.getByRole('combobox', { name: 'User' }).focus();
    await keys.type('ali');
    await page.getByRole('option', { name: 'alice' }).waitFor();
    await keys.press('ArrowDown');
    await keys.press('Enter');
    await section.getByText('As everyone').waitFor();
    await tabTo('Give an own delay');
    await keys.press('Enter');
    await section.getByRole('textbox', { name: 'Delay', exact: true }).waitFor();

    await page.getByRole('link', { name: 'Queue' }).first().focus();
    await keys.press('Enter');
    await page.locator('h1:focus').waitFor();
    await counted(page, 'dead', 1);
    await tabTo('Pause');
    await keys.press('Space');
    await page.locator('[data-queue="paused"]').waitFor();
    // The button says the other thing now.
    await keys.press('Enter');
    await page.locator('[data-queue="running"]').waitFor();
    await tabTo('Throughput');
    await keys.press('ArrowLeft');
    await page.locator('[data-readout]').waitFor();
    await tabTo('As a table');
    await keys.press('Enter');
    await page.getByRole('columnheader', { name: 'Minute' }).waitFor();
    await tabTo('mended by keys');
    await keys.press('Enter');
    await page.getByText('What went wrong').waitFor();
    await tabTo('Retry “mended by keys”');
    await keys.press('Enter');
    await row(alice, 'mended by keys', 'delivered').waitFor();

    await page.getByRole('link', { name: 'Connections' }).focus();
    await keys.press('Enter');
    await page.locator('h1:focus').waitFor();
    await page.locator('[data-connection]', { hasText: 'alice' }).waitFor();
    await tabTo('of alice');
    await keys.press('Enter');
    await page.getByRole('dialog').waitFor();
    await keys.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    const kick = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    assert(kick?.endsWith('of alice'), `the focus after the dialog is at ${kick}`);
    await keys.press('Enter');
    await page.getByRole('dialog').waitFor();
    await tabTo('Kick');
    await keys.press('Enter');
    await light(alice, /Reconnecting|Connecting/).waitFor();
    await isLive(alice);
  },

  /** What pages.mjs does not see: what is unfolded, asked and complained about. The server's delay is a minute. */
  async looks({ open }) {
    const alice = await user(open, 'alice');
    await send(alice, 'fail: the printer in room 4 is out of paper');
    await send(alice, 'fail: nobody is at home');
    await row(alice, 'nobody', 'queued').waitFor();
    await ask('delay', { ms: 0, apply_to_queued: true });
    await row(alice, 'printer', 'dead').waitFor();
    await row(alice, 'nobody', 'dead').waitFor();
    await ask('delay', { ms: 600_000 });
    await send(alice, 'still waiting');
    await row(alice, 'still waiting', 'queued').waitFor();
    await user(open, 'bob');
    const found = [];
    for (const [colorScheme, size] of [['light', DESKTOP], ['dark', PHONE], ['dark', DESKTOP], ['light', PHONE]]) {
      const isPhone = size === PHONE;
      const page = await admin(open, '/admin/delay', { size, colorScheme, reducedMotion: 'reduce', isMobile: isPhone, hasTouch: isPhone });
      const see = async (name) => {
        found.push(...(await look(page, `${name}-${isPhone ? 'phone' : 'desktop'}-${colorScheme}`)));
      };
      const sayNothing = async () => {
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      };
      await inForce(page, '10 min');
      await page.getByRole('radio', { name: 'Random' }).check();
      await page.getByRole('textbox', { name: 'At least', exact: true }).fill('30 s');
      await page.getByRole('textbox', { name: 'At most', exact: true }).fill('2 min');
      const section = page.getByRole('region', { name: 'For one user' });
      await pick(page, 'bob', section);
      await section.getByText(/As everyone|Own delay/).waitFor();
      await see('admin-delay-random');
      await section.getByRole('button', { name: /Give an own delay|^Change$/ }).click();
      await section.getByRole('textbox', { name: 'Delay', exact: true }).fill('soon');
      await section.getByRole('textbox', { name: 'Delay', exact: true }).blur();
      await section.getByText('Write a time with its unit').waitFor();
      await see('admin-delay-wrong');
      await section.getByRole('textbox', { name: 'Delay', exact: true }).fill('5 s');
      await section.getByRole('button', { name: 'Put in force' }).click();
      await section.getByText('Own delay').waitFor();
      await see('admin-delay-own');
      await section.getByRole('button', { name: 'Take it away' }).click();
      await page.getByRole('dialog').waitFor();
      await see('admin-delay-take');
      await page.getByRole('dialog').getByRole('button', { name: 'Take it away' }).click();
      await section.getByText('As everyone').waitFor();
      await page.getByRole('checkbox', { name: 'Also for what is queued now' }).first().check();
      await page.getByRole('button', { name: 'Put in force' }).first().click();
      await page.getByRole('dialog').waitFor();
      await see('admin-delay-confirm');
      await sayNothing();

      await page.goto(`${url}/admin/queue`);
      await counted(page, 'dead', 2);
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.locator('[data-queue="paused"]').waitFor();
      await page.locator('[data-dead]', { hasText: 'printer' }).getByRole('button', { expanded: false }).click();
      await page.getByText('What went wrong').waitFor();
      await page.getByText('As a table').click();
      await see('admin-queue-open');
      await page.getByRole('button', { name: 'Retry all' }).click();
      await page.getByRole('dialog').waitFor();
      await see('admin-queue-retry');
      await sayNothing();
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.locator('[data-queue="running"]').waitFor();
      await page.getByRole('combobox', { name: 'User' }).fill('zoe');
      await page.getByText('Nobody’s name begins like that.').first().waitFor();
      await see('admin-queue-nobody');

      await page.goto(`${url}/admin/connections`);
      await page.locator('[data-connection]', { hasText: 'bob' }).waitFor();
      await see('admin-connections-some');
      await page.getByRole('button', { name: /^Kick .* bob$/ }).click();
      await page.getByRole('dialog').waitFor();
      await see('admin-connections-kick');
      await page.context().close();
    }
    assert(found.length === 0, `axe found:\n${found.join('\n')}`);
  },
};

await inBrowser(url, flows[flow]);
done();

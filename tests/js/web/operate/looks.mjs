// What is unfolded, asked and complained about on these pages.
import { assert, DESKTOP, look, PHONE, row, send } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { admin, counted, inForce, pick, user } from './tools.mjs';

/** What pages.mjs does not see: what is unfolded, asked and complained about. The server's delay is a minute. */
export async function looks(world) {
  const { url } = world;
  const alice = await user(world, 'alice');
  await send(alice, 'fail: the printer in room 4 is out of paper');
  await send(alice, 'fail: nobody is at home');
  await row(alice, 'nobody', 'queued').waitFor();
  await ask('delay', { ms: 0, apply_to_queued: true });
  await row(alice, 'printer', 'dead').waitFor();
  await row(alice, 'nobody', 'dead').waitFor();
  await ask('delay', { ms: 600_000 });
  await send(alice, 'still waiting');
  await row(alice, 'still waiting', 'queued').waitFor();
  await user(world, 'bob');
  const found = [];
  for (const [colorScheme, size] of [['light', DESKTOP], ['dark', PHONE], ['dark', DESKTOP], ['light', PHONE]]) {
    const isPhone = size === PHONE;
    const page = await admin(world, '/admin/delay', { size, colorScheme, reducedMotion: 'reduce', isMobile: isPhone, hasTouch: isPhone });
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
}

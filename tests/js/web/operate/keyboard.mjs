// The pages Delay, Queue and Connections without a mouse.
import { assert, isLive, light, row, send } from '../browser.mjs';
import { admin, counted, inForce, user } from './tools.mjs';

/** No mouse. The server's delay is a minute. */
export async function keyboard(world) {
  const alice = await user(world, 'alice');
  await send(alice, 'mended by keys');
  await row(alice, 'mended by keys', 'queued').waitFor();
  const page = await admin(world, '/admin/delay');
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
}

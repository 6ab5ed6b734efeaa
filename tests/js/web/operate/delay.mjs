// The delay: of everyone, and of one user.
import { assert, row, same, send } from '../browser.mjs';
import { ask } from '../steps.mjs';
import { admin, inForce, pick, stored, user, waiting } from './tools.mjs';

export async function delay(world) {
  const page = await admin(world, '/admin/delay');
  const other = await admin(world, '/admin/delay');
  const alice = await user(world, 'alice');
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
}

export async function overrides(world) {
  const page = await admin(world, '/admin/delay');
  const section = page.getByRole('region', { name: 'For one user' });
  const [alice, bob] = [await user(world, 'alice'), await user(world, 'bob')];
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
}

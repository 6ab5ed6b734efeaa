// Access rules: what they say, and what they do.
import { same } from '../browser.mjs';
import { clientOf } from './mqtt.mjs';
import { apiOf, close, look, pageOf, until } from './tools.mjs';

/** The row of a rule. */
const rule = (page, text) => page.getByRole('list', { name: 'Rules' }).getByRole('listitem').filter({ hasText: text });

/** Made, changed and deleted, under clients that are connected. */
export async function rules(world) {
  const { url } = world;
  const page = await pageOf(world, 'admin');
  let [alice, bob, admin] = await Promise.all(['alice', 'bob', 'admin'].map((name) => clientOf(url, name)));
  same(await admin.subscribe('rooms/#'), true, 'an administrator listens');
  same(await alice.subscribe('rooms/kitchen'), false, 'before there is a rule');
  same(await bob.publish('rooms/kitchen', 'too early'), false, 'before there is a rule');

  await page.getByRole('link', { name: 'Access rules' }).click();
  await rule(page, 'Everyone may subscribe to broadcast/#').getByText('Built in').waitFor();
  await page.getByRole('button', { name: 'New rule' }).click();
  const making = page.getByRole('dialog', { name: 'New rule' });
  await look(page, 'rule-new');
  const filter = making.getByLabel('Topics');
  const wrong = [
    ['', 'Say which topics.'],
    ['rooms/#/lamp', '# can only be the last level.'],
    ['rooms/kitchen+', '+ and # stand alone in their level.'],
    ['rooms/%x', 'Only %u, %c and %% may follow a percent sign.'],
    ['$share/group/%u', 'A group is $share, its name and topics'],
  ];
  for (const [written, why] of wrong) {
    await filter.fill(written);
    await making.getByRole('button', { name: 'Make the rule' }).click();
    await making.getByText(why).waitFor();
  }
  await making.getByLabel('Who').selectOption('One user');
  await making.getByLabel('User name').fill('Alice!');
  await making.getByRole('button', { name: 'Make the rule' }).click();
  await making.getByText('begin with a letter').waitFor();
  await look(page, 'rule-new-wrong');
  await making.getByLabel('Who').selectOption('Users');
  await filter.fill('rooms/#');
  await making.getByLabel('What it is for').fill('Lamps and doors');
  await look(page, 'rule-new-filled');
  await making.getByRole('button', { name: 'Make the rule' }).click();
  await making.waitFor({ state: 'detached' });
  await page.getByText('The rule is made, and in force within a second.').waitFor();
  await rule(page, 'Users may publish and subscribe to rooms/#').getByText('Lamps and doors').waitFor();
  await until('alice to be let in', () => alice.subscribe('rooms/kitchen'));
  same(await bob.publish('rooms/kitchen', 'light'), true, 'with the rule');
  await until('alice to hear bob', () => alice.heard.includes('rooms/kitchen light'));

  await page.getByRole('button', { name: 'Edit: Users may publish and subscribe to rooms/#' }).click();
  const editing = page.getByRole('dialog', { name: 'Edit the rule' });
  same(await editing.getByLabel('What it is for').inputValue(), 'Lamps and doors', 'the rule as it was');
  await editing.getByRole('radio', { name: 'Publish' }).check();
  await look(page, 'rule-edit');
  await editing.getByRole('button', { name: 'Save the rule' }).click();
  await editing.waitFor({ state: 'detached' });
  await rule(page, 'Users may publish to rooms/#').waitFor();
  // It leaves alice no subscription: the connection ends.
  await alice.ended;
  alice = await clientOf(url, 'alice');
  same(await alice.subscribe('rooms/kitchen'), false, 'with the rule that is left');
  same(await bob.publish('rooms/kitchen', 'dark'), true, 'publishing is still allowed');
  await until('it to be heard', () => admin.heard.includes('rooms/kitchen dark'));
  same(alice.heard, [], 'what alice heard');

  await page.getByRole('button', { name: 'Delete: Users may publish to rooms/#' }).click();
  const deleting = page.getByRole('dialog', { name: 'Delete this rule?' });
  await look(page, 'rule-delete');
  await deleting.getByRole('button', { name: 'Cancel' }).click();
  await rule(page, 'Users may publish to rooms/#').waitFor();
  await page.getByRole('button', { name: 'Delete: Users may publish to rooms/#' }).click();
  await deleting.getByRole('button', { name: 'Delete', exact: true }).click();
  await rule(page, 'rooms/#').waitFor({ state: 'detached' });
  await until('bob to be shut out', async () => !(await bob.publish('rooms/kitchen', 'again')));

  // What came with the server is warned about; and somebody else may be quicker.
  await page.getByRole('button', { name: 'Delete: Everyone may subscribe to broadcast/#' }).click();
  await deleting.getByText('It came with the server').waitFor();
  await look(page, 'rule-delete-builtin');
  await close(deleting);
  await page.getByRole('button', { name: 'Edit: Everyone may subscribe to broadcast/#' }).click();
  await (await apiOf(url, 'admin')).delete('/admin/acl/rules/builtin-broadcast');
  await editing.getByRole('button', { name: 'Save the rule' }).click();
  await editing.getByText('Somebody has deleted this rule meanwhile.').waitFor();
  await look(page, 'rule-gone');
  await close(editing);
  await Promise.all([alice, bob, admin].map((client) => client.end()));
}

/** What a user may do, and by which rule. */
export async function tester(world) {
  const { url } = world;
  const page = await pageOf(world, 'admin');
  const api = await apiOf(url, 'admin');
  for (const made of [
    { subject: 'everyone', action: 'both', effect: 'allow', filter: 'devices/%c/#', description: 'Each device its own' },
    { subject: 'everyone', action: 'both', effect: 'allow', filter: 'rooms/#' },
    { subject: 'user:bob', action: 'publish', effect: 'deny', filter: 'rooms/cellar/+' },
  ]) await api.post('/admin/acl/rules', made);
  await page.getByRole('link', { name: 'Access rules' }).click();
  const box = page.getByRole('region', { name: 'Try it' });
  const verdict = (word) => box.locator(`[data-verdict="${word}"]`);
  await box.getByRole('button', { name: 'Check' }).click();
  await box.getByText('Say who.').waitFor();
  await box.getByText('Say which topic.').waitFor();
  await look(page, 'tester-wrong');
  const check = async (user, action, topic) => {
    await box.getByLabel('User name').fill(user);
    await box.getByRole('radio', { name: action }).check();
    await box.getByLabel('Topic or filter').fill(topic);
    await box.getByRole('button', { name: 'Check' }).click();
  };
  await check('alice', 'Subscribe', 'users/alice/notifications');
  await verdict('allowed').getByText('Everyone may subscribe to users/%u/#').waitFor();
  await look(page, 'tester-allowed');
  await box.getByRole('button', { name: 'Show it in the list' }).click();
  const decides = page.locator('[data-rule="builtin-inbox"]');
  await decides.getByText('Decides').waitFor();
  same(await decides.locator('button:focus').count(), 1, 'the rule has the focus');
  await look(page, 'tester-shown');

  // Another question: the answer to the one before is gone.
  await box.getByLabel('User name').fill('bob');
  await verdict('allowed').waitFor({ state: 'detached' });
  same(await page.getByText('Decides').count(), 0, 'rules that decide');
  await check('bob', 'Subscribe', 'users/alice/notifications');
  await verdict('denied').getByText('which only administrators may read').waitFor();
  await look(page, 'tester-denied');
  await check('admin', 'Subscribe', '#');
  await verdict('allowed').getByText('Administrators may subscribe to #').waitFor();
  await check('alice', 'Publish', 'rooms/cellar/lamp');
  await verdict('allowed').getByText('Everyone may publish and subscribe to rooms/#').waitFor();
  await check('bob', 'Publish', 'rooms/cellar/lamp');
  await verdict('denied').getByText('bob may not publish to rooms/cellar/+').waitFor();
  await look(page, 'tester-denied-by');
  await check('alice', 'Publish', 'devices/lamp-1/state');
  await verdict('denied').waitFor();
  await box.getByLabel('Client id').fill('lamp-1');
  await box.getByRole('button', { name: 'Check' }).click();
  await verdict('allowed').getByText('devices/%c/#').waitFor();
  await check('nobody', 'Publish', 'rooms/attic');
  await box.getByText('There is no such account.').waitFor();
  await check('alice', 'Subscribe', 'rooms/#/lamp');
  await box.getByText('# can only be the last level.').waitFor();
  await box.getByRole('radio', { name: 'Publish' }).check();
  await box.getByText('One publishes to one topic').waitFor();
  await look(page, 'tester-bad-topic');

  // It is asked again when the rules change under it.
  await check('bob', 'Publish', 'rooms/cellar/lamp');
  await verdict('denied').waitFor();
  await page.getByRole('button', { name: 'Delete: bob may not publish to rooms/cellar/+' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await verdict('allowed').getByText('rooms/#').waitFor();
  // And what it says is what happens.
  const bob = await clientOf(url, 'bob', 'lamp-2');
  await until('the rule to be out of force', () => bob.publish('rooms/cellar/lamp', 'on'));
  same(await bob.publish('devices/lamp-1/state', 'on'), false, "another device's topic");
  same(await bob.publish('devices/lamp-2/state', 'on'), true, "the device's own topic");
  await bob.end();
}

// Connections: seen, and kicked.
import { assert, isLive, light, row, same, send, signIn } from '../browser.mjs';
import { admin, pick, user } from './tools.mjs';

export async function connections(world) {
  const { url, open } = world;
  const page = await admin(world, '/admin/connections');
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
  const bob = await user(world, 'bob');
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
}

// What an administrator does with the delay, the queue and the connections. Arguments: the server's address, and the name
// of the flow.
import { inBrowser } from './browser.mjs';
import { connections } from './operate/connections.mjs';
import { dead, deadMany } from './operate/dead.mjs';
import { delay, overrides } from './operate/delay.mjs';
import { keyboard } from './operate/keyboard.mjs';
import { looks } from './operate/looks.mjs';
import { queue } from './operate/queue.mjs';
import { warning } from './operate/warning.mjs';
import { done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const flows = { connections, dead, deadMany, delay, keyboard, looks, overrides, queue, warning };

await inBrowser(url, flows[flow]);
done();

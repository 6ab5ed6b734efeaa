// Small things that one notices when they are missing. Arguments: the server's address, and the name of the flow.
import { inBrowser } from './browser.mjs';
import { connectionLight, found, unfetched } from './careful/connection.mjs';
import { endless } from './careful/endless.mjs';
import { focus } from './careful/focus.mjs';
import { announced, unsent } from './careful/sends.mjs';
import { toasts } from './careful/toasts.mjs';
import { warned } from './careful/warned.mjs';
import { done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const flows = { announced, connectionLight, endless, focus, found, toasts, unfetched, unsent, warned };

await inBrowser(url, flows[flow]);
done();

// What an administrator does on the pages Users, Access rules, Audit and Live messages. Arguments: the server's address,
// and the name of the flow.
import { inBrowser } from './browser.mjs';
import { audit } from './oversee/audit.mjs';
import { demoted } from './oversee/demoted.mjs';
import { keyboard } from './oversee/keyboard.mjs';
import { rules, tester } from './oversee/rules.mjs';
import { closed, liveMessages } from './oversee/live-messages.mjs';
import { deleting, lastAdministrator, many, users } from './oversee/users.mjs';
import { done } from './steps.mjs';

const [url, flow] = process.argv.slice(2);

const flows = { audit, closed, deleting, demoted, keyboard, lastAdministrator, liveMessages, many, rules, tester, users };

await inBrowser(url, flows[flow]);
done();

// What an administrator does on the pages Users, Access rules, Audit and Live tap. Arguments: the server's address, and the
// name of the flow.
import { inBrowser } from './browser.mjs';
import { rules, tester } from './oversee/rules.mjs';
import { deleting, lastAdministrator, many, users } from './oversee/users.mjs';

const [url, flow] = process.argv.slice(2);

const flows = { deleting, lastAdministrator, many, rules, tester, users };

await inBrowser(url, flows[flow]);

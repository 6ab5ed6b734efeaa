// What a script asks of the test that runs it, which alone can stop the server and act behind the page's back: a JSON line
// on standard output, answered by one on standard input.
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function ask(what, fields = {}) {
  process.stdout.write(`${JSON.stringify({ ask: what, ...fields })}\n`);
  const { value } = await lines.next();
  return JSON.parse(value);
}

/** Standard input keeps the process alive otherwise. */
export function done() {
  process.stdin.destroy();
}

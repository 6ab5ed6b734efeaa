// A webhook service: fails what begins with "fail", and what begins with "mended" the first time; answers "flaky" at its
// second attempt, holds "hold" until it gets "release", repeats everything else.
import { createServer } from 'node:http';

const met = new Set();
const held = [];

const server = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  const { body, attempt } = JSON.parse(text);
  const isNew = !met.has(body);
  met.add(body);
  if (body.startsWith('hold')) {
    held.push(() => response.end(body));
    return;
  }
  if (body.startsWith('release')) for (const answer of held.splice(0)) answer();
  if (body.startsWith('fail') || (isNew && body.startsWith('mended'))) response.writeHead(422).end();
  else if (body.startsWith('flaky') && attempt < 2) response.writeHead(503).end();
  else response.end(body.startsWith('Water') ? 'The plants have water.' : body);
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}/\n`);
});

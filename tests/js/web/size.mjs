// What a browser that was never here fetches until a signed-in user's page is live. Argument: the server's address.
import { inBrowser, isLive, signIn } from './browser.mjs';
import { done } from './steps.mjs';

const [url] = process.argv.slice(2);

await inBrowser(url, async ({ open }) => {
  const page = await (await open()).newPage();
  const scripts = [];
  page.on('response', (response) => {
    if (response.headers()['content-type']?.startsWith('text/javascript')) scripts.push(measured(response));
  });
  await signIn(page, url, 'alice');
  await isLive(page);
  await page.waitForLoadState('networkidle');
  process.stdout.write(`${JSON.stringify(await Promise.all(scripts))}\n`);
});
done();

/** As it was transferred: sizes are of the body, compressed. */
async function measured(response) {
  const { responseBodySize: bytes } = await response.request().sizes();
  const { 'content-encoding': encoding, 'cache-control': caching } = await response.allHeaders();
  return { path: new URL(response.url()).pathname, bytes, encoding, caching };
}

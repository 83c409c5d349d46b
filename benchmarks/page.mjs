/**
 * Opens the panel in Chromium and tells when the row of a service shows another text.
 *
 * Reads one line of JSON, {url, token, service, chromium}; the token would be seen in the list of processes. Writes
 * "ready", and from then on lines of JSON, {text, at}: what the row says, and the epoch's milliseconds of its painting.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../ui-tests/package.json', import.meta.url));
const { chromium } = require('@playwright/test');

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const asked = JSON.parse((await lines.next()).value);
const browser = await chromium.launch({
  executablePath: asked.chromium || undefined,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
});
try {
  const page = await browser.newPage();
  await page.goto(`${asked.url}/lab?reset&token=${asked.token}`);
  await page.locator('#jupyterlab-splash').waitFor({ state: 'detached', timeout: 90_000 });
  await page.getByRole('tab', { name: 'Kale Serve' }).click();
  await page.locator(`li[data-name="${asked.service}"]`).waitFor({ timeout: 60_000 });
  await page.exposeFunction('tell', told => console.log(JSON.stringify(told)));
  await page.evaluate(name => {
    let before = null;
    const tell = () => {
      const text = document.querySelector(`li[data-name="${name}"]`)?.innerText ?? '';
      if (text !== before) {
        before = text;
        requestAnimationFrame(() => window.tell({ text, at: Date.now() }));
      }
    };
    // The row itself may be taken out and put in again.
    new MutationObserver(tell).observe(document.body, { subtree: true, childList: true, characterData: true });
  }, asked.service);
  console.log('ready');
  await lines.next();
} finally {
  await browser.close();
}

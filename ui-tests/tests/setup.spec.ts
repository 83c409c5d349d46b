/** A runtime that is not set up on this machine yet: told with its size, and installed from the dialog. */
import { createRequire } from 'node:module';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { CLUSTER } from '../server.js';
import { Lab, python } from './lab.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

test.describe.configure({ mode: 'serial' });
test.skip(CLUSTER, 'Runtimes of a cluster are not installed on this machine.');

let page: Page;
let dialog: Locator;

test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  const lab = new Lab(page);
  python(`
from kale.common.artifacts import Model
from sklearn.linear_model import LogisticRegression
Model(model=LogisticRegression().fit([[0.0], [1.0]], [0, 1]), name="beads").submit_artifact()
`);
  await lab.open();
  await lab.openPanel();
  await lab
    .row(lab.models, 'beads')
    .getByRole('button', { name: 'Serve' })
    .click();
  dialog = page.getByRole('dialog', { name: 'Serve model' });
});

test.afterAll(() => page.close());

test('the list of runtimes tells what is not set up and how large it is', async () => {
  const runtime = dialog.getByLabel('Runtime');
  await expect(
    runtime.getByRole('option', {
      name: /^Abacus.*not set up yet, about 12 MB/
    })
  ).toBeEnabled();
  await runtime.selectOption('acme-abacus');
  await expect(
    dialog.getByText('Abacus is not set up on this machine yet.')
  ).toBeVisible();
  await expect(dialog.getByText('Set up Abacus first.')).toBeVisible();
  await expect(
    dialog.getByText('Abacus is no longer maintained. Use a calculator.')
  ).toBeVisible();
  await expect(
    dialog.getByText('It counts beads, where the cluster')
  ).toBeVisible();
  await expect(
    dialog.getByRole('button', { name: 'Serve', exact: true })
  ).toBeDisabled();
  await page.addScriptTag({ path: AXE });
  const found = await page.evaluate<string[]>(
    `axe.run('dialog').then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].target))`
  );
  expect(found).toEqual([]);
  await picture('missing');
});

test('set up from the dialog, it is planned with what is in it', async () => {
  await dialog.getByRole('button', { name: 'Set up' }).click();
  await expect(
    dialog.getByText(
      "Abacus's environment lacks joblib, numpy, scikit-learn, which the model needs."
    )
  ).not.toHaveCount(0, { timeout: 60_000 });
  await expect(dialog.getByRole('button', { name: 'Set up' })).toHaveCount(0);
  await dialog.getByLabel('Runtime').selectOption('');
  await expect(dialog.getByText('Ready to serve.')).toBeVisible();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
});

/** For whoever looks at it; only where SETUP_PICTURES names a folder. */
async function picture(name: string): Promise<void> {
  const folder = process.env.SETUP_PICTURES;
  if (!folder) {
    return;
  }
  for (const [size, width] of [
    ['wide', 1280],
    ['narrow', 560]
  ] as const) {
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: `${folder}/${name}-${size}.png` });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

/**
 * From a notebook to a live, tested endpoint, the way a person goes: one page, one service, one step after another.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { Lab, cleanUp, endPredictor, prepare, python } from './lab.js';
import { CLUSTER } from '../server.js';

const SERVICE = 'iris-panel';
/** Where the screenshots of the README are written; a folder of the results unless `make images` names docs/images. */
const IMAGES = process.env.SCREENSHOTS || join('test-results', 'images');

test.describe.configure({ mode: 'serial' });

let page: Page;
let lab: Lab;

test.beforeAll(async ({ browser }) => {
  prepare();
  page = await browser.newPage();
  lab = new Lab(page);
  mkdirSync(IMAGES, { recursive: true });
});

test.afterAll(async () => {
  cleanUp();
  await page.close();
});

test('the worked example runs, and the panel shows what it made', async () => {
  await lab.open('quickstart.ipynb');
  await lab.openPanel();
  await lab.runAll();

  await expect(lab.row(lab.models, 'iris')).toBeVisible();
  await lab.expectPhase('iris-species', 'Ready');
});

test('a model is served from its row, with a runtime and a transformer', async () => {
  await lab
    .row(lab.models, 'iris')
    .getByRole('button', { name: 'Serve' })
    .click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await nameIt(dialog);
  await choose(dialog.getByLabel('Version', { exact: true }), /1\.0\.0/);
  await choose(
    dialog.getByLabel('Runtime', { exact: true }),
    CLUSTER ? /^kale-sklearn/ : /^KServe sklearn server/
  );
  await choose(dialog.getByLabel('Transformer', { exact: true }), /iris-names/);
  const serve = dialog.getByRole('button', { name: 'Serve', exact: true });
  await expect(serve).toBeEnabled();
  const plan = dialog.getByRole('region', { name: 'Plan' });
  await expect(plan).toHaveAttribute('aria-busy', 'false');
  await picture('serve', dialog);
  await serve.click();

  await expect(dialog).toBeHidden();
  await lab.expectPhase(SERVICE, 'Ready');
});

test('a test request from the form gets an answer', async () => {
  await lab
    .row(lab.services, SERVICE)
    .getByRole('button', { name: 'Test' })
    .click();
  const form = page.getByRole('region', { name: 'Test request' });
  await form.getByRole('button', { name: 'Send' }).click();
  const answer = form.getByRole('region', { name: 'Answer' });

  // As long as a test request may take: the first one also connects, and a cluster may be busy.
  await expect(answer).toContainText(/setosa|versicolor|virginica/, {
    timeout: 70_000
  });
  await expect(answer).toContainText(/\d ?ms/);
  await picture('predict', form);
});

test('the panel in light and in dark', async () => {
  await page.screenshot({ path: join(IMAGES, 'panel-light.png') });
  await lab.useTheme('JupyterLab Dark');
  await page.screenshot({ path: join(IMAGES, 'panel-dark.png') });
  await lab.useTheme('JupyterLab Light');
});

test('a predictor that dies is told, and comes back', async () => {
  endPredictor(SERVICE);

  const row = lab.row(lab.services, SERVICE);
  await expect(row).toContainText(/restart|exit|killed|signal/i, {
    timeout: 30_000
  });
  await lab.expectPhase(SERVICE, 'Ready');
});

test('its logs can be read', async () => {
  await lab
    .row(lab.services, SERVICE)
    .getByRole('button', { name: 'Logs' })
    .click();

  await expect(
    page
      .getByRole('log')
      .or(page.getByRole('region', { name: /log/i }))
      .first()
  ).toContainText(/\w/);
});

test('a new version of the model takes over under the same name', async () => {
  python(`
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from kale.common.artifacts import Model
iris = load_iris()
Model(DecisionTreeClassifier().fit(iris.data, iris.target), name="iris", version="2.0.0").submit_artifact()
`);
  await lab
    .row(lab.models, 'iris')
    .getByRole('button', { name: 'Serve' })
    .click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await nameIt(dialog);
  await choose(dialog.getByLabel('Version', { exact: true }), /2\.0\.0/);
  await choose(dialog.getByLabel('Transformer', { exact: true }), /iris-names/);
  await dialog.getByRole('button', { name: 'Serve', exact: true }).click();
  await expect(dialog).toBeHidden();

  await expect(lab.row(lab.services, SERVICE)).toContainText('2.0.0', {
    timeout: 60_000
  });
  await lab.expectPhase(SERVICE, 'Ready');
});

test('a service is paused and resumed', async () => {
  const row = lab.row(lab.services, SERVICE);
  await row.getByRole('button', { name: 'Pause' }).click();
  await lab.expectPhase(SERVICE, 'Paused');
  await row.getByRole('button', { name: 'Resume' }).click();
  await lab.expectPhase(SERVICE, 'Ready');
});

test('the panel is as it was after a reload', async () => {
  await page.reload();
  await lab.ready();

  await expect(lab.panel).toBeVisible();
  await lab.expectPhase(SERVICE, 'Ready');
});

test('a service is deleted, after a question', async () => {
  await lab
    .row(lab.services, SERVICE)
    .getByRole('button', { name: 'Delete' })
    .click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: 'Delete' })
    .click();

  await expect(lab.row(lab.services, SERVICE)).toHaveCount(0, {
    timeout: 30_000
  });
  await expect(lab.row(lab.services, 'iris-species')).toBeVisible();
});

/** Fill in the service's name, once the plan has proposed one: arriving in the middle it would stand before this one. */
async function nameIt(dialog: Locator): Promise<void> {
  const name = dialog.getByLabel('Name', { exact: true });
  await expect(name).not.toHaveValue('');
  await name.fill(SERVICE);
}

/** Choose an option by its text. */
async function choose(field: Locator, text: RegExp): Promise<void> {
  const option = field.getByRole('option', { name: text }).first();
  await expect(option).toBeAttached();
  await field.selectOption((await option.getAttribute('value')) ?? '');
}

async function picture(name: string, of: Locator): Promise<void> {
  await of.screenshot({ path: join(IMAGES, `${name}.png`) });
}

/** The panel's own ways: files, search, palette, keyboard, and what assistive technology finds. */
import { createRequire } from 'node:module';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { Lab, python } from './lab.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const EVIL = '<img src=x onerror="document.title=1">';

test.describe.configure({ mode: 'serial' });

let page: Page;
let lab: Lab;

test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  lab = new Lab(page);
  python(`
import joblib
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from kale.common.artifacts import Model
iris = load_iris()
model = DecisionTreeClassifier().fit(iris.data, iris.target)
joblib.dump(model, "tree.joblib")
joblib.dump(model, "finalized")
for name in ("notes.txt", "data.json"):
    open(name, "w").write("{}")
for name in ("garden", "meadow"):
    Model(model, name=name, version="1").submit_artifact()
Model(model, name="evil", version="1", description=${JSON.stringify(EVIL)}, tags={"note": ${JSON.stringify(EVIL)}}).submit_artifact()
`);
  await lab.open();
  await lab.openPanel();
});

test.afterAll(async () => {
  await page.close();
});

test('a search narrows the models to those that match', async () => {
  const search = lab.models.getByRole('searchbox', { name: 'Search models' });
  await search.fill('garden');
  await expect(lab.row(lab.models, 'meadow')).toHaveCount(0);
  await expect(lab.row(lab.models, 'garden')).toBeVisible();

  await search.fill('');
  await expect(lab.row(lab.models, 'meadow')).toBeVisible();
});

test('the command palette leads to the panel', async () => {
  await page.keyboard.press('Control+Shift+KeyC');
  const palette = page
    .getByRole('dialog')
    .or(page.locator('#modal-command-palette'));
  await palette
    .getByRole('textbox')
    .or(palette.getByRole('searchbox'))
    .first()
    .fill('Search Models');
  await page.keyboard.press('Enter');

  await expect(
    lab.models.getByRole('searchbox', { name: 'Search models' })
  ).toBeFocused();
});

test('the Serve dialog opens from the context menu, and Escape closes it', async () => {
  await lab.row(lab.models, 'garden').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Serve model' }).click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await expect(dialog.getByLabel('Name', { exact: true })).toBeFocused();

  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
});

test('a name that Kubernetes would refuse is told in the dialog', async () => {
  await lab
    .row(lab.models, 'garden')
    .getByRole('button', { name: 'Serve' })
    .click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await expect(dialog.getByRole('region', { name: 'Plan' })).toContainText(
    'Ready to serve.'
  );
  const before = await dialog.boundingBox();
  await dialog.getByLabel('Name', { exact: true }).fill('No Good Name');

  await expect(
    dialog.getByRole('button', { name: 'Serve', exact: true })
  ).toBeDisabled();
  await expect(dialog).toContainText(/lower-?case/i);
  // It stays where it is under the typing hand.
  expect(await dialog.boundingBox()).toEqual(before);
  await page.keyboard.press('Escape');
});

test('the engine is chosen from the keyboard, and stays chosen', async () => {
  const header = lab.panel.getByRole('button', { name: /^New services run/ });
  await expect(header).toHaveAccessibleName(
    'New services run: This machine · default'
  );
  await expect(header).toHaveAttribute('title', /There is no kubeconfig here/);
  const form = lab.panel.getByRole('form', { name: 'Where new services run' });
  const place = form.getByLabel('New services run');
  await header.press('Enter');
  await expect(place).toBeFocused();
  await place.press('Escape');
  await expect(form).toBeHidden();
  await expect(header).toBeFocused();

  await choose('This machine');
  await expect(header).toHaveAttribute('title', /Chosen in the panel/);
  await page.reload();
  await lab.ready();
  await lab.openPanel();
  await expect(header).toHaveAttribute('title', /Chosen in the panel/);
  await choose('where KServe is found');
  await expect(header).toHaveAttribute('title', /There is no kubeconfig here/);

  async function choose(label: string): Promise<void> {
    await header.press('Enter');
    await expect(place.getByRole('option', { name: label })).toBeAttached();
    await place.selectOption({ label });
    const cancel = form.getByRole('button', { name: 'Cancel' });
    const accept = form.getByRole('button', { name: 'Switch' });
    await tab(place, cancel);
    await tab(cancel, accept);
    await accept.press('Enter');
    await expect(form).toBeHidden();
  }

  /** One step of the keyboard; taken again where JupyterLab has drawn the focus to itself meanwhile. */
  async function tab(from: Locator, to: Locator): Promise<void> {
    await expect(async () => {
      await from.press('Tab');
      await expect(to).toBeFocused({ timeout: 1000 });
    }).toPass({ timeout: 15_000 });
  }
});

test('only what can be a model is offered to be served', async () => {
  await page.getByRole('tab', { name: /File Browser/ }).click();
  const serve = page.getByRole('menuitem', { name: 'Serve model' });
  for (const [name, isModel] of [
    ['notes.txt', false],
    ['data.json', false],
    ['finalized', true]
  ] as const) {
    const asked = page.waitForResponse(response =>
      response.url().includes(`files?path=${name}`)
    );
    const item = page.getByRole('listitem', { name: new RegExp(`\\b${name}`) });
    const rename = page.getByRole('menuitem', { name: 'Rename' });
    await item.click({ button: 'right' });
    await (await asked).finished();
    await page.keyboard.press('Escape');
    await expect(rename).toHaveCount(0);
    // Only what is opened after the answer proves that something is not offered.
    await item.click({ button: 'right' });
    await expect(rename).toBeVisible();
    await expect(serve).toHaveCount(isModel ? 1 : 0);
    await page.keyboard.press('Escape');
  }
});

test('a model file is registered and served from the file browser', async () => {
  await page
    .getByRole('listitem', { name: /tree\.joblib/ })
    .click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Serve model' }).click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await expect(dialog.getByLabel('Kernel', { exact: true })).not.toHaveValue(
    ''
  );
  await dialog.getByRole('button', { name: 'Register' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('tree');
  await dialog.getByRole('button', { name: 'Serve', exact: true }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });

  await lab.expectPhase('tree', 'Ready');
  await lab
    .row(lab.models, 'tree')
    .getByRole('button', { name: 'tree', exact: true })
    .click();
  await expect(lab.row(lab.models, 'tree')).toContainText('tree.joblib');
  await expect(lab.row(lab.models, 'tree')).toContainText('scikit-learn');
});

test('the row of what was served comes into sight', async () => {
  await page.setViewportSize({ width: 1280, height: 320 });
  const model = lab.row(lab.models, 'garden');
  await model.getByRole('button', { name: 'Serve' }).click();
  const dialog = page.getByRole('dialog', { name: 'Serve model' });
  await expect(dialog.getByLabel('Name', { exact: true })).not.toHaveValue('');
  await dialog.getByLabel('Name', { exact: true }).fill('far');
  await dialog.getByRole('button', { name: 'Serve', exact: true }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });

  await expect(lab.row(lab.services, 'far')).toBeInViewport({ ratio: 0.9 });
  await page.setViewportSize({ width: 1280, height: 800 });
});

test('a row is one stop of the keyboard, and its neighbour is next when it goes', async () => {
  await lab.expectPhase('far', 'Ready');
  const far = lab.row(lab.services, 'far');
  const name = far.getByRole('button', { name: 'far', exact: true });
  const remove = far.getByRole('button', { name: 'Delete far' });
  const tree = lab
    .row(lab.services, 'tree')
    .getByRole('button', { name: 'tree', exact: true });
  await name.focus();
  await name.press('Tab');
  await expect(tree).toBeFocused();
  await tree.press('ArrowUp');
  await name.press('End');
  await expect(remove).toBeFocused();
  await remove.press('Enter');
  await page
    .getByRole('dialog')
    .getByRole('button', { name: 'Delete' })
    .press('Enter');

  await expect(far).toHaveCount(0, { timeout: 30_000 });
  await expect(tree).toBeFocused();
});

test('what people typed is shown as text, whatever it is', async () => {
  await lab
    .row(lab.models, 'evil')
    .getByRole('button', { name: 'evil', exact: true })
    .click();

  await expect(lab.row(lab.models, 'evil')).toContainText(EVIL);
  await expect(lab.panel.locator('img[src="x"]')).toHaveCount(0);
  await expect(page).not.toHaveTitle('1');
});

for (const theme of ['JupyterLab Light', 'JupyterLab Dark'] as const) {
  test(`assistive technology finds its way in the panel, in ${theme}`, async () => {
    await lab.useTheme(theme);
    const header = lab.panel.getByRole('button', { name: /^New services run/ });
    await header.click();
    await expect(lab.panel.getByRole('form')).toBeVisible();
    await page.addScriptTag({ path: AXE });
    const found = await lab.panel.evaluate(async panel => {
      const { violations } = await (window as unknown as { axe: IAxe }).axe.run(
        panel
      );
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`
      );
    });

    expect(found).toEqual([]);
    await header.click();
  });
}

interface IAxe {
  run(
    node: Element
  ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

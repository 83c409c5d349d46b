/** The panel's own ways: files, search, palette, keyboard, and what assistive technology finds. */
import { createRequire } from 'node:module';
import { expect, test, type Page } from '@playwright/test';
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
  await dialog.getByLabel('Name', { exact: true }).fill('No Good Name');

  await expect(
    dialog.getByRole('button', { name: 'Serve', exact: true })
  ).toBeDisabled();
  await expect(dialog).toContainText(/lower-case|lowercase|small letters/i);
  await page.keyboard.press('Escape');
});

test('the engine is chosen from the keyboard, and stays chosen', async () => {
  const header = lab.panel.getByRole('button', { name: /^New services run/ });
  await expect(header).toHaveAccessibleName(
    'New services run: This machine · default'
  );
  await expect(header).toHaveAttribute('title', /There is no kubeconfig here/);
  const form = lab.panel.getByRole('form', { name: 'Where new services run' });
  await header.press('Enter');
  const place = form.getByLabel('New services run');
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
    await place.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect(form).toBeHidden();
  }
});

test('a model file is registered and served from the file browser', async () => {
  await page.getByRole('tab', { name: /File Browser/ }).click();
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

  await lab.openPanel();
  await lab.expectPhase('tree', 'Ready');
});

test('what people typed is shown as text, whatever it is', async () => {
  await lab
    .row(lab.models, 'evil')
    .getByRole('button', { name: 'evil' })
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

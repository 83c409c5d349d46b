/** The test form of a model that takes tensors by name: an image from a file, fields, and outputs by name. */
import { createRequire } from 'node:module';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { Lab, python } from './lab.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Two rows of three pixels. */
const PIXELS = [
  [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255]
  ],
  [
    [1, 2, 3],
    [128, 128, 128],
    [250, 251, 252]
  ]
];

test.describe.configure({ mode: 'serial' });

let page: Page;
let lab: Lab;
let form: Locator;

test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  lab = new Lab(page);
  python(`
import os
import numpy as np
from kale.common.artifacts import Model
from kale.serve import serve
os.makedirs("pictures", exist_ok=True)
with open("pictures/model.py", "w") as file:
    file.write('''
import kserve


class Pictures(kserve.Model):
    def load(self):
        self.ready = True
        return True

    def predict(self, payload, headers=None):
        rows = payload["instances"]
        return {"predictions": [{"pixels": row["image"], "total": sum(row["weight"])} for row in rows]}
''')
example = {"image": np.zeros((1, 2, 3, 3), dtype="uint8"), "weight": np.zeros((1, 2), dtype="float32")}
model = Model(artifact_uri="pictures", name="pictures", example=example).submit_artifact()
serve(model, name="pictures")
`);
  await lab.open();
  await lab.openPanel();
  await lab.expectPhase('pictures', 'Ready');
  await lab
    .row(lab.services, 'pictures')
    .getByRole('button', { name: 'Test' })
    .click();
  form = page.getByRole('region', { name: 'Test request' });
});

test.afterAll(async () => {
  python('from kale.serve import Endpoint\nEndpoint("pictures").delete()');
  await page.close();
});

test('each input has its type, and a field or JSON', async () => {
  await expect(
    form.getByRole('group', { name: 'image uint8 [?, 2, 3, 3]' })
  ).toBeVisible();
  await expect(
    form.getByRole('group', { name: 'weight float32 [?, 2]' })
  ).toBeVisible();
  await expect(form.getByLabel('weight 2')).toHaveValue(/^0/);
});

test('an image is read into the layout of the model, and answered', async () => {
  const text = form.getByLabel('image as JSON');
  await form
    .getByLabel('File for image', { exact: true })
    .setInputFiles(picture('six.png', PIXELS));
  await expect
    .poll(async () => JSON.parse(await text.inputValue()) as unknown)
    .toEqual([PIXELS]);
  await form.getByLabel('weight 1').fill('1.5');
  await form.getByLabel('weight 2').fill('2');
  await form.getByRole('button', { name: 'Send' }).click();

  const answer = form.getByRole('region', { name: 'Answer' });
  await expect(answer).toContainText('pixels', { timeout: 70_000 });
  await expect(answer).toContainText('[1, 2, 3, 3]');
  await expect(answer.getByLabel('total', { exact: true })).toHaveText('[3.5]');
  const download = page.waitForEvent('download');
  await answer.getByRole('button', { name: 'Download as JSON' }).click();
  expect((await download).suggestedFilename()).toBe('answer.json');
});

test('an image of another size is scaled, and that is said', async () => {
  const image = form.getByRole('group', { name: /^image/ });
  const pixel = [10, 20, 30];
  const large = Array(20).fill(Array(30).fill(pixel)) as number[][][];
  await form
    .getByLabel('File for image', { exact: true })
    .setInputFiles(picture('large.png', large));

  await expect(image.getByRole('status')).toHaveText(
    'large.png [2, 3, 3] Scaled from 30×20 to 3×2 pixels.'
  );
  await image
    .getByRole('button', { name: 'Remove the file for image' })
    .press('Enter');
  await expect(form.getByLabel('image as JSON')).toBeVisible();
});

for (const theme of ['JupyterLab Light', 'JupyterLab Dark'] as const) {
  test(`the form is accessible in ${theme}, and fits a narrow window`, async () => {
    await lab.useTheme(theme);
    await page.setViewportSize({ width: 720, height: 700 });
    await page.addScriptTag({ path: AXE });
    const found = await form.evaluate(async node => {
      const { violations } = await (window as unknown as { axe: IAxe }).axe.run(
        node
      );
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(n => n.html).join(' ')}`
      );
    });
    expect(found).toEqual([]);
    expect(
      await form.evaluate(node => node.scrollWidth - node.clientWidth)
    ).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 1280, height: 800 });
    await lab.useTheme('JupyterLab Light');
  });
}

/**
 * A file of rows of pixels, each red, green and blue.
 */
function picture(
  name: string,
  rows: number[][][]
): { name: string; mimeType: string; buffer: Buffer } {
  const written = python(`
import base64, struct, zlib
rows = ${JSON.stringify(rows)}
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
lines = zlib.compress(b"".join(bytes([0, *sum(row, [])]) for row in rows))
made = bytes([137]) + b"PNG" + bytes([13, 10, 26, 10])
made += chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
print("png:" + base64.b64encode(made).decode())
`);
  const encoded = written.slice(written.lastIndexOf('png:') + 4).trim();
  return {
    name,
    mimeType: 'image/png',
    buffer: Buffer.from(encoded, 'base64')
  };
}

interface IAxe {
  run(
    node: Element
  ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

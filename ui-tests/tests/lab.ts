/** What a person does in JupyterLab, in a few words. Everything is found by its accessible name. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { expect, type Locator, type Page } from '@playwright/test';
import { CLUSTER, FILES, HOME, PROGRAMS, TOKEN, VARIABLES } from '../server.js';

export class Lab {
  readonly panel: Locator;
  readonly services: Locator;
  readonly models: Locator;

  constructor(readonly page: Page) {
    this.panel = page.getByRole('region', { name: 'Kale Serve' });
    this.services = this.panel.getByRole('region', { name: 'Services' });
    this.models = this.panel.getByRole('region', { name: 'Models' });
  }

  /** Open JupyterLab, on a file where one is named. */
  async open(file = ''): Promise<void> {
    await this.page.goto(`/lab${file && `/tree/${file}`}?reset&token=${TOKEN}`);
    await this.ready();
  }

  async ready(): Promise<void> {
    await expect(this.page.locator('#jupyterlab-splash')).toHaveCount(0, {
      timeout: 60_000
    });
    // The launcher, or what was open, takes the focus once more when all else is there.
    await expect(this.page.getByRole('main').locator(':focus')).toBeAttached({
      timeout: 60_000
    });
  }

  /** Open the panel by its tab in the left sidebar. */
  async openPanel(): Promise<void> {
    if (!(await this.panel.isVisible())) {
      await this.page.getByRole('tab', { name: 'Kale Serve' }).click();
    }
    await expect(this.panel).toBeVisible();
  }

  /** The row of a model or service: its name begins with the model's or service's name. */
  row(region: Locator, name: string): Locator {
    return region.getByRole('listitem', {
      name: new RegExp(`^${name}(?![\\w-])`)
    });
  }

  /** Wait for a service's phase, as the row's status tells it. */
  async expectPhase(
    name: string,
    phase: string | RegExp,
    timeout = 90_000
  ): Promise<void> {
    await expect(
      this.row(this.services, name).getByRole('status').first()
    ).toContainText(phase, { timeout });
  }

  /** Run every cell of the open notebook and wait until none is left. */
  async runAll(): Promise<void> {
    // Asked to run before the kernel is there, JupyterLab asks which one to start.
    await expect(
      this.page.getByText('Python 3 (ipykernel) | Idle')
    ).toBeVisible({ timeout: 60_000 });
    await this.page.getByRole('menuitem', { name: 'Run', exact: true }).click();
    await this.page
      .getByRole('menuitem', { name: 'Run All Cells', exact: true })
      .click();
    const prompts = this.page.locator(
      '.jp-Notebook .jp-CodeCell .jp-InputPrompt'
    );
    await expect
      .poll(
        async () =>
          (await prompts.allTextContents()).every(text =>
            /^\[\d+\]/.test(text)
          ),
        {
          timeout: 150_000,
          message: 'every cell has run'
        }
      )
      .toBe(true);
    await expect(
      this.page.locator(
        '.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"]'
      )
    ).toHaveCount(0);
  }

  /** Change the colours, as the Settings menu does. */
  async useTheme(theme: 'JupyterLab Light' | 'JupyterLab Dark'): Promise<void> {
    await this.page.evaluate(
      async name =>
        (window as unknown as IExposed).jupyterapp.commands.execute(
          'apputils:change-theme',
          { theme: name }
        ),
      theme
    );
    const attribute = theme.endsWith('Dark') ? 'false' : 'true';
    await expect(this.page.locator('body')).toHaveAttribute(
      'data-jp-theme-light',
      attribute
    );
    // JupyterLab covers the page while it changes.
    await expect(this.page.locator('#jupyterlab-splash')).toHaveCount(0);
  }
}

/** What --LabApp.expose_app_in_browser puts on the page. */
interface IExposed {
  jupyterapp: {
    commands: { execute(id: string, args: object): Promise<unknown> };
  };
}

/** Run a program with the product's own Python, as the same user: what another notebook of theirs would do. */
export function python(program: string): string {
  return execFileSync(`${PROGRAMS}/python`, ['-c', program], {
    env: VARIABLES,
    cwd: FILES,
    encoding: 'utf-8'
  });
}

/** Make what the tests need in a cluster: a namespace of their own, and a bucket. Nothing on this machine. */
export function prepare(): void {
  inCluster(`
import boto3
core.create_namespace({"metadata": {"name": namespace}})
s3 = boto3.client("s3", endpoint_url=os.environ["KALE_S3_ENDPOINT"], region_name="us-east-1")
if "kale-test" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket="kale-test")
`);
}

/** Remove the namespace. */
export function cleanUp(): void {
  inCluster('core.delete_namespace(namespace)');
}

function inCluster(program: string): void {
  if (CLUSTER) {
    python(`
import os
from kubernetes import client, config
config.load_kube_config()
core, namespace = client.CoreV1Api(), os.environ["KALE_SERVE_NAMESPACE"]
${program}`);
  }
}

/** End a service's model server behind its engine's back. */
export function endPredictor(service: string): void {
  if (!CLUSTER) {
    process.kill(predictor(service), 'SIGKILL');
    return;
  }
  // The first process of a container cannot be killed from inside it, but asked to end.
  inCluster(`
from kubernetes.stream import stream
label = "serving.kserve.io/inferenceservice=${service},component=predictor"
pod = core.list_namespaced_pod(namespace, label_selector=label).items[0].metadata.name
end = ["python3", "-c", "import os; os.kill(1, 15)"]
stream(core.connect_get_namespaced_pod_exec, pod, namespace, container="kserve-container", command=end, stdout=True)
`);
}

/** The process id of a service's model server; it is a process of this machine, started in the tests' own folder. */
export function predictor(service: string): number {
  const wanted = ['--service', service, '--component', 'predictor'].join('\0');
  const found = readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .filter(pid => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf-8').includes(wanted) &&
          readlinkSync(`/proc/${pid}/cwd`).startsWith(HOME)
        );
      } catch {
        // It ended while we looked.
        return false;
      }
    });
  expect(found, `one predictor of ${service}`).toHaveLength(1);
  return Number(found[0]);
}

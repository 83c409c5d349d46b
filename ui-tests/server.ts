/**
 * The Jupyter server under test: from the wheel's environment, with nothing else on its PATH, and folders of its own.
 */
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  symlinkSync,
  writeFileSync
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layAbacus } from './abacus.js';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Decided once, by the first process that reads this file; the workers inherit it. */
process.env.UI_TESTS_HOME ??= mkdtempSync(join(tmpdir(), 'kale-'));
process.env.UI_TESTS_PORT ??= String(20_000 + (process.pid % 20_000));
process.env.UI_TESTS_TOKEN ??= randomBytes(16).toString('hex');

export const HOME = process.env.UI_TESTS_HOME;
export const TOKEN = process.env.UI_TESTS_TOKEN;
export const URL = `http://127.0.0.1:${process.env.UI_TESTS_PORT}`;
/** The server's root folder, with a copy of the worked example. */
export const FILES = join(HOME, 'files');

const INSTALLED =
  process.env.PRODUCT_UNDER_TEST || join(HERE, '..', '.venv', 'bin');

/** The folder with the programs of the environment that has the wheel, by a short path that may be seen in pictures. */
export const PROGRAMS = join(HOME, 'env', 'bin');

/** Where services run: on this machine, or in the Kubernetes that $KUBECONFIG names. The server is not told which. */
export const CLUSTER = process.env.UI_TESTS_ENGINE === 'cluster';

/** The variables of everything that runs beside the server, as the server has them. */
export const VARIABLES: Record<string, string> = {
  PATH: PROGRAMS,
  HOME,
  LANG: 'C.UTF-8',
  KALE_SERVE_DATA_DIR: join(HOME, 'data'),
  KALE_SERVE_RUNTIME_DIR: join(HOME, 'run'),
  ...(process.env.KALE_SERVE_METADATA_PYTHON && {
    KALE_SERVE_METADATA_PYTHON: process.env.KALE_SERVE_METADATA_PYTHON
  }),
  ...(CLUSTER && {
    KALE_SERVE_NAMESPACE: `kale-ui-${process.env.UI_TESTS_PORT}`,
    KALE_SERVE_CLUSTER_STORAGE: `s3://kale-test/ui?endpoint=${process.env.KALE_S3_ENDPOINT}`,
    ...given('KUBECONFIG', 'KALE_S3_ENDPOINT'),
    ...given('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY')
  })
};

function given(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, process.env[name] ?? '']));
}

/** Lay out the folders, and say how the server is started. */
export function environment(): { command: string } {
  mkdirSync(FILES, { recursive: true });
  if (!existsSync(join(HOME, 'env'))) {
    symlinkSync(dirname(INSTALLED), join(HOME, 'env'));
  }
  const site = join(HOME, 'site');
  layAbacus(site);
  cpSync(join(HERE, '..', 'examples'), FILES, { recursive: true });
  const settings = join(
    HOME,
    '.jupyter/lab/user-settings/@jupyterlab/apputils-extension'
  );
  mkdirSync(settings, { recursive: true });
  // No question about news from the network in the middle of a test.
  writeFileSync(
    join(settings, 'notification.jupyterlab-settings'),
    JSON.stringify({ fetchNews: 'false', checkForUpdates: false })
  );
  const variables = Object.entries(VARIABLES).map(
    ([name, value]) => `${name}='${value}'`
  );
  const options = [
    '--no-browser',
    '--allow-root',
    '--ServerApp.ip=127.0.0.1',
    `--ServerApp.port=${process.env.UI_TESTS_PORT}`,
    '--ServerApp.port_retries=0',
    `--ServerApp.root_dir='${FILES}'`,
    `--IdentityProvider.token=${TOKEN}`,
    '--LabApp.extension_manager=readonly',
    '--LabApp.expose_app_in_browser=True'
  ];
  return {
    command: `exec env -i ${variables.join(' ')} PYTHONPATH='${site}' '${PROGRAMS}/python' -m jupyterlab ${options.join(' ')}`
  };
}

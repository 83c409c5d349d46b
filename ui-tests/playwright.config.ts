import { defineConfig } from '@playwright/test';
import { environment, TOKEN, URL } from './server.js';

const server = environment();

export default defineConfig({
  testDir: 'tests',
  // Those that another environment than the one under test is for.
  testIgnore: process.env.UI_TESTS_WITHOUT || undefined,
  outputDir: 'test-results',
  // One Jupyter server and one user: the tests of a file build on each other.
  workers: 1,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  timeout: 180_000,
  expect: { timeout: 15_000 },
  reporter: [['list'], ['json', { outputFile: report() }]],
  globalTeardown: './teardown.ts',
  use: {
    baseURL: URL,
    extraHTTPHeaders: { Authorization: `token ${TOKEN}` },
    viewport: { width: 1280, height: 800 },
    actionTimeout: 15_000,
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM || undefined,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking'
      ]
    }
  },
  webServer: {
    command: server.command,
    url: `${URL}/api`,
    timeout: 90_000,
    stdout: 'ignore',
    stderr: process.env.SHOW_SERVER ? 'pipe' : 'ignore',
    gracefulShutdown: { signal: 'SIGTERM', timeout: 10_000 }
  }
});

function report(): string {
  return process.env.PLAYWRIGHT_JSON_OUTPUT_FILE || 'test-results/results.json';
}

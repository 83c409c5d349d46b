// Makes src/api/schema.ts from the server's OpenAPI document; with --check, only says whether it is up to date.
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import openapiTS, { astToString } from 'openapi-typescript';

const source = new URL(
  '../kale_serve_ext/server/openapi.json',
  import.meta.url
);
const target = new URL('../src/api/schema.ts', import.meta.url);

const types = astToString(await openapiTS(source));
const text = `// Made from kale_serve_ext/server/openapi.json by \`jlpm api\`: change the schemas there, not this file.\n\n${types}`;

if (process.argv.includes('--check')) {
  if (text !== (await readFile(target, 'utf8').catch(() => ''))) {
    console.error('src/api/schema.ts is stale: run `jlpm api`.');
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}

// Makes src/api/schema.ts from the server's OpenAPI document; with --check, only says whether it is up to date.
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

const source = new URL(
  '../kale_serve_ext/server/openapi.json',
  import.meta.url
);
const target = new URL('../src/api/schema.ts', import.meta.url);

const nodes = await openapiTS(source, {
  // A recursive type must have a name of its own: as the type of a property it may not refer to itself.
  transform: (_schema, { path }) =>
    path === '#/components/schemas/JSON'
      ? ts.factory.createTypeReferenceNode('JSONValue')
      : undefined
});
const text = `// Made from kale_serve_ext/server/openapi.json by \`jlpm api\`: change the schemas there, not this file.

export type JSONValue = boolean | number | string | null | JSONValue[] | { [key: string]: JSONValue };

${astToString(nodes)}`;

if (process.argv.includes('--check')) {
  if (text !== (await readFile(target, 'utf8').catch(() => ''))) {
    console.error('src/api/schema.ts is stale: run `jlpm api`.');
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}

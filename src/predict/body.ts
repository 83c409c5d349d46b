import type { Signature } from '../api/types';
import { sampleRow } from './form';
import type { JSONText } from './text';
import { list, member, object, plain, readJSON, writeJSON } from './text';

/**
 * A request of one row, the sample unless another is given, in the protocol's own form.
 */
export function rawRequest(
  protocol: string,
  signature: Signature | null,
  row: JSONText | null
): JSONText {
  const sample = row ?? sampleRow(signature);
  const rows = sample ? [sample] : [];
  if (protocol !== 'v2') {
    return object([['instances', list(rows)]]);
  }
  if (sample?.kind === 'object') {
    const dtypes = new Map(signature?.columns.map(c => [c.name, c.dtype]));
    const inputs = sample.entries.map(([key, value]) => {
      const name = JSON.parse(key) as string;
      return tensor(name, dtypes.get(name) ?? 'float64', [1], [value]);
    });
    return object([
      ['parameters', object([['content_type', plain('pd')]])],
      ['inputs', list(inputs)]
    ]);
  }
  const dtype = signature?.input_dtype ?? 'float64';
  return object([
    [
      'inputs',
      list([tensor('input-0', dtype, shapeOf(list(rows)), flatten(list(rows)))])
    ]
  ]);
}

/**
 * The only row of a request such as `rawRequest` makes; null where it is another.
 */
export function rowOfRequest(protocol: string, text: string): JSONText | null {
  let body: JSONText;
  try {
    body = readJSON(text);
  } catch {
    return null;
  }
  if (body.kind !== 'object') {
    return null;
  }
  if (protocol !== 'v2') {
    const rows = member(body, 'instances');
    return body.entries.length === 1 &&
      rows?.kind === 'list' &&
      rows.items.length === 1
      ? rows.items[0]
      : null;
  }
  const inputs = member(body, 'inputs');
  if (inputs?.kind !== 'list') {
    return null;
  }
  if (!member(body, 'parameters')) {
    const only = inputs.items.length === 1 ? inputs.items[0] : plain(null);
    const [shape, data] = [member(only, 'shape'), member(only, 'data')];
    // The values lie flat: of deeper rows the form is lost.
    return shape &&
      data?.kind === 'list' &&
      /^\[1, \d+\]$/.test(writeJSON(shape))
      ? data
      : null;
  }
  const entries: [string, JSONText][] = [];
  for (const input of inputs.items) {
    const name = member(input, 'name');
    const data = member(input, 'data');
    if (
      name?.kind !== 'plain' ||
      data?.kind !== 'list' ||
      data.items.length !== 1
    ) {
      return null;
    }
    entries.push([name.text, data.items[0]]);
  }
  return { kind: 'object', entries };
}

function tensor(
  name: string,
  dtype: string,
  shape: readonly number[],
  data: JSONText[]
): JSONText {
  return object([
    ['name', plain(name)],
    ['shape', list(shape.map(plain))],
    ['datatype', plain(datatypeOf(dtype))],
    ['data', list(data)]
  ]);
}

function flatten(value: JSONText): JSONText[] {
  return value.kind === 'list' ? value.items.flatMap(flatten) : [value];
}

function shapeOf(value: JSONText): number[] {
  return value.kind === 'list'
    ? [
        value.items.length,
        ...(value.items.length > 0 ? shapeOf(value.items[0]) : [])
      ]
    : [];
}

/**
 * What v2 calls a dtype of numpy, pandas or polars.
 */
export function datatypeOf(dtype: string): string {
  const match = /^(float|int|uint|bool)(?:ean)?(\d*)/i.exec(dtype);
  if (!match) {
    return 'BYTES';
  }
  const family = match[1].toUpperCase();
  return family === 'BOOL'
    ? 'BOOL'
    : `${family === 'FLOAT' ? 'FP' : family}${match[2] || '64'}`;
}

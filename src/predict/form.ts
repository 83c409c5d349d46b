import type {
  JSONValue,
  Prediction,
  Signature
} from '../api/types';
import { isObject } from '../api/types';

/**
 * One field of the form made from a signature.
 */
export interface IInputField {
  /**
   * The column's name, or the feature's number.
   */
  label: string;
  dtype: string;
  kind: 'number' | 'integer' | 'boolean' | 'text';
}

/**
 * More fields than these are better written as JSON.
 */
export const MOST_FIELDS = 48;

/**
 * The fields of one row: a column each, or a feature each; null where a row is not a short list of plain values.
 */
export function fieldsOf(signature: Signature | null): IInputField[] | null {
  if (!signature) {
    return null;
  }
  const { columns, input_size, input_dtype } = signature;
  if (columns.length > 0) {
    return columns.length > MOST_FIELDS
      ? null
      : columns.map(({ name, dtype }) => ({
          label: name,
          dtype,
          kind: kindOf(dtype)
        }));
  }
  const [, width, ...deeper] = input_size;
  if (
    typeof width !== 'number' ||
    width < 1 ||
    width > MOST_FIELDS ||
    deeper.length > 0
  ) {
    return null;
  }
  return Array.from({ length: width }, (_, index) => ({
    label: String(index + 1),
    dtype: input_dtype,
    kind: kindOf(input_dtype)
  }));
}

/**
 * The sample's values as they stand in the fields; empty where there is no sample.
 */
export function sampleTexts(
  signature: Signature | null,
  fields: readonly IInputField[]
): string[] {
  const sample = rowOfSample(signature);
  return fields.map((field, index) => {
    const value = Array.isArray(sample)
      ? sample[index]
      : isObject(sample)
        ? (sample[field.label])
        : undefined;
    if (value === undefined || value === null) {
      return '';
    }
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

/**
 * The row that the fields hold, or what is wrong with each of them.
 *
 * It has the form of the sample: a list, or an object of the columns.
 */
export function rowOf(
  signature: Signature | null,
  fields: readonly IInputField[],
  texts: readonly string[]
): { row: JSONValue; wrong: null } | { row: null; wrong: (Problem | null)[] } {
  const values = fields.map((field, index) => parse(field, texts[index] ?? ''));
  const wrong = values.map(value => ('problem' in value ? value.problem : null));
  if (wrong.some(problem => problem !== null)) {
    return { row: null, wrong };
  }
  const row = values.map(value => ('value' in value ? value.value : null));
  if (isNamed(signature)) {
    return {
      row: Object.fromEntries(
        fields.map((field, index) => [field.label, row[index]])
      ),
      wrong: null
    };
  }
  return { row, wrong: null };
}

/**
 * What keeps a text from being a field's value.
 */
export type Problem = 'number' | 'integer';

/**
 * The request that the raw mode starts from, in the protocol's own form.
 */
export function rawRequest(
  protocol: string,
  signature: Signature | null,
  row: JSONValue | null
): JSONValue {
  const sample = row ?? rowOfSample(signature);
  const rows: JSONValue[] = sample === null ? [] : [sample];
  if (protocol !== 'v2') {
    return { instances: rows };
  }
  const flat = flatten(rows);
  return {
    inputs: [
      {
        name: 'input-0',
        shape: shapeOf(rows),
        datatype: datatypeOf(signature?.input_dtype ?? 'float64'),
        data: flat
      }
    ]
  };
}

/**
 * The sample as one row; whoever logged it may have given a batch of one.
 */
export function rowOfSample(signature: Signature | null): JSONValue | null {
  const sample = signature?.sample ?? null;
  const wanted = (signature?.input_size.length ?? 0) - 1;
  if (
    Array.isArray(sample) &&
    sample.length === 1 &&
    (Array.isArray(sample[0]) ? wanted < 2 : isObject(sample[0]))
  ) {
    return sample[0];
  }
  return sample;
}

/**
 * A JSON text's value, or the parser's complaint.
 */
export function parseJSON(
  text: string
): { value: JSONValue; problem: null } | { value: null; problem: string } {
  try {
    return { value: JSON.parse(text) as JSONValue, problem: null };
  } catch (error) {
    return {
      value: null,
      problem: error instanceof Error ? error.message : String(error)
    };
  }
}

/**
 * A row as text to be edited.
 */
export function asText(value: JSONValue): string {
  const short = JSON.stringify(value);
  if (short.length <= 60) {
    return short;
  }
  return Array.isArray(value) && value.every(isPlain)
    ? linesOf(value)
    : JSON.stringify(value, null, 2);
}

/**
 * Many numbers, some on each line: one on each would be a very long text.
 */
function linesOf(values: readonly JSONValue[]): string {
  const lines: string[] = [];
  for (let start = 0; start < values.length; start += 10) {
    const line = values.slice(start, start + 10);
    lines.push(`  ${line.map(value => JSON.stringify(value)).join(', ')}`);
  }
  return `[\n${lines.join(',\n')}\n]`;
}

function isPlain(value: JSONValue): boolean {
  return value === null || typeof value !== 'object';
}

/**
 * The list of predictions inside an answer of either protocol, where it is a plain one.
 */
export function predictionsOf(answer: Prediction['answer']): JSONValue[] | null {
  if (!isObject(answer)) {
    return null;
  }
  if (Array.isArray(answer.predictions)) {
    return answer.predictions;
  }
  const { outputs } = answer;
  const first = Array.isArray(outputs) ? outputs[0] : null;
  return Array.isArray(outputs) &&
    outputs.length === 1 &&
    isObject(first) &&
    Array.isArray(first.data)
    ? first.data
    : null;
}

function kindOf(dtype: string): IInputField['kind'] {
  if (/^u?int/.test(dtype)) {
    return 'integer';
  }
  if (/^(float|double)/.test(dtype)) {
    return 'number';
  }
  return dtype.startsWith('bool') ? 'boolean' : 'text';
}

function parse(
  field: IInputField,
  text: string
): { value: JSONValue } | { problem: Problem } {
  switch (field.kind) {
    case 'text':
      return { value: text };
    case 'boolean':
      return { value: text === 'true' };
    case 'number':
    case 'integer': {
      const trimmed = text.trim();
      if (trimmed === '') {
        // Missing, which many models know what to do with.
        return { value: null };
      }
      const value = Number(trimmed);
      if (!Number.isFinite(value)) {
        return { problem: 'number' };
      }
      return field.kind === 'integer' && !Number.isInteger(value)
        ? { problem: 'integer' }
        : { value };
    }
  }
}

function isNamed(signature: Signature | null): boolean {
  if (!signature || signature.columns.length === 0) {
    return false;
  }
  return !Array.isArray(rowOfSample(signature));
}

function flatten(value: JSONValue): JSONValue[] {
  return Array.isArray(value) ? value.flatMap(flatten) : [value];
}

function shapeOf(value: JSONValue): number[] {
  return Array.isArray(value)
    ? [value.length, ...(value.length > 0 ? shapeOf(value[0]) : [])]
    : [];
}

function datatypeOf(dtype: string): string {
  const match = /^(float|int|uint|bool)(\d*)/.exec(dtype);
  if (!match) {
    return 'BYTES';
  }
  const [, family, bits] = match;
  return family === 'bool'
    ? 'BOOL'
    : `${family === 'float' ? 'FP' : family.toUpperCase()}${bits || '64'}`;
}

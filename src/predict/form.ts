import type { JSONValue, Signature } from '../api/types';
import { isObject } from '../api/types';
import type { JSONText } from './text';
import {
  list,
  member,
  number,
  object,
  plain,
  readJSON,
  shown,
  writeJSON
} from './text';

/**
 * One field of the form made from a signature.
 */
export interface IInputField {
  /**
   * The column's name, or the feature's number.
   */
  label: string;
  dtype: string;
  kind: 'number' | 'integer' | 'boolean' | 'category' | 'date' | 'text';
  /**
   * The categories of a categorical column, as JSON.
   */
  choices: readonly string[];
  /**
   * Whether a value can be missing, as far as is recorded.
   */
  canMiss: boolean;
}

/**
 * What stands in a field. An empty one is a missing value, but for a text: there null is, and an empty text is a text.
 */
export type FieldText = string | null;

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
      : columns.map((column, index) =>
          fieldOf(column, sampleAt(signature, column.name, index))
        );
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
    kind: kindOf(input_dtype),
    choices: [],
    canMiss: signature.input_missing !== ''
  }));
}

function fieldOf(
  column: Signature['columns'][number],
  sample: JSONValue | undefined
): IInputField {
  const { name, dtype, categories, values } = column;
  const field = { label: name, dtype, canMiss: column.missing !== '' };
  if (categories) {
    const choices = categories.map(value => JSON.stringify(value));
    return { ...field, kind: 'category', choices };
  }
  // A column of objects is told by what it holds, as far as that is known.
  const told =
    values ||
    column.category_dtype ||
    (dtype === 'object' ? typeof sample : dtype);
  return { ...field, kind: kindOf(told), choices: [] };
}

/**
 * The sample's values as they stand in the fields; empty where there is no sample.
 */
export function sampleTexts(
  signature: Signature | null,
  fields: readonly IInputField[]
): FieldText[] {
  return fields.map((field, index) => {
    const value = sampleAt(signature, field.label, index);
    if (value === undefined || value === null) {
      return value === null && field.kind === 'text' && field.canMiss
        ? null
        : '';
    }
    if (field.kind === 'category') {
      const text = JSON.stringify(value);
      return field.choices.includes(text) ? text : '';
    }
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

/**
 * The texts of the fields that hold this row; null where the fields cannot hold it as it is.
 */
export function textsOf(
  fields: readonly IInputField[],
  row: JSONText
): FieldText[] | null {
  const values =
    row.kind === 'list'
      ? row.items
      : fields.map(field => member(row, field.label));
  const length = row.kind === 'object' ? row.entries.length : values.length;
  if (row.kind === 'plain' || length !== fields.length) {
    return null;
  }
  const texts = fields.map((field, index) => textOf(field, values[index]));
  return texts.some(text => text === undefined) ? null : (texts as FieldText[]);
}

function textOf(
  field: IInputField,
  value: JSONText | undefined
): FieldText | undefined {
  if (value?.kind !== 'plain') {
    return undefined;
  }
  const { text } = value;
  if (text === 'null') {
    const missing = field.kind === 'text' ? null : '';
    return isSent(field, missing, text) ? missing : undefined;
  }
  if (field.kind === 'category') {
    return field.choices.includes(text) ? text : undefined;
  }
  return isSent(field, shown(value), text) ? shown(value) : undefined;
}

/**
 * Whether this JSON is what the field with that text would send.
 */
function isSent(field: IInputField, text: FieldText, sent: string): boolean {
  const parsed = parse(field, text);
  return typeof parsed !== 'string' && writeJSON(parsed) === sent;
}

/**
 * The row that the fields hold, or what is wrong with each of them.
 *
 * It has the form of the sample: a list, or an object of the columns.
 */
export function rowOf(
  signature: Signature | null,
  fields: readonly IInputField[],
  texts: readonly FieldText[]
): { row: JSONText; wrong: null } | { row: null; wrong: (Problem | null)[] } {
  const values = parseAll(fields, texts);
  const wrong = values.map(value => (typeof value === 'string' ? value : null));
  if (wrong.some(problem => problem !== null)) {
    return { row: null, wrong };
  }
  const row = values.filter(value => typeof value !== 'string');
  return {
    row: isNamed(signature)
      ? object(fields.map((field, index) => [field.label, row[index]]))
      : list(row),
    wrong: null
  };
}

/**
 * The value of each field, or what is wrong with it.
 */
export function parseAll(
  fields: readonly IInputField[],
  texts: readonly FieldText[]
): (JSONText | Problem)[] {
  return fields.map((field, index) => parse(field, texts[index] ?? null));
}

/**
 * What keeps a text from being a field's value.
 */
export type Problem = 'number' | 'integer';

/**
 * The sample as JSON; null where there is none.
 */
export function sampleRow(signature: Signature | null): JSONText | null {
  const sample = rowOfSample(signature);
  return sample === null ? null : readJSON(JSON.stringify(sample));
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
 * The parser's complaint about a JSON text; null where there is none.
 */
export function problemOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * A row or request as text to be edited.
 */
export function asText(value: JSONText): string {
  return writeJSON(value, 60);
}

/**
 * The list of predictions inside an answer of either protocol, where it is a plain one.
 */
export function predictionsOf(answer: string): readonly JSONText[] | null {
  let read: JSONText;
  try {
    read = readJSON(answer);
  } catch {
    return null;
  }
  const outputs = member(read, 'outputs');
  const only =
    outputs?.kind === 'list' && outputs.items.length === 1
      ? member(outputs.items[0], 'data')
      : undefined;
  const found = member(read, 'predictions') ?? only;
  return found?.kind === 'list' ? found.items : null;
}

function sampleAt(
  signature: Signature | null,
  name: string,
  index: number
): JSONValue | undefined {
  const sample = rowOfSample(signature);
  return Array.isArray(sample)
    ? sample[index]
    : isObject(sample)
      ? sample[name]
      : undefined;
}

/**
 * By what numpy, pandas or polars call a type, or by what a value is.
 */
export function kindOf(dtype: string): IInputField['kind'] {
  if (/^u?int/i.test(dtype)) {
    return 'integer';
  }
  if (/^(float|double|decimal|number)/i.test(dtype)) {
    return 'number';
  }
  if (/^(date|timestamp)/i.test(dtype)) {
    return 'date';
  }
  return /^bool/i.test(dtype) ? 'boolean' : 'text';
}

function parse(field: IInputField, text: FieldText): JSONText | Problem {
  if (text === null) {
    return plain(null);
  }
  const trimmed = text.trim();
  switch (field.kind) {
    case 'text':
      return plain(text);
    case 'date':
      return plain(trimmed || null);
    case 'boolean':
      return plain(trimmed === '' && field.canMiss ? null : trimmed === 'true');
    case 'category':
      if (trimmed === '' && !field.canMiss && field.choices.length > 0) {
        return readJSON(field.choices[0]);
      }
      return trimmed === '' ? plain(null) : readJSON(text);
    case 'number':
      return trimmed === ''
        ? // Missing, which many models know what to do with.
          plain(null)
        : (numberOf(trimmed) ?? 'number');
    case 'integer':
      return trimmed === '' ? plain(null) : integerOf(trimmed);
  }
}

const IN_JSON = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WRITTEN = /^([+-]?)(\d*)\.?(\d*)(e[+-]?\d+)?$/i;

/**
 * A number as it is typed, which is not rounded; what JSON writes differently (`+1`, `.5`, `007`) is written so.
 */
function numberOf(text: string): JSONText | null {
  if (IN_JSON.test(text)) {
    return number(text);
  }
  const [, sign, whole, fraction, exponent = ''] = WRITTEN.exec(text) ?? [];
  if (!whole && !fraction) {
    return null;
  }
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  const rest = fraction ? `.${fraction}` : '';
  return number(`${sign === '-' ? '-' : ''}${digits}${rest}${exponent}`);
}

function integerOf(text: string): JSONText | Problem {
  const found = numberOf(text);
  if (!found) {
    return 'number';
  }
  const written = writeJSON(found);
  if (/^-?\d+$/.test(written)) {
    return found;
  }
  const value = Number(written);
  return Number.isSafeInteger(value) ? number(String(value)) : 'integer';
}

function isNamed(signature: Signature | null): boolean {
  if (!signature || signature.columns.length === 0) {
    return false;
  }
  return !Array.isArray(rowOfSample(signature));
}

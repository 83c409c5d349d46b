import type { JSONValue, TensorSpec } from '../../api/types';
import { isObject } from '../../api/types';
import { datatypeOf } from '../body';
import type { FieldText, IInputField, Problem } from '../form';
import { asText, parseAll, kindOf } from '../form';
import type { JSONText } from '../text';
import { list, member, object, plain, readJSON, writeJSON } from '../text';
import { isText } from './shape';
import type { ITensor, Read, TensorProblem } from './tensor';
import { fitted, nested, readTensor, tensorOf } from './tensor';

/**
 * More elements of one row than these are better written as JSON.
 */
const MOST_FIELDS = 16;
/**
 * More zeros than these say nothing.
 */
const MOST_ZEROS = 64;

/**
 * What stands in the form for one input: a field for each element of one row, a text, or what a file held.
 */
export type InputValue =
  | { kind: 'fields'; texts: FieldText[] }
  | { kind: 'text'; text: string }
  | { kind: 'file'; file: string; note: string; tensor: ITensor };

/**
 * A field for each element of one row; null where there are too many, or no telling how many.
 */
export function fieldsOf(spec: TensorSpec): IInputField[] | null {
  const shape = rowShape(spec);
  const count = shape?.reduce((a, b) => a * b, 1) ?? 0;
  if (spec.shape.length > 2 || count < 1 || count > MOST_FIELDS) {
    return null;
  }
  const kind = isText(spec.dtype) ? 'text' : kindOf(spec.dtype);
  return Array.from({ length: count }, (_, index) => ({
    label: count === 1 ? spec.name : `${spec.name} ${index + 1}`,
    dtype: spec.dtype,
    kind,
    choices: [],
    canMiss: false
  }));
}

/**
 * The shape of one row with its batch of one; null where another dimension may be any.
 */
function rowShape({ shape }: TensorSpec): number[] | null {
  const found = shape.map((size, axis) =>
    typeof size === 'number' && size >= 0 ? size : axis === 0 ? 1 : null
  );
  return found.every(size => size !== null) ? found : null;
}

/**
 * The sample in the form; zeros where there is none.
 */
export function initialValues(
  specs: readonly TensorSpec[],
  sample: JSONValue
): InputValue[] {
  return specs.map(spec => {
    const given = isObject(sample) ? sample[spec.name] : undefined;
    const told =
      given === undefined
        ? null
        : fitted(spec, tensorOrEmpty(readJSON(JSON.stringify(given)))).value;
    return valueOf(spec, told ?? zeros(spec));
  });
}

function tensorOrEmpty(value: JSONText): ITensor {
  return tensorOf(value).value ?? { shape: [], values: [] };
}

function zeros(spec: TensorSpec): ITensor | null {
  const shape = rowShape(spec);
  const count = shape?.reduce((a, b) => a * b, 1) ?? 0;
  if (!shape || (count > MOST_ZEROS && !fieldsOf(spec))) {
    return null;
  }
  const zero = isText(spec.dtype)
    ? '""'
    : spec.dtype === 'bool'
      ? 'false'
      : '0';
  return { shape, values: Array<string>(count).fill(zero) };
}

/**
 * An array in the form: in the fields where these can hold it.
 */
export function valueOf(spec: TensorSpec, tensor: ITensor | null): InputValue {
  const fields = fieldsOf(spec);
  const shape = rowShape(spec);
  if (!tensor) {
    return fields
      ? { kind: 'fields', texts: fields.map(() => '') }
      : { kind: 'text', text: '' };
  }
  if (fields && String(shape) === String(tensor.shape)) {
    const texts = tensor.values.map(value =>
      value.startsWith('"') ? (JSON.parse(value) as string) : value
    );
    return { kind: 'fields', texts };
  }
  return { kind: 'text', text: asText(nested(tensor)) };
}

/**
 * What is wrong with an input: with each of its fields, or with all of it.
 */
export interface IWrong {
  fields: (Problem | null)[] | null;
  whole: TensorProblem | null;
}

/**
 * The arrays that stand in the form, each as the model takes it, or what is wrong with each.
 */
export function tensorsOf(
  specs: readonly TensorSpec[],
  values: readonly InputValue[]
):
  | { tensors: ITensor[]; wrong: null }
  | { tensors: null; wrong: (IWrong | null)[] } {
  const read = specs.map((spec, index) => tensorIn(spec, values[index]));
  const wrong = read.map(one => one.wrong);
  const tensors = read.flatMap(one => one.tensor ?? []);
  return wrong.some(one => one !== null)
    ? { tensors: null, wrong }
    : { tensors, wrong: null };
}

function tensorIn(
  spec: TensorSpec,
  value: InputValue
): { tensor: ITensor | null; wrong: IWrong | null } {
  if (value.kind === 'fields') {
    const fields = fieldsOf(spec) ?? [];
    const parsed = parseAll(fields, value.texts);
    const missing = parsed.map((one): Problem | null =>
      typeof one === 'string'
        ? one
        : writeJSON(one) === 'null'
          ? 'number'
          : null
    );
    if (missing.some(problem => problem !== null)) {
      return { tensor: null, wrong: { fields: missing, whole: null } };
    }
    const texts = parsed.map(one =>
      typeof one === 'string' ? '' : writeJSON(one)
    );
    return whole(fitted(spec, { shape: rowShape(spec) ?? [], values: texts }));
  }
  if (value.kind === 'file') {
    return whole(fitted(spec, value.tensor));
  }
  const read = readTensor(value.text);
  return whole(read.value ? fitted(spec, read.value) : read);
}

function whole({ value, problem }: Read<ITensor>): {
  tensor: ITensor | null;
  wrong: IWrong | null;
} {
  return { tensor: value, wrong: problem && { fields: null, whole: problem } };
}

/**
 * The request in the protocol's own form; null where v1 has none, as the inputs have not the same number of rows.
 */
export function requestOf(
  protocol: string,
  specs: readonly TensorSpec[],
  tensors: readonly ITensor[]
): JSONText | null {
  if (protocol === 'v2') {
    const inputs = specs.map((spec, index) =>
      object([
        ['name', plain(spec.name)],
        ['shape', list(tensors[index].shape.map(plain))],
        [
          'datatype',
          plain(isText(spec.dtype) ? 'BYTES' : datatypeOf(spec.dtype))
        ],
        [
          'data',
          list(tensors[index].values.map(text => ({ kind: 'plain', text })))
        ]
      ])
    );
    return object([['inputs', list(inputs)]]);
  }
  const columns = tensors.map(rowsOf);
  if (columns.length === 1) {
    return columns[0] && object([['instances', list(columns[0])]]);
  }
  const count = columns[0]?.length;
  if (columns.some(rows => rows?.length !== count) || count === undefined) {
    return null;
  }
  const rows = Array.from({ length: count }, (_, row) =>
    object(
      specs.map((spec, index): [string, JSONText] => [
        spec.name,
        columns[index]?.[row] ?? plain(null)
      ])
    )
  );
  return object([['instances', list(rows)]]);
}

function rowsOf(tensor: ITensor): JSONText[] | null {
  const all = nested(tensor);
  return tensor.shape.length > 0 && all.kind === 'list' ? all.items : null;
}

/**
 * What the form holds of a request such as `requestOf` makes; null where it is another.
 */
export function valuesOf(
  protocol: string,
  specs: readonly TensorSpec[],
  text: string
): InputValue[] | null {
  let body: JSONText;
  try {
    body = readJSON(text);
  } catch {
    return null;
  }
  const found = specs.map(spec => {
    const tensor =
      protocol === 'v2' ? inputOf(body, spec) : columnOf(body, specs, spec);
    return tensor && fitted(spec, tensor).value;
  });
  const tensors = found.flatMap(tensor => tensor ?? []);
  const again =
    tensors.length === specs.length && requestOf(protocol, specs, tensors);
  // What else stands in the request would be lost.
  return again && writeJSON(again) === writeJSON(body)
    ? specs.map((spec, index) => valueOf(spec, tensors[index]))
    : null;
}

function inputOf(body: JSONText, spec: TensorSpec): ITensor | null {
  const inputs = member(body, 'inputs');
  const input =
    inputs?.kind === 'list'
      ? inputs.items.find(one => {
          const name = member(one, 'name');
          return name && writeJSON(name) === JSON.stringify(spec.name);
        })
      : undefined;
  const [shape, data] = input
    ? [member(input, 'shape'), member(input, 'data')]
    : [];
  if (shape?.kind !== 'list' || data?.kind !== 'list') {
    return null;
  }
  const sizes = shape.items.map(size => Number(writeJSON(size)));
  const values = data.items.map(value => writeJSON(value));
  return sizes.reduce((a, b) => a * b, 1) === values.length
    ? { shape: sizes, values }
    : null;
}

function columnOf(
  body: JSONText,
  specs: readonly TensorSpec[],
  spec: TensorSpec
): ITensor | null {
  const rows = member(body, 'instances');
  if (rows?.kind !== 'list' || rows.items.length === 0) {
    return null;
  }
  const column =
    specs.length === 1
      ? rows.items
      : rows.items.flatMap(row => member(row, spec.name) ?? []);
  return tensorOf(list(column)).value;
}

/**
 * Whether the protocol's JSON has a form for all of the inputs and outputs: v2 has none for FP16.
 */
export function hasForm(
  protocol: string,
  specs: readonly TensorSpec[]
): boolean {
  return protocol !== 'v2' || specs.every(spec => spec.dtype !== 'float16');
}

import type { TensorSpec } from '../../api/types';
import type { JSONText } from '../text';
import { list, readJSON } from '../text';
import { isAny, isText } from './shape';

/**
 * An array: its values as JSON, flat in row-major order.
 */
export interface ITensor {
  shape: readonly number[];
  /**
   * Each a number, a text in quotes, `true` or `false`.
   */
  values: readonly string[];
}

/**
 * What keeps values from being a model's input.
 */
export type TensorProblem =
  | { kind: 'json'; message: string }
  | { kind: 'empty' }
  | { kind: 'ragged' }
  | { kind: 'shape'; shape: readonly number[] }
  | { kind: 'value'; value: string };

export type Read<T> =
  { value: T; problem: null } | { value: null; problem: TensorProblem };

/**
 * Nested lists as an array. An empty list says nothing of what would be in it.
 */
export function tensorOf(nested: JSONText): Read<ITensor> {
  const shape: number[] = [];
  let level: readonly JSONText[] = [nested];
  while (level.some(item => item.kind === 'list')) {
    const widths = new Set(
      level.map(item => (item.kind === 'list' ? item.items.length : -1))
    );
    if (widths.size > 1) {
      return { value: null, problem: { kind: 'ragged' } };
    }
    shape.push([...widths][0]);
    level = level.flatMap(item => (item.kind === 'list' ? item.items : []));
  }
  const values: string[] = [];
  for (const item of level) {
    if (item.kind !== 'plain') {
      return { value: null, problem: { kind: 'value', value: '{…}' } };
    }
    values.push(item.text);
  }
  return { value: { shape, values }, problem: null };
}

/**
 * The JSON text of nested lists as an array.
 */
export function readTensor(text: string): Read<ITensor> {
  if (!text.trim()) {
    return { value: null, problem: { kind: 'empty' } };
  }
  try {
    return tensorOf(readJSON(text));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { value: null, problem: { kind: 'json', message } };
  }
}

/**
 * The array as nested lists.
 */
export function nested({ shape, values }: ITensor): JSONText {
  let level: JSONText[] = values.map(text => ({ kind: 'plain', text }));
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const width = shape[axis];
    const count = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    level = Array.from({ length: count }, (_, index) =>
      list(level.slice(index * width, (index + 1) * width))
    );
  }
  return level[0] ?? list([]);
}

/**
 * The array as the model takes it, with a batch of one where it lacks just that; or what is wrong with it.
 */
export function fitted(spec: TensorSpec, tensor: ITensor): Read<ITensor> {
  const { shape } = spec;
  const [first] = shape;
  const isRow =
    tensor.shape.length === shape.length - 1 && (isAny(first) || first === 1);
  const given = isRow ? [1, ...tensor.shape] : tensor.shape;
  if (
    given.length !== shape.length ||
    shape.some((size, axis) => !isAny(size) && size !== given[axis])
  ) {
    return {
      value: null,
      problem: { kind: 'shape', shape: tensor.shape }
    };
  }
  const wrong = tensor.values.find(value => !isOf(spec.dtype, value));
  return wrong === undefined
    ? { value: { shape: given, values: tensor.values }, problem: null }
    : { value: null, problem: { kind: 'value', value: wrong } };
}

const LIMITS = new Map(
  [8, 16, 32, 64].flatMap(bits => {
    const half = 2n ** BigInt(bits - 1);
    return [
      [`int${bits}`, [-half, half - 1n]],
      [`uint${bits}`, [0n, 2n * half - 1n]]
    ] as [string, [bigint, bigint]][];
  })
);

/**
 * Whether a JSON value is one of this dtype.
 */
function isOf(dtype: string, value: string): boolean {
  if (isText(dtype)) {
    return value.startsWith('"');
  }
  if (dtype === 'bool') {
    return value === 'true' || value === 'false';
  }
  if (!/^-?\d/.test(value)) {
    return false;
  }
  const limits = LIMITS.get(dtype);
  if (!limits) {
    return Number.isFinite(Number(value));
  }
  if (!/^-?\d+$/.test(value)) {
    return false;
  }
  const number = BigInt(value);
  return number >= limits[0] && number <= limits[1];
}

import type { TensorSpec } from '../../api/types';
import type { JSONText } from '../text';
import { list, member, readJSON, shown, writeJSON } from '../text';
import type { ITensor } from './tensor';
import { tensorOf } from './tensor';

/**
 * One output of an answer.
 */
export interface IOutput {
  name: string;
  /**
   * As the answer or else the model's record has it; empty where neither does.
   */
  dtype: string;
  tensor: ITensor;
}

/**
 * The outputs of an answer of either protocol; null where it is of another form.
 */
export function outputsOf(
  answer: string,
  specs: readonly TensorSpec[]
): IOutput[] | null {
  let read: JSONText;
  try {
    read = readJSON(answer);
  } catch {
    return null;
  }
  const outputs = member(read, 'outputs');
  const predictions = member(read, 'predictions');
  const found =
    outputs?.kind === 'list'
      ? outputs.items.map(ofV2)
      : predictions?.kind === 'list'
        ? ofV1(predictions.items, specs)
        : [null];
  return found.length > 0 && found.every(output => output !== null)
    ? found
    : null;
}

function ofV2(output: JSONText): IOutput | null {
  const [name, datatype, shape, data] = [
    'name',
    'datatype',
    'shape',
    'data'
  ].map(key => member(output, key));
  if (!name || !datatype || shape?.kind !== 'list' || data?.kind !== 'list') {
    return null;
  }
  const sizes = shape.items.map(size => Number(writeJSON(size)));
  const flat = tensorOf(data).value;
  return flat && flat.values.length === sizes.reduce((a, b) => a * b, 1)
    ? {
        name: shown(name),
        dtype: shown(datatype),
        tensor: { shape: sizes, values: flat.values }
      }
    : null;
}

function ofV1(
  rows: readonly JSONText[],
  specs: readonly TensorSpec[]
): (IOutput | null)[] {
  const dtypes = new Map(specs.map(spec => [spec.name, spec.dtype]));
  const [first] = rows;
  if (first?.kind === 'object') {
    const names = first.entries.map(([key]) => JSON.parse(key) as string);
    return names.map(name => {
      const column = rows.flatMap(row => member(row, name) ?? []);
      return column.length === rows.length
        ? outputOf(name, dtypes.get(name) ?? '', column)
        : null;
    });
  }
  const only = specs.length === 1 ? specs[0] : null;
  return [outputOf(only?.name ?? 'predictions', only?.dtype ?? '', rows)];
}

function outputOf(
  name: string,
  dtype: string,
  rows: readonly JSONText[]
): IOutput | null {
  const tensor = tensorOf(list([...rows])).value;
  return tensor && { name, dtype, tensor };
}

import type { TensorSpec } from '../../../api/types';
import { readJSON, writeJSON } from '../../text';
import {
  fieldsOf,
  initialValues,
  requestOf,
  tensorsOf,
  valuesOf
} from '../form';
import type { InputValue } from '../form';
import { outputsOf } from '../outputs';
import { fitted, readTensor } from '../tensor';

const matrix: TensorSpec = { name: 'matrix', dtype: 'float32', shape: [-1, 2] };
const texts: TensorSpec = { name: 'texts', dtype: 'str', shape: ['batch'] };
const image: TensorSpec = {
  name: 'image',
  dtype: 'uint8',
  shape: [-1, 9, 9, 3]
};

describe('fieldsOf', () => {
  it('is one for each element of a short row', () => {
    expect(fieldsOf(matrix)?.map(f => [f.label, f.kind])).toEqual([
      ['matrix 1', 'number'],
      ['matrix 2', 'number']
    ]);
    expect(fieldsOf(texts)?.map(f => [f.label, f.kind])).toEqual([
      ['texts', 'text']
    ]);
    expect(fieldsOf({ ...matrix, shape: [] })).toHaveLength(1);
    expect(fieldsOf({ ...matrix, shape: [2, 8] })).toHaveLength(16);
  });

  it('is none for long rows, deep ones, and those of any length', () => {
    for (const shape of [
      [-1, 17],
      [-1, -1],
      [-1, 2, 2],
      [3, 8],
      [-1, 0]
    ]) {
      expect(fieldsOf({ ...matrix, shape })).toBeNull();
    }
  });
});

describe('initialValues', () => {
  it('holds the sample, or zeros', () => {
    expect(
      initialValues([matrix, texts], { matrix: [[1.5, 2]], texts: ['a'] })
    ).toEqual([
      { kind: 'fields', texts: ['1.5', '2'] },
      { kind: 'fields', texts: ['a'] }
    ]);
    expect(initialValues([matrix, texts, image], null)).toEqual([
      { kind: 'fields', texts: ['0', '0'] },
      { kind: 'fields', texts: [''] },
      { kind: 'text', text: '' }
    ]);
    expect(initialValues([{ ...matrix, shape: [-1, 2, 2] }], null)).toEqual([
      { kind: 'text', text: '[[[0, 0], [0, 0]]]' }
    ]);
  });

  it('passes over a sample of another form', () => {
    expect(initialValues([matrix], { matrix: [[1]] })).toEqual([
      { kind: 'fields', texts: ['0', '0'] }
    ]);
  });
});

const typed = (...values: InputValue[]) => tensorsOf([matrix, texts], values);

describe('tensorsOf', () => {
  it('reads fields and text, with a batch of one where it is left out', () => {
    const { tensors } = typed(
      { kind: 'text', text: '[1, 2.50]' },
      { kind: 'fields', texts: ['"a"'] }
    );
    expect(tensors).toEqual([
      { shape: [1, 2], values: ['1', '2.50'] },
      { shape: [1], values: ['"\\"a\\""'] }
    ]);
  });

  it('tells what is wrong with each', () => {
    const { wrong } = typed(
      { kind: 'fields', texts: ['', 'x'] },
      { kind: 'text', text: '[1]' }
    );
    expect(wrong).toEqual([
      { fields: ['number', 'number'], whole: null },
      { fields: null, whole: { kind: 'value', value: '1' } }
    ]);
  });
});

describe('fitted', () => {
  const problem = (spec: Partial<TensorSpec>, text: string) => {
    const read = readTensor(text);
    return read.value
      ? (fitted({ ...matrix, ...spec }, read.value).problem?.kind ?? null)
      : read.problem.kind;
  };

  it.each<[Partial<TensorSpec>, string, string | null]>([
    [{}, '[[1, 2], [3, 4]]', null],
    [{}, '[[1, 2, 3]]', 'shape'],
    [{}, '[[1, 2], [3]]', 'ragged'],
    [{}, '[[1, "2"]]', 'value'],
    [{}, '[[1, 1e999]]', 'value'],
    [{}, '[[1, {}]]', 'value'],
    [{}, '[[1, ', 'json'],
    [{}, ' ', 'empty'],
    [{ dtype: 'uint8' }, '[[0, 255]]', null],
    [{ dtype: 'uint8' }, '[[0, 256]]', 'value'],
    [{ dtype: 'int64' }, '[[-9223372036854775808, 1]]', null],
    [{ dtype: 'int64' }, '[[1.0, 1]]', 'value'],
    [{ dtype: 'bool' }, '[[true, false]]', null],
    [{ dtype: 'bool' }, '[[1, 0]]', 'value'],
    [{ dtype: 'str' }, '[["a", "b"]]', null],
    [{ dtype: 'float64', shape: [] }, '1.5', null]
  ])('%j takes %s: %s', (spec, text, kind) => {
    expect(problem(spec, text)).toBe(kind);
  });
});

describe('requestOf', () => {
  const { tensors } = typed(
    { kind: 'text', text: '[[1, 2.50], [3, 4]]' },
    { kind: 'text', text: '["a", "b"]' }
  );
  const written = (protocol: string) =>
    writeJSON(
      requestOf(protocol, [matrix, texts], tensors ?? []) ?? readJSON('null')
    );

  it('is an object for each row in v1, and nested lists for one input', () => {
    expect(written('v1')).toBe(
      '{"instances": [{"matrix": [1, 2.50], "texts": "a"}, {"matrix": [3, 4], "texts": "b"}]}'
    );
    const only = requestOf('v1', [matrix], tensors?.slice(0, 1) ?? []);
    expect(only && writeJSON(only)).toBe('{"instances": [[1, 2.50], [3, 4]]}');
  });

  it('is a tensor for each input in v2', () => {
    expect(JSON.parse(written('v2'))).toEqual({
      inputs: [
        {
          name: 'matrix',
          shape: [2, 2],
          datatype: 'FP32',
          data: [1, 2.5, 3, 4]
        },
        { name: 'texts', shape: [2], datatype: 'BYTES', data: ['a', 'b'] }
      ]
    });
  });

  it('is none in v1 for different numbers of rows', () => {
    const uneven = typed(
      { kind: 'text', text: '[[1, 2], [3, 4]]' },
      { kind: 'fields', texts: ['a'] }
    ).tensors;
    expect(requestOf('v1', [matrix, texts], uneven ?? [])).toBeNull();
    expect(requestOf('v2', [matrix, texts], uneven ?? [])).not.toBeNull();
  });

  it.each(['v1', 'v2'])('is read back as it was, by %s', protocol => {
    expect(valuesOf(protocol, [matrix, texts], written(protocol))).toEqual([
      { kind: 'text', text: '[[1, 2.50], [3, 4]]' },
      { kind: 'text', text: '["a", "b"]' }
    ]);
    expect(valuesOf(protocol, [matrix], written(protocol))).toBeNull();
    expect(valuesOf(protocol, [matrix, texts], '{"id": 1}')).toBeNull();
    expect(valuesOf(protocol, [matrix, texts], '{')).toBeNull();
  });
});

describe('outputsOf', () => {
  const told = (answer: object, specs: TensorSpec[] = []) =>
    outputsOf(JSON.stringify(answer), specs)?.map(({ name, dtype, tensor }) => [
      name,
      dtype,
      tensor.shape,
      tensor.values
    ]);

  it('reads v2', () => {
    expect(
      told({
        outputs: [
          { name: 'a', datatype: 'FP32', shape: [1, 2], data: [1.5, 2] },
          { name: 'b', datatype: 'BYTES', shape: [1], data: ['x'] }
        ]
      })
    ).toEqual([
      ['a', 'FP32', [1, 2], ['1.5', '2']],
      ['b', 'BYTES', [1], ['"x"']]
    ]);
  });

  it('reads v1, with the dtypes of the record', () => {
    const scores = { name: 'scores', dtype: 'float32', shape: [-1] };
    expect(told({ predictions: [[1, 2]] }, [scores])).toEqual([
      ['scores', 'float32', [1, 2], ['1', '2']]
    ]);
    expect(told({ predictions: [{ scores: 1, why: 'x' }] }, [scores])).toEqual([
      ['scores', 'float32', [1], ['1']],
      ['why', '', [1], ['"x"']]
    ]);
  });

  it.each([
    { error: 'no' },
    { outputs: [{ name: 'a' }] },
    { outputs: [{ name: 'a', datatype: 'FP32', shape: [3], data: [1] }] },
    { predictions: [[1], [2, 3]] },
    { predictions: [{ a: 1 }, { b: 1 }] }
  ])('leaves %j as it is', answer => {
    expect(told(answer)).toBeUndefined();
  });
});

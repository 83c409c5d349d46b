import { makeSignature } from '../../__tests__/fixtures';
import type { JSONValue } from '../../api/types';
import {
  asText,
  fieldsOf,
  MOST_FIELDS,
  parseJSON,
  predictionsOf,
  rawRequest,
  rowOf,
  rowOfSample,
  sampleTexts
} from '../form';

const columns = [
  { name: 'age', dtype: 'int64' },
  { name: 'income', dtype: 'float32' },
  { name: 'member', dtype: 'bool' },
  { name: 'city', dtype: 'object' }
];

describe('fieldsOf', () => {
  it('makes one field of each column, of its kind', () => {
    const fields = fieldsOf(makeSignature({ columns }));
    expect(fields?.map(f => [f.label, f.kind])).toEqual([
      ['age', 'integer'],
      ['income', 'number'],
      ['member', 'boolean'],
      ['city', 'text']
    ]);
  });

  it('numbers the features that have no names', () => {
    const fields = fieldsOf(makeSignature({ input_size: ['batch_size', 3] }));
    expect(fields?.map(f => f.label)).toEqual(['1', '2', '3']);
  });

  it.each<[string, (string | number)[]]>([
    ['no known width', ['batch_size']],
    ['a symbolic width', ['batch_size', 'n']],
    ['an image', ['batch_size', 28, 28]],
    ['many features', ['batch_size', MOST_FIELDS + 1]]
  ])('leaves %s to JSON', (_, input_size) => {
    expect(fieldsOf(makeSignature({ input_size }))).toBeNull();
  });

  it('has nothing to go by without a signature', () => {
    expect(fieldsOf(null)).toBeNull();
  });
});

describe('the sample', () => {
  it.each<[string, JSONValue, JSONValue]>([
    ['a row', [1, 2], [1, 2]],
    ['a batch of one row', [[1, 2]], [1, 2]],
    ['an object', { a: 1 }, { a: 1 }],
    ['a batch of one object', [{ a: 1 }], { a: 1 }],
    ['nothing', null, null]
  ])('is one row, given as %s', (_, sample, row) => {
    expect(rowOfSample(makeSignature({ sample }))).toEqual(row);
  });

  it('is one image, not its first line', () => {
    const input_size = ['batch_size', 1, 2];
    const sample = [[1, 2]];
    expect(rowOfSample(makeSignature({ input_size, sample }))).toEqual(sample);
  });

  it('fills the fields, by name or by place', () => {
    const signature = makeSignature({
      columns,
      sample: { age: 40, income: 1.5, member: true, city: 'Ulm' }
    });
    const fields = fieldsOf(signature) ?? [];
    expect(sampleTexts(signature, fields)).toEqual(['40', '1.5', 'true', 'Ulm']);
    const listed = makeSignature({ sample: [1, 2.5] });
    expect(sampleTexts(listed, fieldsOf(listed) ?? [])).toEqual(['1', '2.5']);
    const none = makeSignature();
    expect(sampleTexts(none, fieldsOf(none) ?? [])).toEqual(['', '']);
  });
});

describe('rowOf', () => {
  it('has the form of the sample', () => {
    const named = makeSignature({ columns: columns.slice(0, 2) });
    const fields = fieldsOf(named) ?? [];
    expect(rowOf(named, fields, ['1', '2.5']).row).toEqual({
      age: 1,
      income: 2.5
    });
    const listed = { ...named, sample: [1, 2] };
    expect(rowOf(listed, fields, ['1', '2.5']).row).toEqual([1, 2.5]);
  });

  it('takes texts as they are, and reads booleans', () => {
    const signature = makeSignature({ columns: columns.slice(2) });
    const fields = fieldsOf(signature) ?? [];
    expect(rowOf(signature, fields, ['false', '12']).row).toEqual({
      member: false,
      city: '12'
    });
  });

  it('sends an empty number as missing', () => {
    const signature = makeSignature();
    const fields = fieldsOf(signature) ?? [];
    expect(rowOf(signature, fields, ['', ' 7 ']).row).toEqual([null, 7]);
  });

  it('says which field is wrong, and how', () => {
    const signature = makeSignature({ columns: columns.slice(0, 2) });
    const fields = fieldsOf(signature) ?? [];
    expect(rowOf(signature, fields, ['1.5', 'x']).wrong).toEqual([
      'integer',
      'number'
    ]);
    expect(rowOf(signature, fields, ['Infinity', '1']).wrong).toEqual([
      'number',
      null
    ]);
  });
});

describe('rawRequest', () => {
  it('is instances in v1', () => {
    expect(rawRequest('v1', makeSignature(), [1, 2])).toEqual({
      instances: [[1, 2]]
    });
    expect(rawRequest('v1', null, null)).toEqual({ instances: [] });
  });

  it('is a tensor with its shape and datatype in v2', () => {
    const signature = makeSignature({ input_dtype: 'float32' });
    expect(rawRequest('v2', signature, [1, 2])).toEqual({
      inputs: [
        { name: 'input-0', shape: [1, 2], datatype: 'FP32', data: [1, 2] }
      ]
    });
  });
});

describe('predictionsOf', () => {
  it.each<[string, JSONValue, JSONValue]>([
    ['v1', { predictions: [1, 2] }, [1, 2]],
    ['v2', { outputs: [{ data: [3] }] }, [3]],
    ['v2 with two outputs', { outputs: [{ data: [3] }, { data: [4] }] }, null],
    ['something else', 'text', null]
  ])('finds those of %s', (_, answer, found) => {
    expect(predictionsOf(answer)).toEqual(found);
  });
});

describe('parseJSON', () => {
  it('gives the value, or the complaint', () => {
    expect(parseJSON('[1]').value).toEqual([1]);
    expect(parseJSON('[1').problem).toMatch(/JSON/);
  });
});

describe('asText', () => {
  it('writes many numbers on few lines, and they stay what they were', () => {
    const row = Array.from({ length: 25 }, (_, index) => index / 8);
    const text = asText(row);
    expect(JSON.parse(text)).toEqual(row);
    expect(text.split('\n')).toHaveLength(5);
    expect(asText([1, 2])).toBe('[1,2]');
  });
});

import { makeSignature } from '../../__tests__/fixtures';
import type { Signature } from '../../api/types';
import { rawRequest, rowOfRequest } from '../body';
import { fieldsOf, rowOf, textsOf } from '../form';
import { readJSON, writeJSON } from '../text';

const columns = [
  { name: 'age', dtype: 'int64' },
  { name: 'city', dtype: 'object' }
];

describe('rawRequest', () => {
  const written = (
    protocol: string,
    signature: Signature | null,
    row: string | null
  ) => writeJSON(rawRequest(protocol, signature, row ? readJSON(row) : null));

  it('is instances in v1, whose numbers stay as they are', () => {
    expect(written('v1', makeSignature(), '[1.0, 12345678901234567890]')).toBe(
      '{"instances": [[1.0, 12345678901234567890]]}'
    );
    expect(written('v1', null, null)).toBe('{"instances": []}');
    expect(written('v1', makeSignature({ sample: [1, 2] }), null)).toBe(
      '{"instances": [[1, 2]]}'
    );
  });

  it('is a tensor with its shape and datatype in v2', () => {
    const signature = makeSignature({ input_dtype: 'float32' });
    expect(written('v2', signature, '[1, 2]')).toBe(
      '{"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}'
    );
  });

  it('is a tensor of each column in v2', () => {
    const signature = makeSignature({ columns });
    expect(written('v2', signature, '{"age": 1, "city": "Ulm"}')).toBe(
      '{"parameters": {"content_type": "pd"}, "inputs": [' +
        '{"name": "age", "shape": [1], "datatype": "INT64", "data": [1]}, ' +
        '{"name": "city", "shape": [1], "datatype": "BYTES", "data": ["Ulm"]}]}'
    );
  });
});

describe('rowOfRequest', () => {
  const found = (protocol: string, text: string) => {
    const row = rowOfRequest(protocol, text);
    return row && writeJSON(row);
  };

  it.each(['v1', 'v2'])(
    'is the row that a request was made of in %s',
    protocol => {
      for (const row of ['[1.0, 2]', '{"age": null, "city": "Ulm"}']) {
        const signature = makeSignature({
          columns: row[0] === '{' ? columns : []
        });
        const request = rawRequest(protocol, signature, readJSON(row));
        expect(found(protocol, writeJSON(request))).toBe(row);
      }
    }
  );

  it.each([
    ['v1', '{"instances": [[1], [2]]}'],
    ['v1', '{"instances": [[1]], "parameters": {}}'],
    ['v1', '[[1]]'],
    ['v1', '{"instances": '],
    ['v2', '{"inputs": [{"name": "a", "shape": [2, 1], "data": [1, 2]}]}'],
    ['v2', '{"inputs": [{"name": "a", "shape": [1, 1, 1], "data": [1]}]}'],
    ['v2', '{"inputs": []}'],
    ['v2', '{"parameters": {}, "inputs": [{"name": "a", "data": [1, 2]}]}']
  ])('is none of %s %s', (protocol, text) => {
    expect(found(protocol, text)).toBeNull();
  });
});

describe('textsOf', () => {
  const signature = makeSignature({
    columns: [
      ...columns,
      {
        name: 'size',
        dtype: 'category',
        categories: ['S', 'M'],
        missing: 'nan'
      },
      { name: 'share', dtype: 'float64' },
      { name: 'member', dtype: 'bool' }
    ]
  });
  const fields = fieldsOf(signature) ?? [];

  it('are those that make the same row', () => {
    for (const row of [
      '{"age": 12345678901234567890, "city": "", "size": "M", "share": 1.0, "member": true}',
      '{"age": null, "city": null, "size": null, "share": 1e400, "member": false}'
    ]) {
      const texts = textsOf(fields, readJSON(row));
      const made = rowOf(signature, fields, texts ?? []);
      expect(made.row && writeJSON(made.row)).toBe(row);
    }
  });

  it.each([
    '{"age": 1, "city": "Ulm", "size": "M", "share": 1}',
    '{"age": 1, "city": "Ulm", "size": "M", "share": 1, "member": true, "x": 1}',
    '{"age": 1, "city": "Ulm", "size": "XL", "share": 1, "member": true}',
    '{"age": 1.5, "city": "Ulm", "size": "M", "share": 1, "member": true}',
    '{"age": 1, "city": 7, "size": "M", "share": 1, "member": true}',
    '{"age": 1, "city": ["Ulm"], "size": "M", "share": 1, "member": true}',
    '{"age": 1, "city": "Ulm", "size": "M", "share": 1, "member": null}',
    '[1, "Ulm", "M", 1]',
    'true'
  ])('are none for %s', row => {
    expect(textsOf(fields, readJSON(row))).toBeNull();
  });
});

import { makeSignature } from '../../__tests__/fixtures';
import type { JSONValue, Signature } from '../../api/types';
import type { FieldText } from '../form';
import {
  asText,
  fieldsOf,
  MOST_FIELDS,
  predictionsOf,
  problemOf,
  rowOf,
  rowOfSample,
  sampleTexts
} from '../form';
import { readJSON, shown, writeJSON } from '../text';

type Column = Signature['columns'][number];

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
    expect(sampleTexts(signature, fields)).toEqual([
      '40',
      '1.5',
      'true',
      'Ulm'
    ]);
    const listed = makeSignature({ sample: [1, 2.5] });
    expect(sampleTexts(listed, fieldsOf(listed) ?? [])).toEqual(['1', '2.5']);
    const none = makeSignature();
    expect(sampleTexts(none, fieldsOf(none) ?? [])).toEqual(['', '']);
  });
});

/**
 * The row that the fields make, as it is sent.
 */
function sent(
  signature: Signature,
  texts: readonly FieldText[]
): string | (string | null)[] {
  const made = rowOf(signature, fieldsOf(signature) ?? [], texts);
  return made.wrong ?? writeJSON(made.row);
}

describe('rowOf', () => {
  it('has the form of the sample', () => {
    const named = makeSignature({ columns: columns.slice(0, 2) });
    expect(sent(named, ['1', '2.5'])).toBe('{"age": 1, "income": 2.5}');
    expect(sent({ ...named, sample: [1, 2] }, ['1', '2.5'])).toBe('[1, 2.5]');
  });

  it('takes texts as they are, and reads booleans', () => {
    const signature = makeSignature({ columns: columns.slice(2) });
    expect(sent(signature, ['false', '12'])).toBe(
      '{"member": false, "city": "12"}'
    );
  });

  it('sends an empty number as missing', () => {
    expect(sent(makeSignature(), ['', ' 7 '])).toBe('[null, 7]');
  });

  it.each([
    ['1.0', '1.0'],
    ['0.10000000000000000001', '0.10000000000000000001'],
    ['-1E400', '-1E400'],
    ['+1', '1'],
    ['.5', '0.5'],
    ['-5.', '-5'],
    ['007.50', '7.50'],
    ['1_000', 'number'],
    ['0x10', 'number'],
    ['Infinity', 'number'],
    ['.', 'number'],
    ['1 2', 'number']
  ])('does not round the number %s', (text, expected) => {
    const signature = makeSignature({ input_size: ['batch_size', 1] });
    expect(sent(signature, [text])).toEqual(
      expected === 'number' ? ['number'] : `[${expected}]`
    );
  });

  it.each([
    ['12345678901234567890', '12345678901234567890'],
    ['-0', '-0'],
    ['1e3', '1000'],
    ['5.0', '5'],
    ['1.5', 'integer'],
    ['1e30', 'integer'],
    ['x', 'number']
  ])('does not round the whole number %s', (text, expected) => {
    const signature = makeSignature({ columns: columns.slice(0, 1) });
    expect(sent(signature, [text])).toEqual(
      /[a-z]/.test(expected) ? [expected] : `{"age": ${expected}}`
    );
  });

  it('says which field is wrong, and how', () => {
    const signature = makeSignature({ columns: columns.slice(0, 2) });
    expect(sent(signature, ['1.5', 'x'])).toEqual(['integer', 'number']);
    expect(sent(signature, ['Infinity', '1'])).toEqual(['number', null]);
  });

  it('tells a missing text from an empty one, and what else is missing', () => {
    const signature = makeSignature({
      columns: [
        { name: 'city', dtype: 'str', missing: 'nan' },
        { name: 'member', dtype: 'boolean', missing: 'na' },
        { name: 'born', dtype: 'datetime64[ns]', missing: 'nat' },
        {
          name: 'size',
          dtype: 'category',
          categories: ['S', 2],
          missing: 'nan'
        }
      ]
    });
    expect(sent(signature, [null, '', '', ''])).toBe(
      '{"city": null, "member": null, "born": null, "size": null}'
    );
    expect(sent(signature, ['', 'true', '2026-05-31', '2'])).toBe(
      '{"city": "", "member": true, "born": "2026-05-31", "size": 2}'
    );
  });

  it('takes the first category where none is chosen and none can be missing', () => {
    const signature = makeSignature({
      columns: [{ name: 'size', dtype: 'category', categories: ['S', 'M'] }]
    });
    expect(sent(signature, [''])).toBe('{"size": "S"}');
    expect(sent(signature, ['"M"'])).toBe('{"size": "M"}');
  });
});

describe('the kind of a field', () => {
  it.each<[Partial<Column>, JSONValue, string]>([
    [{ dtype: 'Int64' }, null, 'integer'],
    [{ dtype: 'UInt8' }, null, 'integer'],
    [{ dtype: 'Float64' }, null, 'number'],
    [{ dtype: 'boolean' }, null, 'boolean'],
    [{ dtype: 'str' }, null, 'text'],
    [{ dtype: 'datetime64[ns, UTC]' }, null, 'date'],
    [{ dtype: 'Date' }, null, 'date'],
    [{ dtype: 'object', values: 'date' }, null, 'date'],
    [{ dtype: 'object', values: 'decimal' }, null, 'number'],
    [{ dtype: 'object', values: 'bool' }, null, 'boolean'],
    [{ dtype: 'object' }, 5, 'number'],
    [{ dtype: 'object' }, '5', 'text'],
    [{ dtype: 'category', categories: [1, 2] }, null, 'category'],
    [{ dtype: 'category', category_dtype: 'int64' }, null, 'integer'],
    [{ dtype: 'timedelta64[ns]' }, null, 'text']
  ])('goes by %j', (column, value, kind) => {
    const columns = [{ name: 'a', ...column }];
    const signature = makeSignature({ columns, sample: { a: value } });
    expect(fieldsOf(signature)?.[0].kind).toBe(kind);
  });

  it('takes the sample along, a category as JSON', () => {
    const columns = [
      { name: 'a', dtype: 'category', categories: ['x', 'y'] },
      { name: 'b', dtype: 'category', categories: ['x', 'y'] },
      { name: 'c', dtype: 'str', missing: 'none' }
    ];
    const sample = { a: 'y', b: 'other', c: null };
    const signature = makeSignature({ columns, sample });
    expect(sampleTexts(signature, fieldsOf(signature) ?? [])).toEqual([
      '"y"',
      '',
      null
    ]);
  });
});

describe('predictionsOf', () => {
  it.each<[string, string, string[] | null]>([
    ['v1', '{"predictions": [1.0, "a"]}', ['1.0', 'a']],
    ['v1, big', '{"predictions": [1e400]}', ['1e400']],
    ['v2', '{"outputs": [{"data": [3]}]}', ['3']],
    [
      'v2 with two outputs',
      '{"outputs": [{"data": [3]}, {"data": [4]}]}',
      null
    ],
    ['something else', '"text"', null],
    ['no JSON', '<html>', null]
  ])('finds those of %s', (_, answer, found) => {
    expect(predictionsOf(answer)?.map(shown) ?? null).toEqual(found);
  });
});

describe('asText', () => {
  it('keeps what is short on one line', () => {
    expect(asText(readJSON('[5.1,  3.5]'))).toBe('[5.1, 3.5]');
  });

  it('breaks what is long, many numbers to a line', () => {
    const numbers = Array.from({ length: 40 }, (_, index) => index);
    const lines = asText(readJSON(JSON.stringify(numbers))).split('\n');
    expect(lines.length).toBeLessThan(8);
    expect(JSON.parse(lines.join(''))).toEqual(numbers);
  });
});

describe('problemOf', () => {
  it('passes the parser’s complaint on', () => {
    expect(problemOf('[1e400]')).toBeNull();
    expect(problemOf('[1')).toMatch(/JSON/);
  });
});

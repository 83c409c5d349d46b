import { nullTranslator } from '@jupyterlab/translation';
import { readCsv } from '../csv';
import { layoutOf, lossesOf, tensorOfPixels } from '../image';
import { FileError, readNpy } from '../npy';
import { changeWords } from '../words';

/**
 * A file as numpy.save writes it.
 */
function npy(
  header: string,
  data: ArrayBuffer | ArrayLike<number>,
  version = 1
): ArrayBuffer {
  const text = new TextEncoder().encode(`${header}\n`);
  const start = version < 2 ? 10 : 12;
  const bytes = new Uint8Array(data);
  const file = new Uint8Array(start + text.length + bytes.length);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), version, 0]);
  const view = new DataView(file.buffer);
  if (version < 2) {
    view.setUint16(8, text.length, true);
  } else {
    view.setUint32(8, text.length, true);
  }
  file.set(text, start);
  file.set(bytes, start + text.length);
  return file.buffer;
}

const header = (descr: string, shape: string, fortran = false) =>
  `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }`;

function kindOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return error instanceof FileError ? error.kind : String(error);
  }
  return '';
}

describe('readNpy', () => {
  it.each<[string, ArrayBuffer | number[], string[]]>([
    ['|b1', [1, 0], ['true', 'false']],
    ['|i1', [255, 1], ['-1', '1']],
    ['<u2', [1, 0, 255, 255], ['1', '65535']],
    ['>i4', [0, 0, 1, 0, 255, 255, 255, 255], ['256', '-1']],
    [
      '<i8',
      new BigInt64Array([9007199254740993n, -1n]).buffer,
      ['9007199254740993', '-1']
    ],
    [
      '<u8',
      new BigUint64Array([18446744073709551615n, 0n]).buffer,
      ['18446744073709551615', '0']
    ],
    ['<f2', [0, 0x3e, 1, 0], ['1.5', '5.960464477539063e-8']],
    [
      '<f4',
      new Float32Array([0.1, -0]).buffer,
      ['0.10000000149011612', '-0.0']
    ],
    ['<f8', new Float64Array([0.1, 1e300]).buffer, ['0.1', '1e+300']],
    [
      '<U2',
      new Uint32Array([0xe4, 0, 0x1f600, 0x22]).buffer,
      ['"ä"', '"😀\\""']
    ],
    ['|S2', [97, 0, 97, 98], ['"a"', '"ab"']]
  ])('reads %s', (descr, data, values) => {
    expect(readNpy(npy(header(descr, '(2,)'), data))).toEqual({
      shape: [2],
      values
    });
  });

  it('turns the order of Fortran into the usual one', () => {
    // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]])
    const file = npy(header('|u1', '(2, 3)', true), [1, 4, 2, 5, 3, 6]);
    expect(readNpy(file)).toEqual({
      shape: [2, 3],
      values: ['1', '2', '3', '4', '5', '6']
    });
  });

  it('reads later versions, and arrays without dimensions or values', () => {
    expect(readNpy(npy(header('|u1', '()'), [7], 2))).toEqual({
      shape: [],
      values: ['7']
    });
    expect(readNpy(npy(header('<f4', '(0, 3)'), [], 3))).toEqual({
      shape: [0, 3],
      values: []
    });
  });

  it.each<[string, ArrayBuffer, string]>([
    ['objects', npy(header('|O', '(1,)'), [1]), 'objects'],
    [
      'records',
      npy("{'descr': [('a', '<f4')], 'shape': (1,), }", [0, 0, 0, 0]),
      'dtype'
    ],
    ['complex numbers', npy(header('<c8', '(1,)'), Array(8).fill(0)), 'dtype'],
    ['another file', new TextEncoder().encode('PK123456789').buffer, 'not-npy'],
    ['an empty file', new ArrayBuffer(0), 'not-npy'],
    ['a file that is cut off', npy(header('<f8', '(2,)'), [0]), 'cut-off'],
    ['too many values', npy(header('|u1', '(1000, 1001)'), []), 'too-many'],
    [
      'what is no number',
      npy(header('<f4', '(1,)'), new Float32Array([NaN]).buffer),
      'infinite'
    ]
  ])('refuses %s', (_, file, kind) => {
    expect(kindOf(() => readNpy(file))).toBe(kind);
  });
});

describe('readCsv', () => {
  it('reads numbers, whole ones with every digit, without the names above them', () => {
    expect(
      readCsv('a,b\n1.50,9007199254740993\r\n-2e3,0\n', 'float32')
    ).toEqual({
      shape: [2, 2],
      values: ['1.5', '9007199254740993', '-2000', '0']
    });
  });

  it('reads texts as they are, with commas and quotes in quotes', () => {
    expect(readCsv('x,"a, ""b"""\n1,\n', 'str')).toEqual({
      shape: [2, 2],
      values: ['"x"', '"a, \\"b\\""', '"1"', '""']
    });
  });

  it('keeps every digit of numbers with a plus sign or leading zeros', () => {
    expect(readCsv('+9007199254740993,-007\n00,-0\n', 'int64').values).toEqual([
      '9007199254740993',
      '-7',
      '0',
      '-0'
    ]);
  });

  it.each([
    ['1,2\n3\n', 'csv-columns', '2'],
    ['a,b\n1,2\n3,4,5\n', 'csv-columns', '3'],
    ['"a\nb",1\n2\n', 'csv-columns', '3'],
    ['', 'empty-csv', ''],
    [' \n\n', 'empty-csv', ''],
    ['1,2\n"3,4\n', 'csv-quotes', '2'],
    ['"a\nb",1\n2,3"4\n', 'csv-quotes', '3'],
    ['"1"2,3\n', 'csv-quotes', '1']
  ])('tells what is wrong with %j, and in which line', (text, kind, line) => {
    let told: unknown = null;
    try {
      readCsv(text, 'str');
    } catch (error) {
      told = error;
    }
    expect(told).toEqual(new FileError(kind as FileError['kind'], line));
    expect(told).toMatchObject({ kind, detail: line });
  });
});

describe('an image', () => {
  const layout = (shape: (string | number)[], dtype = 'uint8') =>
    layoutOf({ name: 'image', dtype, shape });

  it('lies as the shape says', () => {
    expect(layout([-1, 224, 200, 3])).toEqual({
      channels: 3,
      place: 'last',
      height: 224,
      width: 200
    });
    expect(layout(['N', 1, 'h', 'w'], 'float32')).toEqual({
      channels: 1,
      place: 'first',
      height: null,
      width: null
    });
    expect(layout([-1, 28, 28])?.place).toBe('none');
    expect(layout([3, 28, 28])?.place).toBe('first');
  });

  it('is nothing for other inputs, and where colours could be either side', () => {
    expect(layout([-1, 3, 224, 3])).toBeNull();
    expect(layout([-1, -1, -1])).toBeNull();
    expect(layout([-1, 8])).toBeNull();
    expect(layout([-1, 224, 224, 3], 'int64')).toBeNull();
  });

  it.each<[string, number[], number[], (string | number)[], string]>([
    ['nothing', [1, 2, 3, 255], [8, 8], [-1, 8, 8, 3], ''],
    ['grey', [1, 2, 3, 255], [8, 8], [-1, 8, 8, 1], 'Converted to greyscale.'],
    ['grey that it was', [7, 7, 7, 255], [8, 8], [-1, 8, 8], ''],
    [
      'no transparency',
      [1, 2, 3, 255, 1, 2, 3, 254],
      [8, 8],
      [-1, 8, 8, 3],
      'Transparency removed.'
    ],
    ['transparency', [1, 2, 3, 0], [8, 8], [-1, 8, 8, 4], ''],
    [
      'another size',
      [1, 2, 3, 255],
      [17, 33],
      [-1, 16, 8, 3],
      'Scaled from 17×33 to 8×16 pixels.'
    ],
    [
      'another shape',
      [1, 2, 3, 0],
      [640, 480],
      [-1, 1, 224, 224],
      'Scaled from 640×480 to 224×224 pixels. Aspect ratio changed. Converted to greyscale. Transparency removed.'
    ]
  ])('tells of %s', (_, rgba, size, shape, words) => {
    const found = layout(shape);
    if (!found) {
      throw new Error('It is a layout.');
    }
    const [width, height] = size;
    const to = [found.width ?? width, found.height ?? height] as const;
    const changes = {
      from: [width, height] as const,
      to,
      ...lossesOf(rgba, found)
    };
    expect(changeWords(nullTranslator.load(''), changes)).toBe(words);
  });

  it('has its pixels in the order of the layout', () => {
    const rgba = [1, 2, 3, 255, 4, 5, 6, 128];
    const at = (shape: number[]) => {
      const found = layout(shape);
      return found && tensorOfPixels(rgba, 2, 1, found);
    };
    expect(at([-1, 1, 2, 3])).toBeNull();
    expect(at([-1, 5, 2, 3])?.values.join()).toBe('1,2,3,4,5,6');
    expect(at([-1, 3, 5, 2])?.values.join()).toBe('1,4,2,5,3,6');
    expect(at([-1, 5, 2, 4])?.values.join()).toBe('1,2,3,255,4,5,6,128');
    expect(at([-1, 7, 2])).toEqual({ shape: [1, 2], values: ['2', '5'] });
  });
});

import type { ITensor } from './tensor';

/**
 * More values than these make a text that no browser is pleasant with.
 */
export const MOST_VALUES = 1_000_000;

/**
 * Why a file is no array.
 */
export class FileError extends Error {
  constructor(
    readonly kind:
      | 'not-npy'
      | 'objects'
      | 'dtype'
      | 'cut-off'
      | 'too-many'
      | 'infinite'
      | 'empty-csv'
      | 'csv-quotes'
      | 'csv-columns'
      | 'not-image'
      | 'layout',
    readonly detail = ''
  ) {
    super(`${kind} ${detail}`);
  }
}

type Reader = (view: DataView, at: number, isLittle: boolean) => string;

const READERS: Record<string, [size: number, read: Reader]> = {
  b1: [1, (v, at) => (v.getUint8(at) ? 'true' : 'false')],
  i1: [1, (v, at) => String(v.getInt8(at))],
  u1: [1, (v, at) => String(v.getUint8(at))],
  i2: [2, (v, at, little) => String(v.getInt16(at, little))],
  u2: [2, (v, at, little) => String(v.getUint16(at, little))],
  i4: [4, (v, at, little) => String(v.getInt32(at, little))],
  u4: [4, (v, at, little) => String(v.getUint32(at, little))],
  i8: [8, (v, at, little) => String(v.getBigInt64(at, little))],
  u8: [8, (v, at, little) => String(v.getBigUint64(at, little))],
  f2: [2, (v, at, little) => float(half(v.getUint16(at, little)))],
  f4: [4, (v, at, little) => float(v.getFloat32(at, little))],
  f8: [8, (v, at, little) => float(v.getFloat64(at, little))]
};

/**
 * The array of a `.npy` file, of versions 1 to 3, in either byte order and either order of the axes.
 *
 * The form is told in https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @throws FileError where it is none, holds Python's objects, or more values than fit.
 */
export function readNpy(buffer: ArrayBuffer): ITensor {
  const view = new DataView(buffer);
  const magic = '\u0093NUMPY';
  if (
    buffer.byteLength < 10 ||
    [...magic].some((c, i) => view.getUint8(i) !== c.charCodeAt(0))
  ) {
    throw new FileError('not-npy');
  }
  const isOld = view.getUint8(6) < 2;
  const start = isOld ? 10 : 12;
  if (buffer.byteLength < start) {
    throw new FileError('cut-off');
  }
  const end =
    start + (isOld ? view.getUint16(8, true) : view.getUint32(8, true));
  if (end > buffer.byteLength) {
    throw new FileError('cut-off');
  }
  const header = new TextDecoder().decode(buffer.slice(start, end));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const isFortran = /'fortran_order':\s*True/.test(header);
  const dims = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (dims === undefined) {
    throw new FileError('not-npy');
  }
  if (descr === undefined || /^[|<>=]?O/.test(descr)) {
    throw new FileError(descr === undefined ? 'dtype' : 'objects', 'record');
  }
  const shape = dims
    .split(',')
    .map(d => d.trim())
    .filter(Boolean)
    .map(Number);
  const count = shape.reduce((a, b) => a * b, 1);
  if (!(count <= MOST_VALUES)) {
    throw new FileError('too-many', String(count));
  }
  const [size, read] = readerOf(descr);
  if (end + count * size > buffer.byteLength) {
    throw new FileError('cut-off');
  }
  const isLittle = !descr.startsWith('>');
  const values = Array.from({ length: count }, (_, index) =>
    read(view, end + index * size, isLittle)
  );
  return { shape, values: isFortran ? rowMajor(shape, values) : values };
}

function readerOf(descr: string): [number, Reader] {
  const kind = descr.replace(/^[|<>=]/, '');
  const text = /^([US])(\d+)$/.exec(kind);
  if (text) {
    const length = Number(text[2]);
    return text[1] === 'U'
      ? [4 * length, (v, at, little) => unicode(v, at, length, little)]
      : [length, (v, at) => bytes(v, at, length)];
  }
  const found = READERS[kind];
  if (!found) {
    throw new FileError('dtype', descr);
  }
  return found;
}

/**
 * Values whose first axis varies fastest, in the usual order.
 */
function rowMajor(shape: readonly number[], values: string[]): string[] {
  const steps = shape.map((_, axis) =>
    shape.slice(0, axis).reduce((a, b) => a * b, 1)
  );
  return values.map((_, index) => {
    let rest = index;
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]) * steps[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return values[at];
  });
}

/**
 * A float as JSON, which has no other than finite ones.
 */
function float(value: number): string {
  if (!Number.isFinite(value)) {
    throw new FileError('infinite', String(value));
  }
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) {
    return fraction ? NaN : sign * Infinity;
  }
  return exponent
    ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
    : sign * 2 ** -14 * (fraction / 1024);
}

function unicode(
  view: DataView,
  at: number,
  length: number,
  isLittle: boolean
): string {
  let text = '';
  for (let index = 0; index < length; index++) {
    const point = view.getUint32(at + 4 * index, isLittle);
    text += point > 0x10ffff ? '\ufffd' : String.fromCodePoint(point);
  }
  return JSON.stringify(text.replace(/\0+$/, ''));
}

function bytes(view: DataView, at: number, length: number): string {
  const found = new Uint8Array(view.buffer, at, length);
  return JSON.stringify(new TextDecoder().decode(found).replace(/\0+$/, ''));
}

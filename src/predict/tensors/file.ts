import type { TensorSpec } from '../../api/types';
import { readCsv } from './csv';
import type { InputValue } from './form';
import { valueOf } from './form';
import { layoutOf, readImage } from './image';
import type { IChanges } from './image';
import { FileError, readNpy } from './npy';
import { fitted } from './tensor';
import type { ITensor } from './tensor';

/**
 * A file of more bytes than these is better sent from Python.
 */
export const MOST_BYTES = 16 * 2 ** 20;
/**
 * So many values are shown as text, and can be changed there.
 */
const MOST_SHOWN = 200;

/**
 * What the file picker offers for an input.
 */
export function accepted(spec: TensorSpec): string {
  return `.npy,.csv${layoutOf(spec) ? ',image/png,image/jpeg,image/webp,image/bmp,image/gif' : ''}`;
}

/**
 * What a file puts into the form: an array of numpy, a table, or a picture.
 *
 * @param told Says how a picture has been changed; empty where it has not.
 * @throws FileError where it is none of them, or the model takes no pictures.
 */
export async function readFile(
  file: File,
  spec: TensorSpec,
  told: (changes: IChanges) => string
): Promise<InputValue> {
  let tensor: ITensor;
  let note = '';
  if (/\.npy$/i.test(file.name)) {
    tensor = readNpy(await file.arrayBuffer());
  } else if (/\.(csv|txt)$/i.test(file.name) || file.type === 'text/csv') {
    tensor = readCsv(
      new TextDecoder().decode(await file.arrayBuffer()),
      spec.dtype
    );
  } else {
    const layout = layoutOf(spec);
    if (!layout) {
      throw new FileError('layout');
    }
    const read = await readImage(file, layout);
    tensor = read.tensor;
    note = told(read.changes);
  }
  const [rows, width] = tensor.shape;
  if (tensor.shape.length === 2 && width === 1 && spec.shape.length === 1) {
    tensor = { shape: [rows], values: tensor.values };
  }
  const fits = fitted(spec, tensor);
  if (fits.value && !note && tensor.values.length <= MOST_SHOWN) {
    return valueOf(spec, fits.value);
  }
  return { kind: 'file', file: file.name, note, tensor };
}

import type { TranslationBundle } from '@jupyterlab/translation';
import type { TensorSpec } from '../../api/types';
import type { IChanges } from './image';
import { isStretched } from './image';
import { FileError, MOST_VALUES } from './npy';
import { isText, shapeText } from './shape';
import type { TensorProblem } from './tensor';

/**
 * What is wrong with an input, and what it takes.
 */
export function problemWords(
  trans: TranslationBundle,
  spec: TensorSpec,
  problem: TensorProblem
): { message: string; hint?: string } {
  const takes = trans.__(
    'The model takes %1 of shape %2.',
    isText(spec.dtype) ? trans.__('texts') : spec.dtype,
    shapeText(spec.shape)
  );
  switch (problem.kind) {
    case 'json':
      return {
        message: trans.__('This is not valid JSON.'),
        hint: problem.message
      };
    case 'empty':
      return { message: trans.__('There is nothing here yet.'), hint: takes };
    case 'ragged':
      return {
        message: trans.__('The lists are not all of the same length.'),
        hint: takes
      };
    case 'shape':
      return {
        message: trans.__('The shape is %1.', shapeText(problem.shape)),
        hint: takes
      };
    case 'value':
      return {
        message: trans.__(
          '%1 is not a value of this input.',
          problem.value.slice(0, 40)
        ),
        hint: takes
      };
  }
}

/**
 * How a picture has been changed to be what the model takes; empty where it has not.
 */
export function changeWords(
  trans: TranslationBundle,
  changes: IChanges
): string {
  const { from, to, isGreyed, isMadeOpaque } = changes;
  const words: string[] = [];
  if (from.join() !== to.join()) {
    words.push(
      trans.__('Scaled from %1 to %2 pixels.', from.join('×'), to.join('×'))
    );
  }
  if (isStretched(changes)) {
    words.push(trans.__('Aspect ratio changed.'));
  }
  if (isGreyed) {
    words.push(trans.__('Converted to greyscale.'));
  }
  if (isMadeOpaque) {
    words.push(trans.__('Transparency removed.'));
  }
  return words.join(' ');
}

/**
 * Why a file was not read, and what to do about it.
 */
export function fileWords(
  trans: TranslationBundle,
  name: string,
  error: unknown
): { message: string; hint?: string } {
  if (!(error instanceof FileError)) {
    const told = error instanceof Error ? error.message : String(error);
    return { message: trans.__('%1 could not be read: %2', name, told) };
  }
  switch (error.kind) {
    case 'not-npy':
      return { message: trans.__('%1 is not a NumPy (.npy) file.', name) };
    case 'objects':
      return {
        message: trans.__('%1 holds Python objects, which are not read.', name),
        hint: trans.__(
          'Save numbers or texts: numpy.save(file, array.astype("float32")).'
        )
      };
    case 'dtype':
      return {
        message: trans.__('%1 holds values of a kind that is not read.', name),
        hint: trans.__('Save numbers, booleans or texts.')
      };
    case 'cut-off':
      return { message: trans.__('%1 is truncated.', name) };
    case 'too-many':
      return {
        message: trans.__(
          '%1 holds %2 values; the form can send at most %3.',
          name,
          error.detail,
          MOST_VALUES
        ),
        hint: trans.__('Send it from Python instead.')
      };
    case 'infinite':
      return {
        message: trans.__(
          '%1 holds %2, which JSON cannot represent.',
          name,
          error.detail
        ),
        hint: trans.__('Send it from Python by protocol v2-binary or grpc-v2.')
      };
    case 'empty-csv':
      return { message: trans.__('%1 is empty.', name) };
    case 'csv-quotes':
      return {
        message: trans.__(
          '%1 is not a CSV file: line %2 has a misplaced quotation mark.',
          name,
          error.detail
        )
      };
    case 'csv-columns':
      return {
        message: trans.__(
          '%1 is not a table: line %2 has a different number of columns.',
          name,
          error.detail
        )
      };
    case 'not-image':
      return { message: trans.__('%1 is not an image.', name) };
    case 'layout':
      return {
        message: trans.__(
          '%1 is not read: the input’s shape is not that of an image.',
          name
        ),
        hint: trans.__('Save it as an array of that shape with numpy.save.')
      };
  }
}

import type { TensorSpec } from '../../api/types';
import { FileError, MOST_VALUES } from './npy';
import { isAny } from './shape';
import type { ITensor } from './tensor';

/**
 * How an image lies in a tensor.
 */
export interface ILayout {
  /**
   * 1 for grey, 3 for colours, 4 with transparency.
   */
  channels: 1 | 3 | 4;
  /**
   * Where the channels are; `none` where a grey image has no dimension for them.
   */
  place: 'first' | 'last' | 'none';
  /**
   * Null where any size will do.
   */
  height: number | null;
  width: number | null;
}

/**
 * How one image lies in the model's input; null where that takes no image, or does not say where the colours are.
 */
export function layoutOf({ dtype, shape }: TensorSpec): ILayout | null {
  const rank = shape.length;
  if ((rank !== 3 && rank !== 4) || !/^(uint8|float\d+)$/.test(dtype)) {
    return null;
  }
  // Counted from the last dimension.
  const at = (axis: number) => shape[rank + axis];
  const size = (axis: number) => {
    const found = at(axis);
    return typeof found === 'number' && !isAny(found) ? found : null;
  };
  const [last, first] = [channelsOf(at(-1)), channelsOf(at(-3))];
  if (last && !first) {
    return { channels: last, place: 'last', height: size(-3), width: size(-2) };
  }
  const [height, width] = [size(-2), size(-1)];
  if (first && !last) {
    return { channels: first, place: 'first', height, width };
  }
  return rank === 3 && !last && height && width
    ? { channels: 1, place: 'none', height, width }
    : null;
}

function channelsOf(size: string | number | undefined): 1 | 3 | 4 | null {
  return size === 1 || size === 3 || size === 4 ? size : null;
}

/**
 * An image's pixels as the model takes them, 0 to 255, without a batch.
 *
 * @param rgba The pixels as a canvas tells them.
 */
export function tensorOfPixels(
  rgba: ArrayLike<number>,
  width: number,
  height: number,
  layout: ILayout
): ITensor {
  const { channels, place } = layout;
  const count = width * height;
  const at = (pixel: number, channel: number) => {
    if (channels > 1) {
      return rgba[4 * pixel + channel];
    }
    const [r, g, b] = [0, 1, 2].map(c => rgba[4 * pixel + c]);
    // The weights of ITU-R 601-2, by which PIL makes grey too.
    return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  };
  const values = Array.from({ length: count * channels }, (_, index) =>
    String(
      place === 'first'
        ? at(index % count, Math.floor(index / count))
        : at(Math.floor(index / channels), index % channels)
    )
  );
  const shape = {
    first: [channels, height, width],
    last: [height, width, channels],
    none: [height, width]
  }[place];
  return { shape, values };
}

/**
 * What a picture has lost or gained on its way into a tensor.
 */
export interface IChanges {
  /**
   * The sizes before and after, width first.
   */
  from: readonly [width: number, height: number];
  to: readonly [width: number, height: number];
  /**
   * Whether colours have become grey.
   */
  isGreyed: boolean;
  /**
   * Whether it was transparent somewhere, and no longer is.
   */
  isMadeOpaque: boolean;
}

/**
 * Whether width and height are scaled differently, by more than what whole pixels make of it.
 */
export function isStretched({ from, to }: IChanges): boolean {
  return Math.abs((from[1] * to[0]) / from[0] - to[1]) >= 1;
}

/**
 * What a layout leaves out of these pixels.
 *
 * @param rgba The pixels as a canvas tells them.
 */
export function lossesOf(
  rgba: ArrayLike<number>,
  { channels }: ILayout
): Pick<IChanges, 'isGreyed' | 'isMadeOpaque'> {
  let [isGreyed, isMadeOpaque] = [false, false];
  for (let at = 0; at < rgba.length; at += 4) {
    isGreyed ||= rgba[at] !== rgba[at + 1] || rgba[at] !== rgba[at + 2];
    isMadeOpaque ||= rgba[at + 3] !== 255;
  }
  return {
    isGreyed: isGreyed && channels === 1,
    isMadeOpaque: isMadeOpaque && channels !== 4
  };
}

/**
 * A picture of any kind that the browser knows, upright as its EXIF says, drawn at the size that the model takes.
 *
 * @throws FileError where it is no picture, or has more pixels than fit.
 */
export async function readImage(
  file: Blob,
  layout: ILayout
): Promise<{ tensor: ITensor; changes: IChanges }> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      colorSpaceConversion: 'none',
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none'
    });
  } catch (error) {
    throw new FileError(
      'not-image',
      error instanceof Error ? error.message : String(error)
    );
  }
  try {
    const from: [number, number] = [bitmap.width, bitmap.height];
    const width = layout.width ?? bitmap.width;
    const height = layout.height ?? bitmap.height;
    if (width * height * layout.channels > MOST_VALUES) {
      throw new FileError('too-many', String(width * height * layout.channels));
    }
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) {
      throw new FileError('not-image');
    }
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return {
      tensor: tensorOfPixels(data, width, height, layout),
      changes: { from, to: [width, height], ...lossesOf(data, layout) }
    };
  } finally {
    bitmap.close();
  }
}

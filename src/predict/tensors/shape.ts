/**
 * Whether a dimension may have any size.
 */
export function isAny(size: string | number | undefined): boolean {
  return typeof size === 'string' || size === -1;
}

/**
 * A shape as people write it; what may be any is a question mark, or its name.
 */
export function shapeText(shape: readonly (string | number)[]): string {
  return `[${shape.map(size => (size === -1 ? '?' : size)).join(', ')}]`;
}

export function isText(dtype: string): boolean {
  return ['str', 'bytes', 'object', 'string'].includes(dtype);
}

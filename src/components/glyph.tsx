import * as React from 'react';

/**
 * Small line drawings in the colour of the text around them, on a grid of 16.
 */
const PATHS = {
  check: 'M3.5 8.5l3 3 6-7',
  circle: 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z',
  cross: 'M4.500 4.500l7 7M11.500 4.500l-7 7',
  warning: 'M8 2.500l6 10.500H2zM8 6.500v3M8 11v.6',
  pause: 'M5.500 4v8M10.500 4v8',
  stop: 'M4.500 4.500h7v7h-7z',
  play: 'M5 3.500l7.500 4.500L5 12.500z',
  spinner: 'M8 2.500a5.500 5.500 0 1 1-5.500 5.500',
  copy: 'M6 6h7v7H6zM10 3.500H3.500V10',
  trash: 'M3.500 5h9M6.500 5V3.200h3V5M4.700 5l.6 8h5.400l.6-8',
  logs: 'M3.500 4h9M3.500 6.700h9M3.500 9.400h6M3.500 12.100h8',
  send: 'M2.500 8l11-5-3 11-3-4.500zM7.500 9.500l3-3',
  update: 'M13 8a5 5 0 1 1-1.500-3.500M13 2.500V5h-2.500',
  edit: 'M3 13l.7-2.900 6.800-6.800 2.200 2.200-6.800 6.800zM9 4.800L11.200 7',
  rocket: 'M8 10.500V3M4.800 6L8 2.800 11.200 6M3 13h10',
  info: 'M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM8 7.300v3.900M8 5v.6',
  caret: 'M6 3.500L10.500 8 6 12.500',
  tag: 'M3 3h4.500L13 8.500 8.500 13 3 7.500zM5.600 5.600h.01'
} as const;

export type GlyphName = keyof typeof PATHS;

/**
 * A drawing beside words: it says nothing on its own.
 */
export function Glyph({ name }: { name: GlyphName }): JSX.Element {
  return (
    <svg
      className={`jp-KaleGlyph jp-mod-${name}`}
      viewBox="0 0 16 16"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

import * as React from 'react';

/**
 * Small line drawings in the colour of the text around them, on a grid of 16.
 */
const PATHS = {
  check: 'M3.5 8.5l3 3 6-7',
  circle: 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z',
  cross: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  warning: 'M8 2.5l6 10.5H2zM8 6.5v3M8 11v.6',
  pause: 'M5.5 4v8M10.5 4v8',
  moon: 'M12.5 9.8A5 5 0 1 1 6.2 3.5a4 4 0 0 0 6.3 6.3z',
  back: 'M6 3.5L2.5 7 6 10.5M3 7h6.5a3.5 3.5 0 0 1 0 6H7',
  stop: 'M4.5 4.5h7v7h-7z',
  play: 'M5 3.5l7.5 4.5L5 12.5z',
  spinner: 'M8 2.5a5.5 5.5 0 1 1-5.5 5.5',
  download: 'M8 2.5V10M4.8 7L8 10.2 11.2 7M3 13h10',
  copy: 'M6 6h7v7H6zM10 3.5H3.5V10',
  trash: 'M3.5 5h9M6.5 5V3.2h3V5M4.7 5l.6 8h5.4l.6-8',
  logs: 'M3.5 4h9M3.5 6.7h9M3.5 9.4h6M3.5 12.1h8',
  send: 'M2.5 8l11-5-3 11-3-4.5zM7.5 9.5l3-3',
  update: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5V5h-2.5',
  edit: 'M3 13l.7-2.9 6.8-6.8 2.2 2.2-6.8 6.8zM9 4.8L11.2 7',
  serve: 'M8 10.5V3M4.8 6L8 2.8 11.2 6M3 13h10',
  info: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 7.3v3.9M8 5v.6',
  caret: 'M6 3.5L10.5 8 6 12.5'
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

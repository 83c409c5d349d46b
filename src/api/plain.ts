/**
 * Texts of others without what would do more than be read: terminal sequences, control characters, and characters that
 * turn the order of what follows around.
 */
import type { JSONValue } from './types';

// Its one-character forms, U+009B and U+009D, are none here: nothing but text in a wrong encoding has them any more.
const ESCAPE = '\\u001b';
const SEQUENCES = new RegExp(
  [
    // Colours, cursor movements, …
    `${ESCAPE}\\[[0-?]*[ -/]*[@-~]`,
    // Titles, links, … up to their end in the same line: one that has none must not take with it what follows.
    `${ESCAPE}\\][^\\n\\u0007\\u001b\\u009c]*(?:\\u0007|${ESCAPE}\\\\|\\u009c)`,
    // All others, but not what only begins like these two.
    `${ESCAPE}[ -/]*[0-Z\\\\^-~]`
  ].join('|'),
  'g'
);
// Those that are no tabs or line feeds.
const CONTROLS = /[^\P{Cc}\t\n]/gu;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * The text with its control characters made visible, and without terminal sequences.
 */
export function plainText(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(SEQUENCES, '')
    .replace(CONTROLS, pictureOf)
    .replace(BIDI, character => `⟨U+${hex(character)}⟩`);
}

function pictureOf(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) {
    return String.fromCharCode(0x2400 + code);
  }
  return code === 0x7f ? '␡' : '\ufffd';
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase();
}

/**
 * What is sent or copied as it is, and therefore comes as it is; its views make it plain themselves.
 */
const AS_THEY_ARE: ReadonlySet<string> = new Set([
  'manifest',
  'signature',
  'next_cursor'
]);
/**
 * Fields whose own keys, or whose values' keys, are others' as well: a tag may be called "manifest".
 */
const OF_OTHERS: ReadonlySet<string> = new Set([
  'tags',
  'details',
  'packages',
  'before',
  'after',
  'expected',
  'got'
]);
const NONE: ReadonlySet<string> = new Set();

/**
 * The same with plain texts, so that no view has to think of it.
 */
export function withPlainTexts(
  value: JSONValue,
  asTheyAre = AS_THEY_ARE
): JSONValue {
  if (typeof value === 'string') {
    return plainText(value);
  }
  if (Array.isArray(value)) {
    return value.map(item => withPlainTexts(item, asTheyAre));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) =>
        asTheyAre.has(key)
          ? [key, item]
          : [
              plainText(key),
              withPlainTexts(item, OF_OTHERS.has(key) ? NONE : asTheyAre)
            ]
      )
    );
  }
  return value;
}

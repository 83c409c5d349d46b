/**
 * JSON as text: read and written without a change to its numbers, the order of its keys, or keys that come twice.
 *
 * `JSON.parse` rounds whole numbers beyond 2^53 and makes infinities of what is beyond a float.
 */
export type JSONText =
  | { kind: 'plain'; text: string }
  | { kind: 'list'; items: JSONText[] }
  | { kind: 'object'; entries: [key: string, value: JSONText][] };

/**
 * Reads JSON. Numbers that JSON does not have, which some servers write (`NaN`, `Infinity`), are read too.
 *
 * @throws SyntaxError where it is not JSON.
 */
export function readJSON(text: string): JSONText {
  const tokens = new Tokens(text);
  const value = valueOf(tokens);
  tokens.end();
  return value;
}

/**
 * Writes JSON on one line, or with an indentation where it would be too long for one.
 */
export function writeJSON(
  value: JSONText,
  width = Infinity,
  indent = ''
): string {
  if (value.kind === 'plain') {
    return value.text;
  }
  const short = onOneLine(value, width - indent.length);
  if (short !== null) {
    return short;
  }
  const inner = `${indent}  `;
  if (value.kind === 'list') {
    return value.items.every(item => item.kind === 'plain')
      ? `[\n${filled(value.items, inner, width)}\n${indent}]`
      : `[\n${value.items
          .map(item => inner + writeJSON(item, width, inner))
          .join(',\n')}\n${indent}]`;
  }
  const lines = value.entries.map(
    ([key, item]) => `${inner}${key}: ${writeJSON(item, width, inner)}`
  );
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

/**
 * JSON text with line breaks where it is long; as it is where it is not JSON.
 */
export function laidOut(text: string, width = 80): string {
  try {
    return writeJSON(readJSON(text), width);
  } catch {
    return text;
  }
}

export function list(items: JSONText[]): JSONText {
  return { kind: 'list', items };
}

export function plain(value: string | number | boolean | null): JSONText {
  return { kind: 'plain', text: JSON.stringify(value) };
}

/**
 * The number as it is written, which has to be one.
 */
export function number(text: string): JSONText {
  return { kind: 'plain', text };
}

export function object(entries: [name: string, value: JSONText][]): JSONText {
  return {
    kind: 'object',
    entries: entries.map(([name, value]) => [JSON.stringify(name), value])
  };
}

/**
 * An object's value by its name: the last, where there are several, as parsers take it.
 */
export function member(value: JSONText, name: string): JSONText | undefined {
  return value.kind === 'object'
    ? value.entries.filter(([key]) => unquoted(key) === name).pop()?.[1]
    : undefined;
}

/**
 * A value as people read it: a text without its quotes.
 */
export function shown(value: JSONText): string {
  return value.kind === 'plain' && value.text.startsWith('"')
    ? unquoted(value.text)
    : writeJSON(value);
}

function unquoted(text: string): string {
  return JSON.parse(text) as string;
}

/**
 * The value on one line, if it has room there. What is long is not written out to find that.
 */
function onOneLine(value: JSONText, room: number): string | null {
  if (value.kind === 'plain') {
    return value.text.length <= room ? value.text : null;
  }
  const parts: string[] = [];
  let left = room - 2;
  const pieces =
    value.kind === 'list'
      ? value.items.map((item): [string, JSONText] => ['', item])
      : value.entries.map(([key, item]): [string, JSONText] => [
          `${key}: `,
          item
        ]);
  for (const [before, item] of pieces) {
    const written = onOneLine(item, left - before.length);
    if (written === null) {
      return null;
    }
    parts.push(before + written);
    left -= before.length + written.length + 2;
    if (left + 2 < 0) {
      return null;
    }
  }
  const joined = parts.join(', ');
  return value.kind === 'list' ? `[${joined}]` : `{${joined}}`;
}

/**
 * Many short values, some on each line: one on each would be a very long text.
 */
function filled(
  items: readonly JSONText[],
  indent: string,
  width: number
): string {
  const lines: string[] = [];
  let line = '';
  for (const item of items) {
    const text = writeJSON(item);
    if (line && indent.length + line.length + text.length + 2 > width) {
      lines.push(line);
      line = text;
    } else {
      line = line ? `${line}, ${text}` : text;
    }
  }
  return indent + [...lines, line].join(`,\n${indent}`);
}

class Tokens {
  constructor(private readonly _text: string) {}

  /**
   * The next token, without going on.
   */
  peek(): string {
    if (this._token === null) {
      SPACE.lastIndex = this._at;
      SPACE.test(this._text);
      this._at = SPACE.lastIndex;
      TOKEN.lastIndex = this._at;
      this._token = TOKEN.exec(this._text)?.[0] ?? '';
    }
    return this._token;
  }

  next(): string {
    const token = this.peek();
    this._at += token.length;
    this._token = null;
    return token;
  }

  expect(token: string): void {
    if (this.peek() !== token) {
      throw this.unexpected();
    }
    this.next();
  }

  end(): void {
    this.peek();
    if (this._at < this._text.length) {
      throw this.unexpected();
    }
  }

  unexpected(): SyntaxError {
    const found = this._text.slice(this._at, this._at + 10);
    return new SyntaxError(
      found
        ? `Unexpected ${JSON.stringify(found)} at character ${this._at + 1}`
        : 'Unexpected end'
    );
  }

  private _at = 0;
  private _token: string | null = null;
}

const SPACE = /[ \t\n\r]*/y;
const TOKEN =
  /[[\]{},:]|"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null|NaN|-?Infinity)(?!\w)/uy;

function valueOf(tokens: Tokens): JSONText {
  const token = tokens.peek();
  if (token === '[') {
    return list(sequence(tokens, '[', ']', () => valueOf(tokens)));
  }
  if (token === '{') {
    const entries = sequence(tokens, '{', '}', (): [string, JSONText] => {
      if (!tokens.peek().startsWith('"')) {
        throw tokens.unexpected();
      }
      const key = tokens.next();
      tokens.expect(':');
      return [key, valueOf(tokens)];
    });
    return { kind: 'object', entries };
  }
  if (token === '' || ']},:'.includes(token)) {
    throw tokens.unexpected();
  }
  return { kind: 'plain', text: tokens.next() };
}

function sequence<T>(
  tokens: Tokens,
  open: string,
  close: string,
  read: () => T
): T[] {
  tokens.expect(open);
  const items: T[] = [];
  if (tokens.peek() !== close) {
    items.push(read());
    while (tokens.peek() === ',') {
      tokens.next();
      items.push(read());
    }
  }
  tokens.expect(close);
  return items;
}

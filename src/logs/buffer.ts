import { plainText } from '../api/plain';

/**
 * The last lines of a text that goes on and on: what is kept never grows over its limits.
 */
export class LineBuffer {
  /**
   * @param mostLines Lines kept.
   * @param mostCharacters Characters kept of one line.
   */
  constructor(
    readonly mostLines: number,
    readonly mostCharacters = 10_000
  ) {}

  /**
   * How many lines were let go of.
   */
  get dropped(): number {
    return this._dropped;
  }

  get isEmpty(): boolean {
    return this._lines.length === 0 && this._rest === '';
  }

  /**
   * Take in a piece, which may begin and end in the middle of a line.
   */
  push(piece: string): void {
    const [first, ...others] = piece.split('\n');
    this._rest = (this._rest + first).slice(-2 * this.mostCharacters);
    for (const next of others) {
      this._lines.push(this._shown(this._rest));
      this._rest = next;
    }
    const excess = this._lines.length - this.mostLines;
    if (excess > 0) {
      this._lines.splice(0, excess);
      this._dropped += excess;
    }
  }

  toString(): string {
    return [...this._lines, this._shown(this._rest)].join('\n');
  }

  /**
   * A line as a terminal without colours shows it: a carriage return starts it over.
   */
  private _shown(text: string): string {
    const line = text.replace(/\r+$/, '');
    return plainText(line.slice(line.lastIndexOf('\r') + 1)).slice(
      0,
      this.mostCharacters
    );
  }

  private _lines: string[] = [];
  private _rest = '';
  private _dropped = 0;
}

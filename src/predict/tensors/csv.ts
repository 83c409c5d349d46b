import { FileError, MOST_VALUES } from './npy';
import { isText } from './shape';
import type { ITensor } from './tensor';

/**
 * A table of commas as an array with two dimensions. A first line of names above numbers is left out.
 *
 * @throws FileError where the lines are not equally long, or there are too many values.
 */
export function readCsv(text: string, dtype: string): ITensor {
  const { rows, lines } = cellsOf(text);
  const isTexts = isText(dtype);
  if (
    !isTexts &&
    rows.length > 1 &&
    rows[0].every(cell => valueOf(cell, dtype) === null)
  ) {
    rows.shift();
    lines.shift();
  }
  if (!rows.length) {
    throw new FileError('empty-csv');
  }
  const width = rows[0].length;
  const uneven = rows.findIndex(row => row.length !== width);
  if (uneven >= 0) {
    throw new FileError('csv-columns', String(lines[uneven]));
  }
  if (rows.length * width > MOST_VALUES) {
    throw new FileError('too-many', String(rows.length * width));
  }
  const values = rows.flatMap(row =>
    row.map(cell =>
      isTexts
        ? JSON.stringify(cell)
        : (valueOf(cell, dtype) ?? JSON.stringify(cell))
    )
  );
  return { shape: [rows.length, width], values };
}

function valueOf(cell: string, dtype: string): string | null {
  const text = cell.trim();
  if (dtype === 'bool' && /^(true|false)$/i.test(text)) {
    return text.toLowerCase();
  }
  if (dtype === 'bool' && /^[01]$/.test(text)) {
    return text === '1' ? 'true' : 'false';
  }
  // Whole numbers keep every digit; JSON has neither plus signs nor leading zeros.
  const whole = /^(?:\+|(-))?0*(\d+)$/.exec(text);
  if (whole) {
    return `${whole[1] ?? ''}${whole[2]}`;
  }
  const number = Number(text);
  return text && Number.isFinite(number) ? String(number) : null;
}

/**
 * Rows of cells, and the number of the line that each begins with; a cell in quotes may hold commas, line breaks, and
 * quotes written twice.
 *
 * @throws FileError where a quotation mark is not closed, or stands within a cell.
 */
function cellsOf(text: string): { rows: string[][]; lines: number[] } {
  const rows: string[][] = [];
  const lines: number[] = [];
  let line = 1;
  let row: string[] = [];
  const cells = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  const whole = text.replace(/^\ufeff/, '').replace(/\s+$/, '');
  while (whole && cells.lastIndex <= whole.length) {
    const found = cells.exec(whole);
    if (!found) {
      throw new FileError('csv-quotes', String(line));
    }
    if (!row.length) {
      lines.push(line);
    }
    line += found[0].split('\n').length - 1;
    row.push(found[1]?.replace(/""/g, '"') ?? found[2]);
    if (found[3] !== ',') {
      rows.push(row);
      row = [];
    }
    if (found[3] === '') {
      break;
    }
  }
  return { rows, lines };
}

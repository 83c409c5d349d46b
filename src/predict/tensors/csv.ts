import { FileError, MOST_VALUES } from './npy';
import { isText } from './shape';
import type { ITensor } from './tensor';

/**
 * A table of commas as an array with two dimensions. A first line of names above numbers is left out.
 *
 * @throws FileError where the lines are not equally long, or there are too many values.
 */
export function readCsv(text: string, dtype: string): ITensor {
  const rows = cellsOf(text);
  const isTexts = isText(dtype);
  if (
    !isTexts &&
    rows.length > 1 &&
    rows[0].every(cell => valueOf(cell, dtype) === null)
  ) {
    rows.shift();
  }
  const width = rows[0]?.length ?? 0;
  const line = rows.findIndex(row => row.length !== width);
  if (!width || line >= 0) {
    throw new FileError('not-csv', String(line + 1));
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
  // Whole numbers keep every digit.
  if (/^-?(0|[1-9]\d*)$/.test(text)) {
    return text;
  }
  const number = Number(text);
  return text && Number.isFinite(number) ? String(number) : null;
}

/**
 * Lines of cells; a cell in quotes may hold commas, line breaks, and quotes written twice.
 */
function cellsOf(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cells = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  const whole = text.replace(/^\ufeff/, '').replace(/\s+$/, '');
  while (whole && cells.lastIndex <= whole.length) {
    const found = cells.exec(whole);
    if (!found) {
      throw new FileError('not-csv', String(rows.length + 1));
    }
    row.push(found[1]?.replace(/""/g, '"') ?? found[2]);
    if (found[3] !== ',') {
      rows.push(row);
      row = [];
    }
    if (found[3] === '') {
      break;
    }
  }
  return rows;
}

/** CSV as Bulk API 2.0 reads and writes it: RFC 4180, LF, every value of an answer in quotes. */
import { type Value } from '../store/table';

export function csvLine(values: readonly Value[], separator = ',', lineEnding: 'LF' | 'CRLF' = 'LF'): string {
  const line = values.map((value) => (value === null ? '""' : quoted(value))).join(separator);
  return line + (lineEnding === 'LF' ? '\n' : '\r\n');
}

function quoted(value: string | number | boolean): string {
  const text = String(value);
  return `"${text.includes('"') ? text.replaceAll('"', '""') : text}"`;
}

/** The rows of a document, header first; quotes may hold separators and line breaks. */
export function parseCsv(text: string, separator = ','): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let value = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text.charAt(i);
    if (quoted) {
      if (letter !== '"') value += letter;
      else if (text.charAt(i + 1) === '"') value += text.charAt(++i);
      else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === separator) {
      row.push(value);
      value = '';
    } else if (letter === '\n') {
      row.push(value);
      rows.push(row);
      row = [];
      value = '';
    } else if (letter !== '\r') value += letter;
  }
  if (value !== '' || row.length > 0) rows.push([...row, value]);
  return rows;
}

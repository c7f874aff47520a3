import { say } from './say';

/** Characters of a line that has not come to its end. */
const LONGEST = 64 * 1_048_576;

/** Takes a CSV document as Bulk API 2.0 writes it (RFC 4180, LF or CRLF) in parts, and gives its lines, header first. */
export class CsvLines {
  private rest = '';
  /** The rest ends within a quoted value. */
  private quoted = false;

  /** The lines that end in this part. Throws where the document is none. */
  push(part: string): string[][] {
    const end = this.lastEnd(part);
    if (end === 0) {
      this.rest += part;
      if (this.rest.length > LONGEST) throw new Error(say`a line has no end`);
      return [];
    }
    const whole = this.rest + part.slice(0, end);
    this.rest = part.slice(end);
    return [...csvLines(whole)];
  }

  /** The last line, where nothing ends it. Throws where the document breaks off within a value. */
  end(): string[][] {
    return [...csvLines(this.rest)];
  }

  /** Behind the last line that ends in this part. A quote that stands for itself is two of them. */
  private lastEnd(part: string): number {
    let end = 0;
    for (let at = 0; ;) {
      const quote = part.indexOf('"', at);
      if (!this.quoted) {
        const plain = part.slice(at, quote < 0 ? part.length : quote);
        const line = plain.lastIndexOf('\n');
        if (line >= 0) end = at + line + 1;
      }
      if (quote < 0) return end;
      this.quoted = !this.quoted;
      at = quote + 1;
    }
  }
}

/** The lines of a CSV document as Bulk API 2.0 writes it (RFC 4180, LF or CRLF), header first. */
export function* csvLines(text: string, separator = ','): Generator<string[], void, undefined> {
  let line: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === '"') {
      let value = '';
      let from = at + 1;
      let end = text.indexOf('"', from);
      while (end >= 0 && text[end + 1] === '"') {
        value += text.slice(from, end + 1);
        from = end + 2;
        end = text.indexOf('"', from);
      }
      if (end < 0) throw new Error(say`a quoted value has no end`);
      line.push(value + text.slice(from, end));
      at = end + 1;
    } else {
      const end = plainEnd(text, at, separator);
      line.push(text.slice(at, end));
      at = end;
    }
    if (text[at] === separator) {
      at++;
      if (at === text.length) line.push('');
      continue;
    }
    if (text[at] === '\r') at++;
    at++;
    yield line;
    line = [];
  }
  if (line.length > 0) yield line;
}

function plainEnd(text: string, from: number, separator: string): number {
  let at = from;
  while (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') at++;
  return at;
}

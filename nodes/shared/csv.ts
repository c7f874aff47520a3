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
      if (end < 0) throw new Error('a quoted value has no end');
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

/** The line (from 1) of the value at a JSON pointer in valid JSON; of its nearest parent where there is none. */
export function lineOf(json: string, pointer: string): number {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  let at = skipBlanks(json, 0);
  for (const step of steps) {
    const found = childAt(json, at, step);
    if (found === undefined) break;
    at = found;
  }
  return json.slice(0, at).split('\n').length;
}

/** "line 3: " where a syntax error says its position, "" where it doesn't. */
export function syntaxErrorLine(json: string, error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const position = /position (\d+)/.exec(message)?.[1];
  const ended = /end of (JSON )?input/i.test(message) ? json.length : undefined;
  const at = position === undefined ? ended : Number(position);
  return at === undefined ? '' : `line ${json.slice(0, at).split('\n').length}: `;
}

function childAt(json: string, at: number, step: string): number | undefined {
  const list = json[at] === '[';
  if (!list && json[at] !== '{') return undefined;
  let place = skipBlanks(json, at + 1);
  for (let index = 0; json[place] !== (list ? ']' : '}') && place < json.length; index++) {
    let name = String(index);
    if (!list) {
      const end = valueEnd(json, place);
      name = JSON.parse(json.slice(place, end)) as string;
      place = skipBlanks(json, json.indexOf(':', end) + 1);
    }
    if (name === step) return place;
    place = skipBlanks(json, valueEnd(json, place));
    if (json[place] === ',') place = skipBlanks(json, place + 1);
  }
  return undefined;
}

/** Behind the value that begins here. */
function valueEnd(json: string, at: number): number {
  if (json[at] === '"') {
    let end = at + 1;
    while (json[end] !== '"' && end < json.length) end += json[end] === '\\' ? 2 : 1;
    return end + 1;
  }
  if (json[at] !== '{' && json[at] !== '[') {
    const end = /[,\]}\s]/g;
    end.lastIndex = at;
    return end.exec(json)?.index ?? json.length;
  }
  let depth = 0;
  for (let end = at; end < json.length; end++) {
    const char = json[end] as string;
    if (char === '"') end = valueEnd(json, end) - 1;
    else if ('{['.includes(char)) depth++;
    else if ('}]'.includes(char) && --depth === 0) return end + 1;
  }
  return json.length;
}

function skipBlanks(json: string, at: number): number {
  let place = at;
  while (/\s/.test(json[place] ?? '')) place++;
  return place;
}

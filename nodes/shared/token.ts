import { createHash } from 'node:crypto';

/** Beyond this a token is a digest: a whole subject has to stay below 4,096 bytes. */
const LONGEST = 1_000;
const PLAIN = /^[A-Za-z0-9_:-]+$/;

/**
 * Any text as one token of a subject, legal and different for different texts: letters, digits, `_`, `-` and `:`
 * stand for themselves, any other byte (UTF-8) is `%XX`, half of a surrogate pair `%uXXXX`, the empty text `%`.
 * What would be longer than 1,000 characters is `%h` and its SHA-256, the one thing that can't be read back.
 */
export function escapeToken(text: string): string {
  if (PLAIN.test(text) && text.length <= LONGEST) return text;
  if (text === '') return '%';
  let token = '';
  for (const char of text) token += PLAIN.test(char) ? char : escapeChar(char);
  return token.length <= LONGEST ? token : `%h${digest(text)}`;
}

function escapeChar(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code >= 0xd800 && code <= 0xdfff) return `%u${hex(code)}`;
  let escaped = '';
  for (const byte of Buffer.from(char, 'utf8')) escaped += `%${hex(byte)}`;
  return escaped;
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** UTF-16 keeps apart what UTF-8 can't write. */
function digest(text: string): string {
  return createHash('sha256').update(Buffer.from(text, 'utf16le')).digest('hex');
}

/** The text of a token; undefined for a digest. */
export function unescapeToken(token: string): string | undefined {
  if (token.startsWith('%h')) return undefined;
  if (token === '%') return '';
  return token.replace(/(?:%[0-9A-F]{2})+|%u([0-9A-F]{4})/g, (escaped, surrogate: string | undefined) =>
    surrogate === undefined
      ? Buffer.from(escaped.replaceAll('%', ''), 'hex').toString('utf8')
      : String.fromCharCode(parseInt(surrogate, 16)),
  );
}

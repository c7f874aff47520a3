import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, type InputType } from 'node:zlib';
import { codeOf } from '../errors';
import { say } from '../say';

type Unpack = (packed: InputType, options: { maxOutputLength: number }) => Promise<Buffer>;

/** Only gzip is asked for; what is on the way may pack in other ways all the same. */
const UNPACK: Readonly<Record<string, Unpack>> = {
  gzip: promisify<InputType, { maxOutputLength: number }, Buffer>(gunzip),
  deflate: promisify<InputType, { maxOutputLength: number }, Buffer>(inflate),
  br: promisify<InputType, { maxOutputLength: number }, Buffer>(brotliDecompress),
};

/**
 * The text of an answer's body, unpacked, without a byte order mark. JSON is UTF-8 whatever is said (RFC 8259); only what
 * can't be that is read by the charset that the answer names. Throws ANSWER_TOO_LARGE, and what unpacking throws.
 */
export async function textOf(body: Buffer, headers: IncomingHttpHeaders, largest: number): Promise<string> {
  return decode(await unpacked(body, headers['content-encoding'], largest), headers['content-type']);
}

export function isGzip(encoding: string | undefined): boolean {
  return /^\s*(x-)?gzip\s*$/i.test(encoding ?? '');
}

export function tooLarge(largest: number): Error {
  const error = new Error(say`the answer is larger than ${largest} bytes`);
  return Object.assign(error, { code: 'ANSWER_TOO_LARGE' });
}

/** Several ways to pack are undone in the reverse of their order; an empty body isn't packed, whatever its headers say. */
async function unpacked(body: Buffer, encoding: string | undefined, largest: number): Promise<Buffer> {
  let plain = body;
  for (const name of (encoding ?? '').split(',').reverse()) {
    const unpack = plain.length > 0 ? UNPACK[name.trim().toLowerCase().replace(/^x-/, '')] : undefined;
    try {
      if (unpack) plain = await unpack(plain, { maxOutputLength: largest });
    } catch (error) {
      throw codeOf(error) === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(largest) : error;
    }
  }
  return plain;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function decode(body: Buffer, contentType: string | undefined): string {
  const charset = /charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? '')?.[1];
  // Its text would be UTF-8, too, with a zero in each second byte.
  if (charset !== undefined && /^utf-?(16|32)/i.test(charset)) return decodeBy(charset, body);
  try {
    return UTF8.decode(body);
  } catch {
    return decodeBy(charset ?? 'utf-8', body);
  }
}

function decodeBy(charset: string, body: Buffer): string {
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}

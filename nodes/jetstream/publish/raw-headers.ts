import { FlowError } from '../../shared/errors';
import { headerName } from '../../shared/settings/formats';
import type { MsgHdrs } from '../server/nats';
import { say } from '../../shared/say';

/** Bytes of a block of headers beside its lines. */
export const FRAME = Buffer.byteLength('NATS/1.0\r\n\r\n');

/**
 * Headers as they go over the wire, from lines of headerLine. The client's own ones are checked and copied one by
 * one, which takes longer than all the rest of publishing; it asks them for nothing but this (nats 2.29, protocol.ts).
 */
export function rawHeaders(lines: string): MsgHdrs {
  return new RawHeaders(Buffer.from(`NATS/1.0\r\n${lines}\r\n`)) as unknown as MsgHdrs;
}

class RawHeaders {
  constructor(private readonly bytes: Uint8Array) {}

  encode(): Uint8Array {
    return this.bytes;
  }
}

/** Throws INVALID_HEADER for what no header can hold. */
export function headerLine(name: string, value: string): string {
  if (headerName.check(name)) throw invalid(say`${JSON.stringify(name.slice(0, 100))} is not a header name`);
  if (/[\r\n]/.test(value)) throw invalid(say`The header ${name} holds a line break, which no header can`);
  if (/\p{Cs}/u.test(value))
    throw invalid(say`The header ${name} holds half of a character, which no header can`);
  return `${name}: ${value}\r\n`;
}

function invalid(what: string): FlowError {
  return new FlowError(
    'INVALID_HEADER',
    say`${what}: correct the settings, or what the message fills in`,
    false,
  );
}

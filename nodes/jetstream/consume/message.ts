import { FlowError } from '../../shared/errors';
import { DEEPEST, jsonIsTooDeep, parseJson, type BigNumbers } from '../../shared/json';
import type { Msg, MsgHdrs } from '../server/nats';
import { say } from '../../shared/say';

export type PayloadFormat = 'auto' | 'json' | 'string' | 'buffer';

/** A message as the stream has it. */
export type Received = Pick<Msg, 'subject' | 'headers' | 'data'>;

/** Larger ones are most of what came with them from the socket. */
const COPIED = 16_384;
let latestSubject = '';

/**
 * The same without the client's own objects and its memory: a view of a few bytes would hold all that came with them.
 * Throws what the client throws for headers that can't be read.
 */
export function kept({ subject, headers, data }: Received): Received {
  if (subject !== latestSubject) latestSubject = subject;
  return { subject: latestSubject, headers, data: data.length < COPIED ? Buffer.from(data) : data };
}

/** What the server tells of a message in its ack subject. `timestamp` in nanoseconds, as text (it exceeds 2^53). */
export interface DeliveryInfo {
  stream: string;
  consumer: string;
  deliveries: number;
  sequence: number;
  /** Of the delivery: it begins at 1 again when the consumer is reset. */
  consumerSequence: number;
  timestamp: string;
  pending: number;
}

/**
 * $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>, with
 * <domain>.<account hash> after ACK and a random token at the end on newer servers (ADR-15).
 */
export function deliveryInfo(reply: string): DeliveryInfo {
  if (!reply.startsWith(latest.prefix)) latest = beginningOf(reply);
  const { prefix, stream, consumer } = latest;
  const sequence = reply.indexOf('.', prefix.length) + 1;
  const consumerSequence = reply.indexOf('.', sequence) + 1;
  const timestamp = reply.indexOf('.', consumerSequence) + 1;
  const pending = reply.indexOf('.', timestamp) + 1;
  const random = reply.indexOf('.', pending) + 1;
  return {
    stream,
    consumer,
    deliveries: wholeNumber(reply, prefix.length, sequence - 1),
    sequence: wholeNumber(reply, sequence, consumerSequence - 1),
    consumerSequence: wholeNumber(reply, consumerSequence, timestamp - 1),
    timestamp: reply.slice(timestamp, pending - 1),
    pending: wholeNumber(reply, pending, random > 0 ? random - 1 : reply.length),
  };
}

/** All replies of one consumer begin in the same way. */
interface Beginning {
  prefix: string;
  stream: string;
  consumer: string;
}

let latest: Beginning = beginningOf('....');

function beginningOf(reply: string): Beginning {
  const tokens = reply.split('.');
  const at = tokens.length > 9 ? 4 : 2;
  const [stream = '', consumer = ''] = tokens.slice(at);
  return { prefix: `${tokens.slice(0, at + 2).join('.')}.`, stream, consumer };
}

/** Of the digits there, NaN for what is none; cheaper than a text of their own. */
function wholeNumber(text: string, from: number, to: number): number {
  let value = to > from ? 0 : NaN;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : NaN;
  }
  return value;
}

const strict = new TextDecoder('utf-8', { fatal: true });

/**
 * The payload as the flow gets it. Throws BAD_PAYLOAD and BIG_NUMBER (not retryable: no repetition makes it valid).
 * How large a message may be is the server's max_payload.
 */
export function decodePayload(data: Uint8Array, format: PayloadFormat, bigNumbers?: BigNumbers): unknown {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  switch (format) {
    // A copy: the client's own memory is shared by everything that arrived with it.
    case 'buffer':
      return Buffer.from(buffer);
    case 'string':
      return text(buffer);
    case 'json':
      try {
        return jsonOf(text(buffer), bigNumbers);
      } catch (error) {
        if (error instanceof FlowError) throw error;
        throw new FlowError(
          'BAD_PAYLOAD',
          say`The message is not the JSON that this node expects: ${(error as Error).message}`,
          false,
        );
      }
    case 'auto':
      return guess(buffer, bigNumbers);
  }
}

function guess(buffer: Buffer, bigNumbers: BigNumbers | undefined): unknown {
  let string: string;
  try {
    string = text(buffer);
  } catch {
    return Buffer.from(buffer);
  }
  // Cheaper than a throw for plain text; everything that JSON can start with goes through the parser.
  if (!/^\s*[[{"\-\dtfn]/.test(string)) return string;
  try {
    return jsonOf(string, bigNumbers);
  } catch (error) {
    if (error instanceof FlowError) throw error;
    return string;
  }
}

/** Throws SyntaxError for what is no JSON. */
function jsonOf(string: string, bigNumbers: BigNumbers | undefined): unknown {
  const value = parseJson(string, bigNumbers);
  if (!jsonIsTooDeep(string, value)) return value;
  throw new FlowError(
    'BAD_PAYLOAD',
    say`The message nests arrays and objects deeper than ${DEEPEST} levels, which Node-RED does not survive: mend the sender, or choose the format "string"`,
    false,
  );
}

function text(buffer: Buffer): string {
  const string = buffer.toString('utf8');
  // The quick way puts U+FFFD in the place of what is not UTF-8, which may also stand there by right.
  if (!string.includes('\ufffd')) return string.charCodeAt(0) === 0xfeff ? string.slice(1) : string;
  try {
    return strict.decode(buffer);
  } catch {
    throw new FlowError(
      'BAD_PAYLOAD',
      say`The message is not valid UTF-8 text: choose the format "buffer" for binary payloads`,
      false,
    );
  }
}

let latestMs = '';
let latestIso = '';

/** Many messages of a busy stream share their millisecond. */
export function isoTime(ms: string): string {
  if (ms !== latestMs) {
    latestMs = ms;
    latestIso = new Date(Number(ms)).toISOString();
  }
  return latestIso;
}

/** Header values: one as a string, several as an array. Any name is a property of its own, `__proto__` too. */
export function headerRecord(headers: MsgHdrs | undefined): Record<string, string | string[]> {
  if (!headers) return {};
  return Object.fromEntries(
    [...headers].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : [...values]]),
  );
}

/** What a flow sees as `msg.jetstream`; everything can be serialised. */
export interface JetStreamProperties {
  stream: string;
  consumer: string;
  subject: string;
  sequence: number;
  deliveries: number;
  /** Messages waiting behind this one when it was delivered. */
  pending: number;
  /** ISO time at which the stream took the message. */
  timestamp: string;
  headers: Record<string, string | string[]>;
  /** What jetstream-ack knows the delivery by. */
  token: string;
}

export function jetStreamProperties(
  {
    msg,
    info,
    deliveries,
    again,
  }: { msg: Received; info: DeliveryInfo; deliveries: number; again?: boolean },
  token: string,
): JetStreamProperties {
  return {
    stream: info.stream,
    consumer: info.consumer,
    subject: msg.subject,
    sequence: info.sequence,
    deliveries: again ? Math.max(2, deliveries) : deliveries,
    pending: info.pending,
    timestamp: isoTime(info.timestamp.slice(0, -6)),
    headers: headerRecord(msg.headers),
    token,
  };
}

import type { DeadLetter } from '../../shared/dead-letters';
import { FlowError, codeOf, messageOf } from '../../shared/errors';
import type { Failure } from '../../shared/flow/delivery';
import { describeNode } from '../../shared/flow/delivery';
import { headerName } from '../../shared/settings/formats';
import { publishOnce } from '../publish/pub-ack';
import { FRAME, headerLine, rawHeaders } from '../publish/raw-headers';
import { jsApi } from '../server/api';
import type { MsgHdrs, NatsConnection } from '../server/nats';
import type { DeliveryInfo, Received } from './message';
import { say } from '../../shared/say';

/** Header values are one line, and of a readable length. */
const LONGEST_HEADER = 2_000;
/** Bytes of headers that a stream takes at most. (nats-server: 64k) */
const MOST_HEADERS = 65_000;
/** Bytes of headers that are tried one after the other where the stream's limit is smaller than the server's. */
const FEWER = [1_024, 256, 0];
/** Bytes that are kept free for naming what was left out. */
const NAMING = 300;

/** How often a message has been a dead letter already. */
const HOPS = 'Jetforce-Hops';
/** Two nodes that are each other's dead letter would hand one round for ever. */
const MOST_HOPS = 8;

/**
 * Publishes the original payload and headers to the dead letter subject, with what went wrong. Headers that can't be
 * carried (for the server they are orders, no client reads them, there is no room) are named in Jetforce-Left-Out;
 * the payload always goes whole. Resolves after the PubAck, so that only then the message is given up; throws
 * DEAD_LETTER_FAILED when it can't be stored now, and DEAD_LETTER_REFUSED, permanent, when it never can (even the
 * payload alone is too large, or it was a dead letter too often) and the message's own stream keeps it anyway. Where
 * that stream would delete it, it is DEAD_LETTER_FAILED too, with the reason as its cause (see isHopeless).
 */
export async function publishDeadLetter(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
  msg: Received,
  info: DeliveryInfo,
  failure: Failure,
): Promise<void> {
  const hops = hopsOf(msg);
  const reason =
    hops < MOST_HOPS
      ? await publishLetter(
          nc,
          domain,
          subject,
          msg.data,
          ownHeaders(msg, info, failure, hops + 1),
          msg.headers,
        )
      : wentRound(hops);
  if (reason === undefined) return;
  const hopeless = HOPELESS.has(reason.code);
  if (hopeless && (await keepsWhatIsGivenUp(nc, domain, info.stream)))
    throw new FlowError(
      'DEAD_LETTER_REFUSED',
      say`The dead letter can never be written, so the payload stays in the stream "${info.stream}" at sequence ${info.sequence}: ${reason.message}`,
      false,
      { cause: reason },
    );
  const how = hopeless
    ? say`and the stream "${info.stream}" deletes what is given up, so the message stays, unacknowledged (one of max ack pending)`
    : say`so the message stays`;
  throw new FlowError(
    'DEAD_LETTER_FAILED',
    say`The dead letter could not be written, ${how}: ${messageOf(reason)}`,
    true,
    { cause: reason },
  );
}

/** Publishes a payload with as many headers as there is room for; resolves with the reason where it isn't stored. */
export async function publishLetter(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
  payload: Uint8Array | string,
  asked: DeadLetter['headers'],
  theirs?: DeadLetter['others'],
): Promise<FlowError | undefined> {
  const own = asked.map(([name, value]): [string, string] => [name, oneLine(value)]);
  const room = Math.min(MOST_HEADERS, (nc.info?.max_payload ?? Infinity) - Buffer.byteLength(payload));
  let reason: FlowError | undefined;
  for (const bytes of [room, ...FEWER.filter((fewer) => fewer < room)]) {
    try {
      await publishOnce(nc, subject, payload, { headers: fitted(own, theirs, bytes), domain });
      return undefined;
    } catch (error) {
      reason = error as FlowError;
      if (reason.code !== 'MESSAGE_TOO_LARGE') break;
    }
  }
  return reason;
}

/** Reasons that time doesn't mend. */
const HOPELESS = new Set(['MESSAGE_TOO_LARGE', 'DEAD_LETTER_LOOP']);

/** Whether a dead letter that failed is worth another try only after somebody has changed something. */
export function isHopeless(error: unknown): boolean {
  return error instanceof FlowError && HOPELESS.has(codeOf(error.cause));
}

function hopsOf(msg: Received): number {
  const hops = Number(msg.headers?.get(HOPS));
  return Number.isSafeInteger(hops) && hops > 0 ? hops : 0;
}

function wentRound(hops: number): FlowError {
  return new FlowError(
    'DEAD_LETTER_LOOP',
    say`the message was a dead letter ${hops} times already (${HOPS}): see whether the nodes that read dead letters are each other's dead letter, or send it without that header`,
    false,
  );
}

/** A work queue deletes a message that is given up. Where it can't be told, it is taken for one. */
async function keepsWhatIsGivenUp(
  nc: NatsConnection,
  domain: string | undefined,
  stream: string,
): Promise<boolean> {
  try {
    const { config } = await jsApi<{ config: { retention?: string } }>(nc, domain, `STREAM.INFO.${stream}`);
    return config.retention === 'limits';
  } catch {
    return false;
  }
}

/** The most important first. */
function ownHeaders(
  msg: Received,
  info: DeliveryInfo,
  { error, node }: Failure,
  hops: number,
): [name: string, value: string][] {
  return [
    [HOPS, String(hops)],
    // The same message given up twice (a lost term, a crash in between) is stored once.
    ['Nats-Msg-Id', `dead.${info.stream}.${info.consumer}.${info.sequence}.${info.timestamp}`],
    ['Jetforce-Sequence', String(info.sequence)],
    ['Jetforce-Stream', info.stream],
    ['Jetforce-Code', codeOf(error)],
    ['Jetforce-Consumer', info.consumer],
    ['Jetforce-Deliveries', String(info.deliveries)],
    ['Jetforce-Failed-At', new Date().toISOString()],
    ['Jetforce-Subject', msg.subject],
    ['Jetforce-Error', node ? `${describeNode(node)}: ${messageOf(error)}` : messageOf(error)],
  ];
}

/** Headers of no more than `bytes`; undefined for none. */
function fitted(
  own: [string, string][],
  theirs: DeadLetter['others'] | undefined,
  bytes: number,
): MsgHdrs | undefined {
  let rest = bytes - FRAME;
  let lines = '';
  const leftOut: string[] = [];
  const add = (name: string, values: string[], reserve: number): void => {
    const added = values.map((value) => headerLine(name, value)).join('');
    const size = Buffer.byteLength(added);
    if (size > rest - reserve) return void leftOut.push(name);
    rest -= size;
    lines += added;
  };
  for (const [name, value] of own) {
    const shortened = name === 'Jetforce-Error' ? cut(value, rest - NAMING - name.length - 4) : value;
    add(name, [shortened], name === 'Jetforce-Subject' || name === 'Jetforce-Error' ? NAMING : 0);
  }
  const ours = new Set(own.map(([name]) => name));
  for (const [name, values] of theirs ?? []) {
    if (ours.has(name) && !/^nats-/i.test(name)) continue;
    if (canBeCarried(name, values)) add(name, values, NAMING);
    else leftOut.push(name);
  }
  if (leftOut.length > 0) {
    const name = 'Jetforce-Left-Out';
    const names = leftOut.map((one) => (headerName.check(one) ? JSON.stringify(one) : one));
    const value = cut(oneLine(names.join(', ')), rest - name.length - 4);
    if (value !== '') lines += headerLine(name, value);
  }
  return lines === '' ? undefined : rawHeaders(lines);
}

/** What begins with Nats- was meant for the server and its own stream: ids, expectations, ages, schedules, orders. */
function canBeCarried(name: string, values: string[]): boolean {
  // U+FFFD stands where a value is not UTF-8.
  return (
    headerName.check(name) === undefined &&
    !/^nats-/i.test(name) &&
    !values.some((value) => /[\r\n\u0000\ufffd\p{Cs}]/u.test(value))
  );
}

function oneLine(text: string): string {
  const line = writable(text).trim();
  return line.length > LONGEST_HEADER ? `${writable(line.slice(0, LONGEST_HEADER))}…` : line;
}

/** Without control characters, and halves of characters, where a text was cut. */
function writable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\p{Cs}]+/gu, ' ');
}

/** As much of it as goes into so many bytes. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const ellipsis = '…';
  const kept = Buffer.from(text).subarray(0, Math.max(0, bytes - Buffer.byteLength(ellipsis)));
  const whole = kept.toString('utf8').replace(/\ufffd+$/, '');
  return whole === '' ? '' : `${whole}${ellipsis}`;
}

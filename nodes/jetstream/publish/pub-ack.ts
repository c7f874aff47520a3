import { codeOf, FlowError } from '../../shared/errors';
import type { Msg, MsgHdrs, NatsConnection } from '../server/nats';
import { explainPublish } from './errors';
import { say } from '../../shared/say';

/** What the stream said: `duplicate` means that it had the message already. */
export interface Published {
  stream: string;
  seq: number;
  duplicate: boolean;
}

/** `batch` is the id of an atomic batch, in the answer to its last message. */
export type PubAck = Published & { batch?: string };

export interface Refusal {
  error: { err_code?: number; description?: string };
}

const TIMEOUT = 5_000;

/**
 * What an answer to a published message says: that it is stored, or why the stream refuses it. Undefined for any
 * other: whoever listens on the subject can answer, and only a stream's name and a sequence mean that it is stored.
 */
export function readPubAck(answer: Pick<Msg, 'json'>): PubAck | Refusal | undefined {
  let said: Partial<PubAck & Refusal> | null;
  try {
    said = answer.json();
  } catch {
    return undefined;
  }
  if (typeof said?.error === 'object' && said.error !== null) return { error: said.error };
  const { stream, seq, duplicate, batch } = said ?? {};
  if (typeof stream !== 'string' || stream === '' || !Number.isInteger(seq) || Number(seq) < 1)
    return undefined;
  const ack: PubAck = { stream, seq: Number(seq), duplicate: duplicate === true };
  if (typeof batch === 'string') ack.batch = batch;
  return ack;
}

export function noPubAck(subject: string): FlowError {
  return new FlowError(
    'NO_PUBACK',
    say`What answers for "${subject}" is no stream, so the message counts as not stored: give the subject to a stream, and let nobody else answer on it`,
  );
}

/**
 * Publishes one message and resolves when a stream has stored it. Throws FlowError as explainPublish has it, and
 * NO_PUBACK for an answer that is none.
 */
export async function publishOnce(
  nc: NatsConnection,
  subject: string,
  data: Uint8Array | string,
  { headers, domain }: { headers?: MsgHdrs; domain?: string },
): Promise<Published> {
  try {
    return storedAs(
      await nc.request(subject, data, { timeout: TIMEOUT, ...(headers && { headers }) }),
      subject,
    );
  } catch (error) {
    throw notStored(nc, error, subject, data, domain);
  }
}

/** What a stream answers that has stored a message. Throws what notStored explains. */
export function storedAs(answer: Pick<Msg, 'json'>, subject: string): Published {
  const said = readPubAck(answer);
  if (said === undefined) throw noPubAck(subject);
  if ('error' in said) throw Object.assign(new Error(said.error.description), { api_error: said.error });
  return said;
}

/** Why a message was not stored, as publishOnce throws it. */
export function notStored(
  nc: NatsConnection,
  error: unknown,
  subject: string,
  data: Uint8Array | string,
  domain: string | undefined,
): FlowError {
  // The client ends what is under way by a time-out when it is closed.
  const reason = nc.isClosed() && codeOf(error) === 'TIMEOUT' ? { code: 'CONNECTION_CLOSED' } : error;
  return explainPublish(reason, subject, Buffer.byteLength(data), domain);
}

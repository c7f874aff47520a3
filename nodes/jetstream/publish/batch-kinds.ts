import { ApiCode } from '../server/errors';
import type { PubAck } from './pub-ack';
import { headerBytes } from './raw-headers';
import type { ManyRequest } from './request-many';

export interface BatchMessage {
  subject: string;
  data: string;
  /** Without line breaks; may be left out where `expected` makes a repeat harmless. */
  msgId?: string;
  /** The last sequence of this subject, 0 for none: a stream where it is another one refuses the message. */
  expected?: number;
}

/** The batches that a stream takes and that are worth it there. */
export interface Batches {
  /** All of its messages are stored, or none (servers from 2.12). */
  atomic: boolean;
  /** One after the other as alone, up to the first that is refused, with one answer for all (servers from 2.14). */
  fast: boolean;
}

/** Messages in a batch, by the server's limit for atomic ones. */
export const BATCH = 1_000;

/** How the messages of a batch are marked, and whether the answer to the last one says that all are stored. */
export interface BatchKind {
  part: (message: BatchMessage, id: string, place: number, last: boolean) => ManyRequest;
  stored: (ack: PubAck, id: string, messages: number) => boolean;
  /** Of the message so many places before the last one. */
  seq: (ack: PubAck, before: number) => number | undefined;
  /** The stream takes none of the kind. */
  disabled: number;
}

/** ADR-50: the place of a message is in its headers. */
const atomic: BatchKind = {
  part: (message, id, place, last) => {
    const lines = `Nats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${place}\r\n`;
    return { ...single(message, last ? `${lines}Nats-Batch-Commit: 1\r\n` : lines), silent: !last };
  },
  stored: ({ batch, seq }, id, messages) => batch === id && seq >= messages,
  seq: ({ seq }, before) => seq - before,
  disabled: ApiCode.atomicPublishDisabled,
};

/**
 * ADR-50 again. The place of a message is in the subject for its answer: the id, after how many messages an answer on
 * the way is wanted, what happens where one is missing or refused, its number, and whether it begins, goes on or ends the batch.
 */
const fast: BatchKind = {
  part: (message, id, place, last) => {
    const step = last ? 2 : place === 1 ? 0 : 1;
    return { ...single(message), silent: !last, reply: `${id}.${BATCH}.fail.${place}.${step}.$FI` };
  },
  stored: ({ batch, count }, id, messages) => batch === id && count === messages,
  // Others may have published in between.
  seq: () => undefined,
  disabled: ApiCode.batchPublishDisabled,
};

export const BATCH_KINDS: Record<keyof Batches, BatchKind> = { atomic, fast };

/** A message that stands for itself, with more lines of headers. */
export function single({ subject, data, msgId, expected }: BatchMessage, more = ''): ManyRequest {
  const id = msgId === undefined ? '' : `Nats-Msg-Id: ${msgId}\r\n`;
  const after = expected === undefined ? '' : `Nats-Expected-Last-Subject-Sequence: ${expected}\r\n`;
  return { subject, data, headers: headersOf(id + after + more) };
}

let same = { lines: '', headers: headerBytes('') };

/** New records have the same headers, one after the other. */
function headersOf(lines: string): Uint8Array {
  if (same.lines !== lines) same = { lines, headers: headerBytes(lines) };
  return same.headers;
}

import { randomUUID } from 'node:crypto';
import { FlowError } from '../../shared/errors';
import { ApiCode } from '../server/errors';
import { explainPublish } from './errors';
import { noPubAck, readPubAck, type PubAck, type Published } from './pub-ack';
import { BATCH, BATCH_KINDS, single, type Batches, type BatchMessage } from './batch-kinds';
import type { Answer, RequestMany } from './request-many';
import { checkPublishSubject } from '../streams/subjects';
import { say } from '../../shared/say';

/** Its sequence is not known where it came in a fast batch. */
export type Stored = Omit<Published, 'seq'> & { seq: number | undefined };

/** What became of a message; the code is WRONG_LAST_SEQUENCE where `expected` was not so. */
export type BatchOutcome = Stored | FlowError;

export type { Batches, BatchMessage } from './batch-kinds';

export const WRONG_LAST_SEQUENCE = 'WRONG_LAST_SEQUENCE';

/** Batches under way. */
const BATCHES = 3;
/** Messages without a PubAck, where each has its own. */
const WINDOW = 1_000;

/**
 * Publishes many messages to one stream: in batches where there are some, else pipelined. Either way each message has
 * its own outcome, and nothing but a PubAck makes it a good one.
 */
export class BatchPublisher {
  batches: Batches = { atomic: false, fast: false };

  constructor(private readonly requests: RequestMany) {}

  /**
   * The messages have different subjects; in which order they are stored is open. Waits for the connection if
   * there is none. Throws INVALID_SUBJECT, and CLOSED when `signal` aborts.
   */
  async publish(messages: readonly BatchMessage[], signal: AbortSignal): Promise<BatchOutcome[]> {
    for (const { subject } of messages) checkPublishSubject(subject);
    const kind = messages.length > 1 ? this.kindFor(messages) : undefined;
    const outcomes = kind ? await this.publishBatches(messages, kind, signal) : [];
    const rest = messages.flatMap((_, i) => (outcomes[i] ? [] : [i]));
    if (rest.length === 0) return outcomes as BatchOutcome[];
    const alone = rest.map((i) => messages[i] as BatchMessage);
    const found = await this.requests.send(alone, WINDOW, signal, {
      request: (message) => single(message),
      read: (answer, message) => this.outcome(answer, message),
    });
    rest.forEach((i, n) => (outcomes[i] = found[n]));
    return outcomes as BatchOutcome[];
  }

  /** A part of a fast batch may be stored when the rest is sent alone: a message that the stream knows by its id alone would be stored twice. */
  private kindFor(messages: readonly BatchMessage[]): keyof Batches | undefined {
    const repeatable = messages.every(({ msgId, expected }) => msgId === undefined && expected !== undefined);
    if (this.batches.fast && repeatable) return 'fast';
    return this.batches.atomic ? 'atomic' : undefined;
  }

  /** No outcome for those whose batch the stream refused, maybe for one of them: they are to be sent alone. */
  private async publishBatches(
    messages: readonly BatchMessage[],
    kind: keyof Batches,
    signal: AbortSignal,
  ): Promise<(BatchOutcome | undefined)[]> {
    const { part, seq } = BATCH_KINDS[kind];
    let id = '';
    const ids: string[] = [];
    const outcomes: (BatchOutcome | undefined)[] = [];
    await this.requests.send(messages, BATCHES, signal, {
      request: (message, i) => {
        if (i % BATCH === 0) ids.push((id = randomUUID()));
        return part(message, id, (i % BATCH) + 1, i % BATCH === BATCH - 1 || i === messages.length - 1);
      },
      read: (answer, _message, i) => {
        const first = i - (i % BATCH);
        const ack = this.batchAck(answer, kind, ids[first / BATCH] ?? '', i - first + 1);
        for (let at = first; at <= i; at++)
          outcomes[at] =
            ack === undefined || ack instanceof FlowError
              ? ack
              : { stream: ack.stream, seq: seq(ack, i - at), duplicate: false };
      },
    });
    return outcomes;
  }

  /** Undefined where not all of the batch is known to be stored. */
  private batchAck(
    answer: Answer,
    kind: keyof Batches,
    id: string,
    messages: number,
  ): PubAck | FlowError | undefined {
    if (answer instanceof FlowError) return answer.code === 'MESSAGE_TOO_LARGE' ? undefined : answer;
    const { stored, disabled } = BATCH_KINDS[kind];
    const ack = readPubAck(answer);
    if (ack === undefined) return undefined;
    if (!('error' in ack)) return stored(ack, id, messages) ? ack : undefined;
    if (ack.error.err_code === disabled) this.batches = { ...this.batches, [kind]: false };
    return undefined;
  }

  private outcome(answer: Answer, message: BatchMessage): BatchOutcome {
    if (answer instanceof FlowError) return answer;
    if (answer.data.length === 0 && answer.headers?.code)
      return this.explain({ code: String(answer.headers.code) }, message);
    const { subject } = message;
    const ack = readPubAck(answer);
    if (ack === undefined) return noPubAck(subject);
    if (!('error' in ack)) return ack;
    const { error } = ack;
    if (error.err_code === ApiCode.wrongLastSequence || error.err_code === ApiCode.wrongLastSequenceUnnamed)
      return new FlowError(WRONG_LAST_SEQUENCE, say`"${subject}" has a newer message: ${error.description}`);
    return this.explain({ api_error: error }, message);
  }

  private explain(error: unknown, { subject, data }: BatchMessage): FlowError {
    const { domain } = this.requests.connection.settings;
    return explainPublish(error, subject, Buffer.byteLength(data), domain);
  }
}

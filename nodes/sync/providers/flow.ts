import { types } from 'node:util';
import { FlowError } from '../../shared/errors';
import { DEEPEST, isTooDeep, unsayableIn } from '../../shared/json';
import { isoTime, type SourceRecord } from '../engine/record';
import { RecordWriter, type RecordStream } from '../engine/record-writer';
import { say } from '../../shared/say';

interface Waiting {
  records: SourceRecord[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** The records of one collection on their way, and those that wait for the next write. */
interface CollectionQueue {
  writer: RecordWriter;
  waiting: Waiting[];
  busy: boolean;
}

/** Collections at rest of which is kept what was published; of others the stream is looked at again. */
export const KEPT = 200;

export interface FlowRecordsOptions {
  syncId: string;
  prefix: string;
  events: boolean;
  stream: () => Promise<RecordStream>;
  /** Told after each write. */
  written: (collection: string, done: number, published: number) => void;
}

/**
 * Publishes records that a flow hands in. What comes while a collection is being written to goes together with the
 * next write; each message has its own outcome.
 */
export class FlowRecords {
  private readonly stopping = new AbortController();
  private readonly queues = new Map<string, CollectionQueue>();

  constructor(private readonly options: FlowRecordsOptions) {}

  /**
   * Resolves when each record is in the stream, in this version or a newer one. Throws FlowError: INVALID_RECORD
   * (nothing is written), MESSAGE_TOO_LARGE, and those of publishing.
   */
  async write(payload: unknown): Promise<void> {
    const byCollection = new Map<string, SourceRecord[]>();
    for (const value of Array.isArray(payload) ? (payload as unknown[]) : [payload]) {
      const { collection, record } = readRecord(value);
      const records = byCollection.get(collection) ?? [];
      byCollection.set(collection, records);
      records.push(record);
    }
    const stream = await this.options.stream();
    const writes = [...byCollection].map(([collection, records]) =>
      this.enqueue(stream, collection, records),
    );
    const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason as Error;
  }

  stop(): void {
    this.stopping.abort();
  }

  private enqueue(stream: RecordStream, collection: string, records: SourceRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.queues.get(collection) ?? this.openQueue(stream, collection);
      queue.waiting.push({ records, resolve, reject });
      if (!queue.busy) void this.work(collection, queue);
    });
  }

  private openQueue(stream: RecordStream, collection: string): CollectionQueue {
    const { prefix, syncId } = this.options;
    const queue: CollectionQueue = {
      writer: new RecordWriter({ prefix, syncId, provider: 'flow', collection }, stream),
      waiting: [],
      busy: false,
    };
    this.queues.set(collection, queue);
    return queue;
  }

  private async work(collection: string, queue: CollectionQueue): Promise<void> {
    queue.busy = true;
    while (queue.waiting.length > 0) {
      const messages = queue.waiting.splice(0);
      const refused = new Map<string, FlowError>();
      try {
        const records = messages.flatMap((message) => message.records);
        const { published } = await queue.writer.write(records, {
          signal: this.stopping.signal,
          events: this.options.events,
          refused: ({ id }, error) => void refused.set(id, error),
        });
        this.options.written(collection, records.length, published);
        for (const { records: own, resolve, reject } of messages) {
          const error = own.map(({ id }) => refused.get(id)).find((found) => found);
          if (error) reject(error);
          else resolve();
        }
      } catch (error) {
        for (const { reject } of messages) reject(error);
      }
    }
    queue.busy = false;
    this.forgetOldest(collection, queue);
  }

  /** A flow may make up a collection for every record. */
  private forgetOldest(collection: string, queue: CollectionQueue): void {
    this.queues.delete(collection);
    this.queues.set(collection, queue);
    for (const [name, { busy }] of this.queues) {
      if (this.queues.size <= KEPT) return;
      if (!busy) this.queues.delete(name);
    }
  }
}

function readRecord(value: unknown): { collection: string; record: SourceRecord } {
  if (typeof value !== 'object' || value === null) throw invalid(say`is not an object`);
  const { collection_id, data, upstream_created_at, upstream_updated_at, deleted, ...rest } = value as Record<
    string,
    unknown
  >;
  // Where a message of ours has it.
  const upstream_id = rest.upstream_id ?? (data as { upstream_id?: unknown } | null | undefined)?.upstream_id;
  if (typeof collection_id !== 'string' || collection_id === '')
    throw invalid(say`has no collection_id, a text such as "github:issue"`);
  if (typeof upstream_id !== 'string' && typeof upstream_id !== 'number' && typeof upstream_id !== 'bigint')
    throw invalid(say`has no upstream_id, a text or a number`);
  if (typeof upstream_id === 'number' && Math.abs(upstream_id) > Number.MAX_SAFE_INTEGER)
    throw invalid(say`has an upstream_id that is no exact number any more; hand it over as a text`);
  if (data !== undefined && (typeof data !== 'object' || data === null || Array.isArray(data)))
    throw invalid(say`has data that are no object`);
  if (data === undefined && deleted !== true) throw invalid(say`has no data`);
  if (isTooDeep(data))
    throw invalid(say`has data that nest deeper than ${DEEPEST} levels, or hold themselves`);
  const lost = unsayableIn(data, 'data');
  if (lost !== undefined) throw invalid(say`can't be written as JSON: ${lost}, which it has no word for`);
  return {
    collection: collection_id,
    record: {
      id: String(upstream_id),
      data: (data ?? {}) as Record<string, unknown>,
      createdAt: time('upstream_created_at', upstream_created_at),
      updatedAt: time('upstream_updated_at', upstream_updated_at),
      ...(deleted === true && { deleted: true }),
      ...(deleted === true && data === undefined && { gone: true }),
    },
  };
}

function time(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = isoTime(types.isDate(value) ? value.getTime() : value);
  if (text === undefined) throw invalid(say`has a ${name} that is no time; write it as 2026-01-31T12:00:00Z`);
  return text;
}

function invalid(what: string): FlowError {
  return new FlowError(
    'INVALID_RECORD',
    say`A record of the message ${what}; nothing of it was published`,
    false,
  );
}

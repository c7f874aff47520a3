import type { Semaphore } from '../../shared/async/semaphore';
import type { History, HistoryHost } from '../history/thread';
import type { Checkpoint } from './checkpoint';
import type { CheckpointStoreOptions } from './checkpoint-store';
import type { Collection, Position } from './provider';
import type { SourceRecord } from './record';
import type { RecordWriter, Written } from './record-writer';
import type { Standing, StandingOptions } from './standing';

export interface RunOptions extends StandingOptions, CheckpointStoreOptions {
  writer: RecordWriter;
  /** Makes the stream that is gone, where that is asked for. */
  reopenStream: (signal: AbortSignal) => Promise<unknown>;
  semaphore: Semaphore;
  events: boolean;
  /** Has a history read and published in a thread of its own, where that can be. */
  history?: (host: HistoryHost, events: boolean) => History | undefined;
  /** The ids that the stream shows as living, in pages; undefined where it can't be read. */
  liveIds: ((signal: AbortSignal) => AsyncIterable<string[]>) | undefined;
  /** Milliseconds from one reconciliation of the whole stream with the API to the next; 0 for none. */
  reconcile: number;
}

/**
 * What a phase has of the run that it belongs to. It ends when what it has saved is of another phase, or outdated, or
 * `signal` aborts.
 */
export interface Run {
  readonly options: RunOptions;
  readonly standing: Standing;
  /** When everything was last compared with the stream, by now(). */
  comparedAt: number;
  /** It has not been read since it was last told to be. One that is ahead of what is wanted is up to date. */
  isOutdated(checkpoint: Checkpoint): boolean;
  /** Where a collection begins, or begins again: then what was there before has to be reconciled. */
  afresh(changesFrom: Position, backfill: boolean, before: Checkpoint | undefined): Checkpoint;
  /** Resolves when the records are in the stream. */
  write(
    collection: Collection,
    records: readonly SourceRecord[],
    how: { events: boolean; remember: boolean },
    signal: AbortSignal,
  ): Promise<Written>;
  save(checkpoint: Checkpoint, signal: AbortSignal): Promise<void>;
  /** Aborts with `signal`, and when there is something else to do than to wait. */
  awake(signal: AbortSignal): AbortSignal;
}

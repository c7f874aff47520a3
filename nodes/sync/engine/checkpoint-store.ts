import { FlowError } from '../../shared/errors';
import type { PositionStore } from '../../shared/positions';
import { LOST, readCheckpoint, type Checkpoint } from './checkpoint';
import { say } from '../../shared/say';

export interface CheckpointStoreOptions {
  collection: string;
  store: PositionStore;
  /** Of the checkpoint in the store. */
  key: string;
  /** When the stream was made, if that can be known. */
  streamCreated: () => string | undefined;
  start: 'beginning' | 'now';
  /** Throws when another process may be the runner by now. */
  fence: () => void;
  log: (text: string) => void;
  error: (text: string) => void;
}

/** Another process has written the checkpoint: it is the runner now. */
export const LEASE_LOST = 'LEASE_LOST';

/** The checkpoint of one collection in its store, written by whoever holds the lease and by nobody else. */
export class CheckpointStore {
  private revision = 0;

  constructor(
    private readonly options: CheckpointStoreOptions,
    /** The stream is another one: nothing that is known of it is so. */
    private readonly streamIsNew: () => void,
  ) {}

  /** Undefined where there is none that this stream could go on from; LOST where it can't be told. */
  async load(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const { store, key, collection, start, log, error } = this.options;
    const entry = await store.get(key, signal);
    this.revision = entry?.revision ?? 0;
    if (!entry) return undefined;
    const checkpoint = readCheckpoint(entry.value);
    if (!checkpoint) {
      error(say`The checkpoint of ${collection} can't be read: everything is read again`);
      return LOST;
    }
    const created = this.options.streamCreated();
    if (!checkpoint.stream || !created || checkpoint.stream === created) return checkpoint;
    this.streamIsNew();
    if (start === 'now' && checkpoint.phase === 'live') return checkpoint;
    log(say`The stream was made anew at ${created}: ${collection} is read from the beginning`);
    return start === 'now' ? LOST : undefined;
  }

  /** Throws LEASE_LOST where somebody else has written it since, or may. */
  async save(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    const { store, key, fence, streamCreated } = this.options;
    fence();
    const value = JSON.stringify({ ...checkpoint, stream: streamCreated() ?? checkpoint.stream });
    const revision = await store.put(key, value, this.revision, signal);
    if (revision === undefined)
      throw new FlowError(LEASE_LOST, say`Another instance has taken over ${this.options.collection}`);
    this.revision = revision;
  }
}

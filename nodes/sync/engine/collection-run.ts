import { now } from '../../shared/async/clock';
import { pause } from '../../shared/async/pause';
import { childController } from '../../shared/async/signals';
import { codeOf, isRetryable } from '../../shared/errors';
import type { Checkpoint } from './checkpoint';
import { CheckpointStore, LEASE_LOST } from './checkpoint-store';
import { backfill } from './phases/backfill';
import { live } from './phases/live';
import { reconcile } from './phases/reconcile';
import type { Progress } from './progress';
import type { Collection, Position } from './provider';
import type { SourceRecord } from './record';
import type { Written } from './record-writer';
import type { Run, RunOptions } from './run';
import { Standing } from './standing';
import { say } from '../../shared/say';

export type { RunOptions } from './run';

/** What waiting can't mend is looked at ever more rarely: it is mended elsewhere, and not always for good. */
const RETRY = { first: 1_000, longest: 60_000, permanent: 10 * 60_000 };

/**
 * One collection of a sync, from its first page to being followed for ever. It is where its checkpoint says, and
 * the checkpoint moves on only after what it covers is in the stream:
 *
 * - none, or one older than the last command to read everything anew: `begin` takes the position of the changes, and
 *   goes to `backfill`; with `start: now`, the first time, to `live`.
 * - `backfill` reads page by page. Its last one leads to `live`, or to `reconcile` where there was something before.
 * - `reconcile` publishes as deleted what the API hasn't any more, and leads to `live`. A mass loss is held there.
 * - `live` follows the changes: to `reconcile` when a comparison is due or was asked for, or deletions were lost, to
 *   `backfill` when changes were lost.
 *
 * Whatever fails is waited out; then the collection is opened anew and goes on from its checkpoint.
 */
export class CollectionRun implements Run {
  readonly standing: Standing;
  comparedAt = now();
  private readonly store: CheckpointStore;
  private checkpoint: Checkpoint | undefined;
  private wakeUp = new AbortController();
  /** Which command to compare everything with the stream is to be followed. */
  private comparison = 0;

  constructor(
    readonly options: RunOptions,
    /** Which command to read everything anew is to be followed: `Wanted.resync`, 0 for none. */
    private resync: number,
  ) {
    this.standing = new Standing(options, () => this.checkpoint);
    this.store = new CheckpointStore(options, () => options.writer.forget());
  }

  get progress(): Progress {
    return this.standing.now;
  }

  /** Until `signal` aborts. Throws LEASE_LOST, and nothing else. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.checkpoint ??= await this.store.load(signal);
        await this.open(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (codeOf(error) === LEASE_LOST) throw error;
        // Whether the last save got through is not known.
        this.checkpoint = undefined;
        const failures = this.standing.failed(error);
        const longest = isRetryable(error) ? RETRY.longest : RETRY.permanent;
        await pause(Math.min(longest, RETRY.first * 2 ** failures), this.awake(signal));
        this.wake();
        if (codeOf(error) === 'NO_STREAM') await this.options.reopenStream(signal).catch(() => undefined);
      }
    }
  }

  /** Reads everything anew if it hasn't been told so already. */
  askResync(resync: number): void {
    this.resync = resync;
    if (this.checkpoint && this.isOutdated(this.checkpoint)) this.wake();
  }

  /** Compares everything with the stream if it hasn't been told so already. */
  askReconcile(comparison: number): void {
    if (comparison <= this.comparison) return;
    this.comparison = comparison;
    this.wake();
  }

  /** A failure isn't waited out any longer. */
  wake(): void {
    this.wakeUp.abort();
  }

  awake(signal: AbortSignal): AbortSignal {
    this.wakeUp = childController(signal);
    return this.wakeUp.signal;
  }

  isOutdated(checkpoint: Checkpoint): boolean {
    return checkpoint.resync < this.resync;
  }

  afresh(changesFrom: Position, backfill: boolean, before: Checkpoint | undefined): Checkpoint {
    this.options.writer.forget();
    const complete = before?.complete ?? false;
    return {
      phase: backfill ? 'backfill' : 'live',
      changesFrom,
      done: 0,
      resync: Math.max(this.resync, before?.resync ?? 0),
      complete: complete || !backfill,
      reconcile: before !== undefined,
      ...(this.comparison > 0 && { compared: this.comparison }),
      ...(before?.heldAt !== undefined && { heldAt: before.heldAt }),
    };
  }

  async write(
    collection: Collection,
    records: readonly SourceRecord[],
    how: { events: boolean; remember: boolean },
    signal: AbortSignal,
  ): Promise<Written> {
    const { writer, fence, events } = this.options;
    const written = await writer.write(records, {
      signal,
      fence,
      events: events && how.events,
      remember: how.remember,
      read: collection.read && ((ids) => collection.read?.(ids, signal) ?? Promise.resolve([])),
      refused: ({ id }, reason) => this.standing.refuse(id, reason),
    });
    this.standing.count(records.length, written);
    return written;
  }

  async save(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    await this.store.save(checkpoint, signal);
    this.checkpoint = checkpoint;
  }

  private async open(signal: AbortSignal): Promise<void> {
    const collection = await this.options.provider.open(this.options.collection, signal);
    this.standing.opened(collection);
    try {
      while (!signal.aborted) await this.follow(collection, signal);
    } finally {
      this.standing.closed(collection);
      await collection.close().catch(() => undefined);
    }
  }

  private follow(collection: Collection, signal: AbortSignal): Promise<void> {
    const { checkpoint } = this;
    if (!checkpoint || this.isOutdated(checkpoint)) return this.begin(collection, checkpoint, signal);
    if (checkpoint.phase === 'backfill') return backfill(this, collection, checkpoint, signal);
    if (checkpoint.phase === 'reconcile') return reconcile(this, collection, checkpoint, signal);
    if (this.comparison > (checkpoint.compared ?? 0)) return this.save(this.compared(checkpoint), signal);
    return live(this, collection, checkpoint, signal);
  }

  private async begin(
    collection: Collection,
    before: Checkpoint | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const backfill = before !== undefined || this.options.start === 'beginning';
    const changesFrom = await collection.now(signal, !backfill);
    if (before) this.options.log(say`${this.options.collection} is read anew`);
    await this.save(this.afresh(changesFrom, backfill, before), signal);
  }

  private compared(checkpoint: Checkpoint): Checkpoint {
    const { liveIds, collection, log, error } = this.options;
    if (liveIds) log(say`${collection} is reconciled with the stream`);
    else error(say`${collection} can't be compared: the NATS user may not read the stream`);
    return { ...checkpoint, phase: liveIds ? 'reconcile' : 'live', compared: this.comparison };
  }
}

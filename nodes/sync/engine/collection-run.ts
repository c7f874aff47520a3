import { now } from '../../shared/async/clock';
import { pause } from '../../shared/async/pause';
import type { Semaphore } from '../../shared/async/semaphore';
import { childController } from '../../shared/async/signals';
import { codeOf, FlowError, isRetryable, messageOf } from '../../shared/errors';
import type { PositionStore } from '../../shared/positions';
import { LOST, readCheckpoint, type Checkpoint } from './checkpoint';
import { Rate, type Phase, type Progress, type Trouble } from './progress';
import type { Changes, Collection, Page, Position, Provider } from './provider';
import { compare, refuseMassLoss, type Comparison } from './reconcile';
import type { SourceRecord } from './record';
import type { RecordWriter, Written } from './record-writer';
import type { History, HistoryHost } from '../history/thread';
import { say } from '../../shared/say';

export interface RunOptions {
  syncId: string;
  collection: string;
  provider: Provider;
  writer: RecordWriter;
  store: PositionStore;
  /** Of the checkpoint in the store. */
  key: string;
  /** When the stream was made, if that can be known. */
  streamCreated: () => string | undefined;
  /** Makes the stream that is gone, where that is asked for. */
  reopenStream: (signal: AbortSignal) => Promise<unknown>;
  semaphore: Semaphore;
  start: 'beginning' | 'now';
  events: boolean;
  /** Throws when another process may be the runner by now. */
  fence: () => void;
  /** Has a history read and published in a thread of its own, where that can be. */
  history?: (host: HistoryHost, events: boolean) => History | undefined;
  /** The ids that the stream shows as living, in pages; undefined where it can't be read. */
  liveIds: ((signal: AbortSignal) => AsyncIterable<string[]>) | undefined;
  /** Milliseconds from one reconciliation of the whole stream with the API to the next; 0 for none. */
  reconcile: number;
  progress: (progress: Progress) => void;
  log: (text: string) => void;
  error: (text: string) => void;
}

/** Milliseconds after a look at changes that found none, however soon there is said to be something. */
const IDLE = 100;
/** What waiting can't mend is looked at ever more rarely: it is mended elsewhere, and not always for good. */
const RETRY = { first: 1_000, longest: 60_000, permanent: 10 * 60_000 };

/** Another process has written the checkpoint: it is the runner now. */
export const LEASE_LOST = 'LEASE_LOST';

/**
 * One collection of a sync, from its first page to being followed for ever. It is where its checkpoint says, and
 * the checkpoint moves on only after what it covers is in the stream.
 */
export class CollectionRun {
  private checkpoint: Checkpoint | undefined;
  private collection: Collection | undefined;
  private revision = 0;
  private phase: Phase = 'waiting';
  private problem: { code: string; message: string } | undefined;
  /** What the collection last said was in its way. */
  private hindrance: string | undefined;
  /** The code of the failure that was said last, until something has worked. */
  private said: string | undefined;
  private readonly rate = new Rate();
  private published = 0;
  private refused = 0;
  private asOf: number | undefined;
  private wakeUp = new AbortController();
  private reconciledAt = now();
  private failures = 0;
  /** Which command to compare everything with the stream is to be followed. */
  private comparison = 0;
  /** Calls of the collection as it was opened before. */
  private calls = 0;

  constructor(
    private readonly options: RunOptions,
    /** Which command to read everything anew is to be followed: `Wanted.resync`, 0 for none. */
    private resync: number,
  ) {}

  /** Until `signal` aborts. Throws LEASE_LOST, and nothing else. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.checkpoint ??= await this.load(signal);
        await this.open(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (codeOf(error) === LEASE_LOST) throw error;
        // Whether the last save got through is not known.
        this.checkpoint = undefined;
        const longest = isRetryable(error) ? RETRY.longest : RETRY.permanent;
        await this.failed(error, Math.min(longest, RETRY.first * 2 ** this.failures++), signal);
        if (codeOf(error) === 'NO_STREAM') await this.options.reopenStream(signal).catch(() => undefined);
      }
    }
  }

  private async open(signal: AbortSignal): Promise<void> {
    const collection = await this.options.provider.open(this.options.collection, signal);
    this.collection = collection;
    try {
      await this.follow(collection, signal);
    } finally {
      this.calls += collection.apiCalls ?? 0;
      this.collection = undefined;
      await collection.close().catch(() => undefined);
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

  get progress(): Progress {
    const { syncId, collection, provider } = this.options;
    const { unavailable } = provider;
    const calls = this.calls + (this.collection?.apiCalls ?? 0);
    const problem = this.problem ?? (unavailable && troubleOf(unavailable)) ?? this.collection?.problem;
    return {
      sync_id: syncId,
      collection,
      phase: unavailable && this.phase !== 'failed' ? 'waiting' : this.phase,
      done: this.checkpoint?.done ?? 0,
      total: this.checkpoint?.total ?? null,
      rate: this.rate.perSecond,
      lag: this.phase === 'live' && this.asOf !== undefined ? Math.max(0, Date.now() - this.asOf) : null,
      published: this.published,
      refused: this.refused,
      ...(calls > 0 && { calls }),
      ...(problem && { error: problem }),
    };
  }

  private async load(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const { store, key, collection, start, writer, log, error } = this.options;
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
    writer.forget();
    if (start === 'now' && checkpoint.phase === 'live') return checkpoint;
    log(say`The stream was made anew at ${created}: ${collection} is read from the beginning`);
    return start === 'now' ? LOST : undefined;
  }

  private async save(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    const { store, key, fence, streamCreated } = this.options;
    fence();
    const value = JSON.stringify({ ...checkpoint, stream: streamCreated() ?? checkpoint.stream });
    const revision = await store.put(key, value, this.revision, signal);
    if (revision === undefined)
      throw new FlowError(LEASE_LOST, say`Another instance has taken over ${this.options.collection}`);
    this.revision = revision;
    this.checkpoint = checkpoint;
  }

  /** Whoever is on the way again has little to wait for after the next failure. */
  private worked(): void {
    this.failures = 0;
    if (this.said !== undefined) this.options.log(say`${this.options.collection} goes on`);
    this.said = undefined;
  }

  /** It has not been read since it was last told to be. One that is ahead of what is wanted is up to date. */
  private isOutdated(checkpoint: Checkpoint): boolean {
    return checkpoint.resync < this.resync;
  }

  private async follow(collection: Collection, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const checkpoint = this.checkpoint;
      if (!checkpoint || this.isOutdated(checkpoint)) await this.begin(collection, checkpoint, signal);
      else if (checkpoint.phase === 'backfill') await this.backfill(collection, checkpoint, signal);
      else if (checkpoint.phase === 'reconcile') await this.reconcile(collection, checkpoint, signal);
      else if (this.comparison > (checkpoint.compared ?? 0))
        await this.save(this.compared(checkpoint), signal);
      else await this.live(collection, checkpoint, signal);
    }
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

  /** Where a collection begins, or begins again: then what was there before has to be reconciled. */
  private afresh(changesFrom: Position, backfill: boolean, before: Checkpoint | undefined): Checkpoint {
    this.options.writer.forget();
    const complete = before?.complete ?? false;
    const phase = backfill ? 'backfill' : 'live';
    const resync = Math.max(this.resync, before?.resync ?? 0);
    return {
      phase,
      changesFrom,
      done: 0,
      resync,
      complete: complete || !backfill,
      reconcile: before !== undefined,
      ...(this.comparison > 0 && { compared: this.comparison }),
      ...(before?.heldAt !== undefined && { heldAt: before.heldAt }),
    };
  }

  /** Page by page, the next one read while this one is being published, unless others wait for their turn. */
  private async backfill(collection: Collection, from: Checkpoint, signal: AbortSignal): Promise<void> {
    this.enter('backfill');
    const { semaphore } = this.options;
    let checkpoint: Checkpoint = from;
    if (checkpoint.total === undefined) checkpoint = { ...checkpoint, total: await collection.count(signal) };
    const events = this.options.events && checkpoint.complete;
    const history = this.options.history?.(this.historyHost(collection), events);
    const page = (at?: Position): Promise<Page> => collection.page(at, signal, history);
    let ahead: Promise<Page> | undefined;
    try {
      while (checkpoint.phase === 'backfill' && !this.isOutdated(checkpoint) && !signal.aborted) {
        const wait = await semaphore.take(async () => {
          const { records, next, wait = 0, written } = await (ahead ?? page(checkpoint.pageFrom));
          ahead = next && wait === 0 && !semaphore.contended ? page(next) : undefined;
          ahead?.catch(() => undefined);
          await this.write(collection, records, { events: checkpoint.complete, remember: false }, signal);
          if (written) this.count(written.records, written);
          const done = checkpoint.done + records.length + (written?.records ?? 0);
          checkpoint = { ...checkpoint, pageFrom: next, done };
          if (!next) checkpoint = this.afterBackfill(collection, checkpoint);
          await this.save(checkpoint, signal);
          this.worked();
          return wait;
        });
        this.report();
        if (wait > 0) await pause(wait, signal);
      }
    } finally {
      await ahead?.catch(() => undefined);
      await history?.end();
    }
  }

  private historyHost(collection: Collection): HistoryHost {
    return {
      fence: this.options.fence,
      read: collection.read && ((ids, signal) => collection.read?.(ids, signal) ?? Promise.resolve([])),
      refused: (id, reason) => this.refuse(id, reason),
    };
  }

  private afterBackfill({ compareEvery }: Collection, checkpoint: Checkpoint): Checkpoint {
    const { liveIds, collection, log } = this.options;
    const reconciled = compareEvery !== undefined && { reconciled: Date.now() };
    if (!checkpoint.reconcile) return { ...checkpoint, phase: 'live', ...reconciled };
    if (liveIds) return { ...checkpoint, phase: 'reconcile' };
    log(
      say`${collection} was read anew, but records deleted in the meantime can't be found: the NATS user may not read the stream`,
    );
    return { ...checkpoint, phase: 'live', complete: true };
  }

  /** What the stream shows as living is compared with the API; what is gone is published as deleted. */
  private async reconcile(
    collection: Collection,
    checkpoint: Checkpoint,
    signal: AbortSignal,
  ): Promise<void> {
    const { semaphore, collection: name } = this.options;
    const write = async (records: SourceRecord[]): Promise<void> => {
      await this.write(collection, records, { events: true, remember: false }, signal);
      this.report();
    };
    const found = await compare({
      collection,
      liveIds: this.liveIds(signal),
      write,
      turn: (work) => semaphore.take(work),
      complete: this.options.start === 'beginning',
      signal,
    });
    if (signal.aborted) return;
    const { heldAt } = checkpoint;
    const confirmed = heldAt !== undefined && checkpoint.resync > heldAt;
    if (!confirmed) await this.refuseMassLoss(name, found, checkpoint, signal);
    if (found.lost.length > 0) await semaphore.take(() => write(found.lost));
    if (signal.aborted) return;
    this.reconciledAt = now();
    const reconciled = collection.compareEvery === undefined ? undefined : Date.now();
    const done: Checkpoint = { ...checkpoint, phase: 'live', reconcile: false, complete: true };
    await this.save({ ...done, heldAt: undefined, ...(reconciled && { reconciled }) }, signal);
    this.worked();
  }

  /** Which command comes after it, and so confirms it, has to be known then. */
  private async refuseMassLoss(
    name: string,
    found: Comparison,
    checkpoint: Checkpoint,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      refuseMassLoss(name, found, checkpoint.reconcile);
    } catch (error) {
      if (checkpoint.heldAt === undefined)
        await this.save({ ...checkpoint, heldAt: checkpoint.resync }, signal);
      throw error;
    }
  }

  /** What the stream shows as living, as far as the NATS user may read it. */
  private async *liveIds(signal: AbortSignal): AsyncGenerator<string[], void, undefined> {
    try {
      yield* this.options.liveIds?.(signal) ?? [];
    } catch (error) {
      if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
      this.options.error(
        say`Deleted records of ${this.options.collection} can't be found: ${messageOf(error)}`,
      );
    }
  }

  private async live(collection: Collection, from: Checkpoint, signal: AbortSignal): Promise<void> {
    this.enter('live');
    const { semaphore, liveIds, log } = this.options;
    let checkpoint: Checkpoint = from.complete
      ? from
      : { ...from, complete: true, done: 0, total: undefined };
    this.wakeUp = childController(signal);
    const awake = this.wakeUp.signal;
    while (checkpoint.phase === 'live' && !this.isOutdated(checkpoint) && !signal.aborted) {
      await collection.ready(checkpoint.changesFrom, awake);
      if (awake.aborted) return;
      const idle = await semaphore.take(async () => {
        const changes = await collection.changes(checkpoint.changesFrom, signal);
        const { published } = await this.write(
          collection,
          changes.records,
          { events: true, remember: true },
          signal,
        );
        this.asOf = changes.asOf;
        checkpoint = { ...checkpoint, changesFrom: changes.position, done: checkpoint.done + published };
        if (changes.gap) checkpoint = this.afterGap(changes, checkpoint);
        else if (liveIds && this.isDue(collection, checkpoint))
          checkpoint = { ...checkpoint, phase: 'reconcile' };
        await this.save(checkpoint, signal);
        this.worked();
        if (published > 0 || collection.problem?.message !== this.hindrance) this.report();
        if (collection.problem && !collection.problem.told && collection.problem.message !== this.hindrance)
          this.options.error(collection.problem.message);
        this.hindrance = collection.problem?.message;
        return changes.records.length === 0 && !changes.more;
      });
      if (idle) await pause(IDLE, awake);
    }
    if (checkpoint.phase === 'reconcile') log(say`${this.options.collection} is reconciled with the stream`);
  }

  private compared(checkpoint: Checkpoint): Checkpoint {
    const { liveIds, collection, log, error } = this.options;
    if (liveIds) log(say`${collection} is reconciled with the stream`);
    else error(say`${collection} can't be compared: the NATS user may not read the stream`);
    return { ...checkpoint, phase: liveIds ? 'reconcile' : 'live', compared: this.comparison };
  }

  /** A comparison with the whole API. Who restarts often still comes to one that is a day apart. */
  private isDue({ compareEvery }: Collection, { reconciled = 0 }: Checkpoint): boolean {
    const { reconcile } = this.options;
    if (reconcile > 0) return now() - this.reconciledAt > reconcile;
    return compareEvery !== undefined && Math.abs(Date.now() - reconciled) > compareEvery;
  }

  private afterGap({ gap, lost = 'changes', position }: Changes, checkpoint: Checkpoint): Checkpoint {
    const { collection, error, log, liveIds } = this.options;
    switch (lost) {
      case 'deletions':
        error(
          say`Deletions of ${collection} are lost: ${gap}; ${liveIds ? say`the stream is compared with the API` : say`they can't be found, as the NATS user may not read the stream`}`,
        );
        return liveIds ? { ...checkpoint, phase: 'reconcile', reconcile: true } : checkpoint;
      case 'fields':
        log(say`${collection} is read again: ${gap}`);
        return { ...this.afresh(position, true, checkpoint), reconcile: false };
      case 'all':
        error(say`${collection} is read again: ${gap}`);
        return this.afresh(position, true, checkpoint);
      case 'changes':
        error(say`Changes of ${collection} are lost: ${gap}; everything is read again`);
        return this.afresh(position, true, checkpoint);
    }
  }

  private async write(
    collection: Collection,
    records: readonly SourceRecord[],
    how: { events: boolean; remember: boolean },
    signal: AbortSignal,
  ): Promise<{ published: number }> {
    const { writer, fence, events } = this.options;
    const written = await writer.write(records, {
      signal,
      fence,
      events: events && how.events,
      remember: how.remember,
      read: collection.read && ((ids) => collection.read?.(ids, signal) ?? Promise.resolve([])),
      refused: ({ id }, reason) => this.refuse(id, reason),
    });
    this.count(records.length, written);
    return written;
  }

  private refuse(id: string, { message }: FlowError): void {
    this.options.error(say`${this.options.collection} ${id} is not in the stream: ${message}`);
  }

  private count(records: number, { published, refused }: Written): void {
    this.rate.add(records);
    this.published += published;
    this.refused += refused;
  }

  private async failed(error: unknown, wait: number, signal: AbortSignal): Promise<void> {
    const problem = { code: codeOf(error), message: messageOf(error) };
    const { collection } = this.options;
    // Its text can name what differs from try to try.
    if (this.said !== problem.code) this.options.error(`${collection}: ${problem.message}`);
    this.said = problem.code;
    this.problem = problem;
    this.phase = isRetryable(error) ? 'waiting' : 'failed';
    this.report();
    this.wakeUp = childController(signal);
    await pause(wait, this.wakeUp.signal);
    this.wakeUp.abort();
  }

  private enter(phase: Phase): void {
    if (this.phase === phase && !this.problem) return;
    this.problem = undefined;
    this.phase = phase;
    this.report();
  }

  private report(): void {
    this.options.progress(this.progress);
  }
}

/** Of what may hold more. */
function troubleOf({ code, message, told }: Trouble): Trouble {
  return { code, message, ...(told && { told }) };
}

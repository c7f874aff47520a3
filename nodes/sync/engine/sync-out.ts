import type { Connection } from '../../jetstream/server/connection';
import { Bucket } from '../../jetstream/streams/kv';
import { codeOf, FlowError, messageOf } from '../../shared/errors';
import { positionsInOne, type PositionStore } from '../../shared/positions';
import type { Log } from '../../shared/log';
import type { SourceSettings } from '../api-source.settings';
import type { SyncOutSettings } from '../api-sync-out.settings';
import type { ControlCommand } from './control';
import { FlowRecords } from '../providers/flow';
import { ProgressTeller, type Progress } from './progress';
import type { Provider } from './provider';
import type { RecordStream } from './record-writer';
import { Sync } from './sync';
import { Target } from './target';
import { tracedProvider } from './traced';
import type { Tracer } from '../../shared/tracing/tracer';
import { say } from '../../shared/say';

/** An api-source as it runs. */
export interface Source {
  settings: SourceSettings;
  openProvider(log: (text: string) => void): Provider;
  /** `stop` is called before the source goes; returns the way to leave it. */
  use(stop: () => Promise<void>): () => void;
}

export interface SyncOutHandler {
  /** Of one collection, for the flow. */
  progress(progress: Progress): void;
  changed(): void;
  log: Log;
  /** Makes spans of what the syncs do. */
  readonly tracer?: Tracer | undefined;
}

interface Running {
  sync?: Sync;
  records?: FlowRecords;
  /** Instead of either, where it could not be started. */
  failed?: Progress[];
  leave: () => void;
}

/** Collections of flows whose progress is told, those written to last. */
const FLOW_COLLECTIONS = 1_000;

/** All the syncs of one api-sync-out: their sources' records into its stream. */
export class SyncOut {
  private readonly stopping = new AbortController();
  private readonly target: Target;
  private readonly store: PositionStore;
  private readonly release: () => Promise<void>;
  private readonly running = new Map<Source, Running>();
  private readonly tellers = new Map<string, ProgressTeller>();
  private readonly flowProgress = new Map<string, Progress>();
  private changing: Promise<void> = Promise.resolve();
  /** Resolves when every sync that was stopped so far has ended. */
  private ending: Promise<void> = Promise.resolve();
  private opened: Promise<RecordStream> | undefined;

  constructor(
    connection: Connection,
    private readonly settings: SyncOutSettings,
    private readonly handler: SyncOutHandler,
    /** Keeps positions where the settings name no bucket. */
    context: () => PositionStore,
  ) {
    this.release = connection.use({ state: () => handler.changed() });
    const { stream, subjectPrefix: prefix, provision, streamConfig: form = {}, events, bucket } = settings;
    this.target = new Target(connection, {
      stream,
      prefix,
      provision,
      form,
      narrow: settings.narrow ?? false,
      events,
      info: (text) => handler.log('info', text),
      warn: (text) => handler.log('warn', text),
    });
    this.store = bucket === undefined ? positionsInOne(context(), 'sync') : new Bucket(connection, bucket);
  }

  /** Starts and stops syncs so that it is those of these sources. */
  setSources(sources: readonly Source[]): void {
    this.changing = this.changing.then(async () => {
      const gone = [...this.running.keys()].filter((source) => !sources.includes(source));
      await Promise.all(gone.map((source) => this.stopSource(source)));
      if (this.stopping.signal.aborted) return;
      for (const source of sources) if (!this.running.has(source)) this.startSource(source);
      this.handler.changed();
    });
  }

  get streamName(): string {
    return this.settings.stream;
  }

  get progress(): Progress[] {
    const syncs = [...this.running.values()].flatMap(({ sync, failed }) => sync?.status ?? failed ?? []);
    return [...syncs, ...this.flowProgress.values()];
  }

  /** Tells the progress of all collections. */
  tellAll(): void {
    for (const progress of this.progress) this.handler.progress(progress);
  }

  /** For the collections named, or all. Throws FlowError. */
  async command(command: ControlCommand, collections: readonly string[]): Promise<void> {
    const syncs = [...this.running.values()].flatMap(({ sync }) => sync ?? []);
    const concerned = syncs
      .map((sync) => ({ sync, named: collections.filter((name) => sync.collections.includes(name)) }))
      .filter(({ named }) => collections.length === 0 || named.length > 0);
    if (concerned.length === 0)
      throw new FlowError(
        'NO_SUCH_COLLECTION',
        say`No sync of this node has the collection ${collections.join(', ') || say`that is meant`}`,
        false,
      );
    await Promise.all(concerned.map(({ sync, named }) => sync.command(command, named)));
  }

  /** Records that the flow hands in. Throws FlowError. */
  async write(payload: unknown, syncId: string | undefined): Promise<void> {
    const takers = [...this.running].filter(
      ([{ settings }, { records }]) => records && (syncId === undefined || settings.syncId === syncId),
    );
    const [taker, second] = takers;
    if (!taker)
      throw new FlowError(
        'NO_FLOW_SOURCE',
        say`This message is no command (topic start, stop, resync, reconcile or status), and no api-source of this node takes records from a flow`,
        false,
      );
    if (second)
      throw new FlowError(
        'WHICH_SYNC',
        say`Several api-sources of this node take records from a flow: say which one is meant in msg.sync_id`,
        false,
      );
    await taker[1].records?.write(payload);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.changing;
    for (const source of [...this.running.keys()]) void this.stopSource(source);
    await this.ending;
    for (const teller of this.tellers.values()) teller.stop();
    await this.target.close();
    await this.release();
  }

  private startSource(source: Source): void {
    const running: Running = { leave: source.use(() => this.stopSource(source)) };
    this.running.set(source, running);
    try {
      if (source.settings.provider === 'flow') running.records = this.startRecords(source.settings);
      else running.sync = this.startSync(source);
      running.sync?.start();
    } catch (error) {
      this.handler.log('error', messageOf(error));
      running.failed = failedProgress(source.settings, error);
    }
  }

  private startSync(source: Source): Sync {
    const { syncId, collections, reconcile } = source.settings;
    const { tracer } = this.handler;
    const { subjectPrefix: prefix, start, events, bucket, lease } = this.settings;
    const logAt = (level: 'info' | 'error') => (text: string) => this.handler.log(level, text);
    return new Sync({
      syncId,
      collections,
      reconcile,
      prefix,
      start,
      events,
      provider: tracedProvider(source.openProvider(logAt('info')), tracer),
      tracing: tracer && { tracer, stream: this.settings.stream },
      store: this.store,
      lease: bucket === undefined ? undefined : lease,
      stream: (signal) => this.target.open(signal),
      liveIds: (subject, signal) => this.target.liveIds(subject, signal),
      progress: (progress) => this.tell(progress),
      log: logAt('info'),
      error: logAt('error'),
    });
  }

  private startRecords({ syncId }: SourceSettings): FlowRecords {
    const { subjectPrefix: prefix, events } = this.settings;
    // The stream is there before the first record.
    this.stream().catch(
      (error: Error) => !this.stopping.signal.aborted && this.handler.log('error', error.message),
    );
    return new FlowRecords({
      syncId,
      prefix,
      events,
      stream: () => this.stream(),
      written: (collection, done, published) => this.flowWritten(syncId, collection, done, published),
    });
  }

  /** For records of flows; a failure is tried again with the next message. */
  private stream(): Promise<RecordStream> {
    this.opened ??= this.target.open(this.stopping.signal);
    this.opened.catch(() => (this.opened = undefined));
    return this.opened;
  }

  private flowWritten(syncId: string, collection: string, done: number, published: number): void {
    const key = `${syncId} ${collection}`;
    const before = this.flowProgress.get(key);
    this.flowProgress.delete(key);
    const [oldest] = this.flowProgress.size >= FLOW_COLLECTIONS ? this.flowProgress.keys() : [];
    if (oldest !== undefined) this.flowProgress.delete(oldest);
    this.flowProgress.set(key, {
      sync_id: syncId,
      collection,
      phase: 'live',
      done: (before?.done ?? 0) + done,
      total: null,
      rate: 0,
      lag: null,
      published: (before?.published ?? 0) + published,
      refused: 0,
    });
    this.handler.changed();
  }

  private stopSource(source: Source): Promise<void> {
    const running = this.running.get(source);
    this.running.delete(source);
    running?.leave();
    running?.records?.stop();
    const ending = Promise.all([this.ending, running?.sync?.stop()]).then(() => undefined);
    this.ending = ending;
    return ending;
  }

  private tell(progress: Progress): void {
    const key = `${progress.sync_id} ${progress.collection}`;
    const teller = this.tellers.get(key) ?? new ProgressTeller((latest) => this.handler.progress(latest));
    this.tellers.set(key, teller);
    teller.show(progress);
    this.handler.changed();
  }
}

function failedProgress({ syncId, collections }: SourceSettings, error: unknown): Progress[] {
  const problem = { code: codeOf(error), message: messageOf(error) };
  const nothing = { done: 0, total: null, rate: 0, lag: null, published: 0, refused: 0 };
  return collections.map((collection) => ({
    sync_id: syncId,
    collection,
    phase: 'failed',
    ...nothing,
    error: problem,
  }));
}

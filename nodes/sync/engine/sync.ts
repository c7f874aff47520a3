import { pause } from '../../shared/async/pause';
import { Semaphore } from '../../shared/async/semaphore';
import { childController, untilAborted } from '../../shared/async/signals';
import { withTimeout } from '../../shared/async/timeout';
import { codeOf, FlowError, messageOf } from '../../shared/errors';
import type { PositionStore } from '../../shared/positions';
import { CollectionRun } from './collection-run';
import { Control, type ControlCommand, type Wanted } from './control';
import { Lease } from '../../shared/lease';
import type { Progress } from './progress';
import type { Provider } from './provider';
import { RecordWriter, type RecordStream } from './record-writer';
import { HistoryThread } from '../history/thread';
import { collectionSubject, escapeKey, type SubjectOf } from './tokens';
import { say } from '../../shared/say';

export interface SyncOptions {
  syncId: string;
  provider: Provider;
  /** As in the messages: "salesforce:contact". */
  collections: readonly string[];
  prefix: string;
  start: 'beginning' | 'now';
  events: boolean;
  store: PositionStore;
  /** Milliseconds of the lease; undefined where this process is the only one. */
  lease: number | undefined;
  reconcile: number;
  /** Resolves when the stream can be written to; says how. */
  stream: (signal: AbortSignal) => Promise<RecordStream>;
  /** The ids of the records that the subjects below this one show as living, in pages. */
  liveIds: (subject: string, signal: AbortSignal) => AsyncIterable<string[]>;
  progress: (progress: Progress) => void;
  log: (text: string) => void;
  error: (text: string) => void;
  /** Reads and publishes large histories. */
  histories?: HistoryThread;
}

/** Collections that read and publish at the same time; the others wait for their turn. */
const AT_ONCE = 2;
/** Milliseconds in which the lease has to be given back. */
const RELEASE = 2_000;
const RETRY = { first: 1_000, longest: 30_000 };

interface Running {
  run: CollectionRun;
  stop: AbortController;
  ended: Promise<void>;
}

/** One source's collections into one stream: by this process while it holds the lease, else by another one. */
export class Sync {
  private readonly stopping = new AbortController();
  private readonly lease: Lease | undefined;
  private readonly control: Control;
  private readonly semaphore = new Semaphore(AT_ONCE);
  private readonly histories: HistoryThread;
  private readonly running = new Map<string, Running>();
  private readonly latest = new Map<string, Progress>();
  private wanted: Wanted = { stopped: [], resync: {} };
  private ended: Promise<void> | undefined;
  private stopListening: () => void = () => undefined;
  private problem = '';

  constructor(private readonly options: SyncOptions) {
    const key = (name: string): string => `${escapeKey(options.syncId)}.${name}`;
    if (options.lease !== undefined) this.lease = new Lease(options.store, key('lease'), options.lease);
    this.control = new Control(options.store, key('control'));
    this.histories = options.histories ?? new HistoryThread(options.log);
  }

  get collections(): readonly string[] {
    return this.options.collections;
  }

  start(): void {
    for (const collection of this.options.collections) this.tell(collection, 'waiting');
    this.stopListening = this.options.provider.onChange(() => {
      for (const { run } of this.running.values()) this.report(run.progress);
    });
    this.ended ??= this.work(this.stopping.signal);
  }

  /** Resolves when nothing is under way any more and the lease is free. */
  async stop(): Promise<void> {
    this.stopListening();
    this.stopping.abort();
    await this.ended;
    await this.options.provider.close();
  }

  /** For this and every other instance, and across restarts. Empty `collections` means all. */
  async command(command: ControlCommand, collections: readonly string[] = []): Promise<void> {
    const named = collections.length === 0 ? this.collections : collections;
    const wanted = await this.control.change(command, named, this.stopping.signal);
    this.apply(wanted);
    for (const collection of named) this.running.get(collection)?.run.wake();
  }

  get status(): Progress[] {
    return this.options.collections.map((collection) => {
      const running = this.running.get(collection);
      return running ? running.run.progress : (this.latest.get(collection) as Progress);
    });
  }

  private async work(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.hold(signal, () => (failures = 0));
      } catch (error) {
        if (signal.aborted) break;
        this.failed(error);
      }
      await pause(Math.min(RETRY.longest, RETRY.first * 2 ** failures++), signal);
    }
  }

  /** Gets the lease and runs the collections for as long as it is held. */
  private async hold(signal: AbortSignal, worked: () => void): Promise<void> {
    const waiting = (): void => {
      for (const collection of this.options.collections)
        this.tell(collection, 'waiting', new FlowError('LEASED', say`Another instance runs this sync`));
    };
    if (this.lease && !(await this.lease.acquire(signal, waiting))) return;
    const leased = childController(signal);
    const during = leased.signal;
    const kept = (
      this.lease
        ? this.lease.keep(during, async () => this.apply(await this.control.load(during)))
        : untilAborted(during)
    ).finally(() => leased.abort());
    try {
      const stream = await this.options.stream(during);
      this.wanted = await this.control.load(during);
      this.problem = '';
      worked();
      this.apply = (wanted) => {
        if (!during.aborted) this.applyTo(stream, wanted, leased);
      };
      this.apply(this.wanted);
      await kept;
    } finally {
      this.apply = () => undefined;
      leased.abort();
      await this.stopAll();
      // A renewal that is under way: giving back what it is about to write would fail.
      await kept;
      // A signal of its own: what is being stopped still has to give the lease back.
      if (this.lease) await withTimeout(RELEASE, this.lease.release(AbortSignal.timeout(RELEASE)));
    }
  }

  /** Starts and stops collections as is wanted; while the lease is held. */
  private apply: (wanted: Wanted) => void = () => undefined;

  private applyTo(stream: RecordStream, wanted: Wanted, leased: AbortController): void {
    this.wanted = wanted;
    for (const collection of this.options.collections) {
      const running = this.running.get(collection);
      const stopped = wanted.stopped.includes(collection);
      if (stopped) running?.stop.abort();
      if (stopped && !running) this.tell(collection, 'stopped');
      if (!stopped && !running) this.begin(collection, stream, leased);
      const { run } = this.running.get(collection) ?? {};
      run?.askResync(wanted.resync[collection] ?? 0);
      run?.askReconcile(wanted.reconcile?.[collection] ?? 0);
    }
  }

  private begin(collection: string, stream: RecordStream, leased: AbortController): void {
    const { options } = this;
    const of: SubjectOf = {
      prefix: options.prefix,
      syncId: options.syncId,
      provider: options.provider.name,
      collection,
    };
    const run = new CollectionRun(
      {
        ...options,
        collection,
        writer: new RecordWriter(of, stream),
        key: `${escapeKey(options.syncId)}.${escapeKey(collection)}`,
        streamCreated: () => stream.created,
        reopenStream: async (signal) => Object.assign(stream, await options.stream(signal)),
        semaphore: this.semaphore,
        fence: () => this.fence(),
        history: (host, events) => {
          const { address } = stream;
          return address && this.histories.open({ of, address, events }, host);
        },
        liveIds: stream.last && ((signal) => options.liveIds(collectionSubject(of), signal)),
        progress: (progress) => this.report(progress),
      },
      this.wanted.resync[collection] ?? 0,
    );
    const stop = childController(leased.signal);
    const ended = run
      .run(stop.signal)
      .catch(() => leased.abort())
      .finally(() => {
        stop.abort();
        this.running.delete(collection);
        this.apply(this.wanted);
      });
    this.running.set(collection, { run, stop, ended });
  }

  private fence(): void {
    if (this.lease && !this.lease.held)
      throw new FlowError(
        'LEASE_LOST',
        say`The lease could not be renewed in time: another instance may run the sync`,
      );
  }

  private async stopAll(): Promise<void> {
    const all = [...this.running.values()];
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ ended }) => ended));
  }

  private failed(error: unknown): void {
    if (messageOf(error) !== this.problem) this.options.error(messageOf(error));
    this.problem = messageOf(error);
    for (const collection of this.options.collections) this.tell(collection, 'waiting', error);
  }

  /** Of a collection that isn't running. */
  private tell(collection: string, phase: Progress['phase'], error?: unknown): void {
    const before = this.latest.get(collection);
    const problem = error === undefined ? undefined : { code: codeOf(error), message: messageOf(error) };
    if (before?.phase === phase && before.error?.message === problem?.message) return;
    this.report({
      ...(before ?? {
        sync_id: this.options.syncId,
        collection,
        done: 0,
        total: null,
        published: 0,
        refused: 0,
      }),
      phase,
      rate: 0,
      lag: null,
      error: problem,
    });
  }

  private report(progress: Progress): void {
    this.latest.set(progress.collection, progress);
    this.options.progress(progress);
  }
}

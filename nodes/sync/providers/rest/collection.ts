import { now } from '../../../shared/async/clock';
import { pause } from '../../../shared/async/pause';
import { parseDuration } from '../../../shared/duration';
import { FlowError, isFlowError } from '../../../shared/errors';
import type { Trouble } from '../../engine/progress';
import type { Changes, Collection, Page, Position } from '../../engine/provider';
import type { SourceRecord } from '../../engine/record';
import { withAssociations } from './associations';
import { Bin, type BinState } from './bin';
import { ChangedRows } from './changed-rows';
import { feedOf, type Feed, type FeedState } from './changes';
import type { RestClient } from './client';
import type { CollectionDeclaration, Declaration } from './declaration';
import { Fields } from './fields';
import { History, type HistoryState } from './history';
import { partitionsOf, WHOLE, type Partition } from './partitions';
import { PassReader, type Pass, type Step } from './pass';
import { readByIds } from './reading';
import { belongs, goneRecord, idIn, idOf, isDeleted, mergedInto, recordOf } from './records';
import type { Values } from './template';
import { Unidentified } from './unidentified';

export interface CollectionOptions {
  client: RestClient;
  declaration: Declaration;
  of: CollectionDeclaration;
  /** Those of the scope, and the one partition that they name. */
  values: Values;
  partition?: Partition;
  /** The kinds that are asked for. */
  associations: readonly string[];
  /** Milliseconds. */
  pollInterval: number;
  lookback: number;
}

type PartState = FeedState & {
  /** The last round in which it was read to its end. */
  done?: number;
  /** It is new, and everything is read of it. */
  fresh?: HistoryState;
  /** Those to be read, and whether there is nothing more in this round. */
  ids?: string[];
  ended?: boolean;
  /** It was refused before anything of it was read. */
  unread?: true;
};

/** What has changed in a partition, and where it is read on. */
interface PartChanges {
  key: string;
  records: SourceRecord[];
  state: PartState;
  gap?: string;
}

/** Where changes are: each partition by itself, in rounds of all. */
interface ChangesPosition {
  /** When this round began, epoch ms. */
  at: number;
  round: number;
  parts: Record<string, PartState>;
  bin?: BinState;
}

/** The pages of everything: how far each partition has been read, 0 for to its end. */
interface HistoryPosition {
  parts: Record<string, HistoryState | 0>;
}

/** Partitions, or slices of them, that are read at the same time, as far as the API permits. */
const AT_ONCE = 8;
/** Ids that are gathered until they are read: a position has room for them. */
const GATHERED = 1_000;
/** Records that are read at once where each takes a request. */
const SOON = 25;

/** A collection of an API that was declared. */
export class RestCollection implements Collection {
  readonly compareEvery: number | undefined;
  readonly changesUnseen: boolean;
  readonly read: Collection['read'];
  private readonly feeds = new Map<string, Feed>();
  private readonly histories = new Map<string, History>();
  /** Why partitions were not read in this round, by their key. */
  private readonly refused = new Map<string, FlowError>();
  private readonly withoutId: Unidentified;
  private readonly changed: ChangedRows;
  private readonly fields: Fields;
  private readonly bin: Bin | undefined;
  private partitions: Partition[] | undefined;
  private lastRound: number | undefined;

  constructor(private readonly options: CollectionOptions) {
    const { of, client, values, lookback, associations } = options;
    this.changesUnseen = of.associations !== undefined && associations.length > 0;
    this.compareEvery = of.compare && parseDuration(of.compare.every);
    this.withoutId = new Unidentified(of);
    this.changed = new ChangedRows(of, this.withoutId);
    this.fields = new Fields(client, of, values);
    if (of.read && (!of.of || options.partition))
      this.read = async (ids, signal) =>
        this.complete(await readByIds(client, of, ids, await this.fields.values(signal), signal), signal);
    this.bin = of.bin && new Bin(client, of, of.bin, values, lookback);
  }

  count(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Of one that is refused changes come when it is no more. */
  get problem(): Trouble | undefined {
    const [first] = this.refused.values();
    return first ? { code: first.code, message: first.message } : this.withoutId.problem;
  }

  get unidentified(): number {
    return this.withoutId.count;
  }

  async now(signal: AbortSignal): Promise<ChangesPosition> {
    const { client } = this.options;
    // Any answer tells the API's time.
    this.partitions = undefined;
    const partitions = await this.allPartitions(signal);
    if (!client.knowsTime) await this.probe(partitions[0], signal);
    const parts: ChangesPosition['parts'] = {};
    for (let from = 0; from < partitions.length; from += AT_ONCE)
      await Promise.all(
        partitions.slice(from, from + AT_ONCE).map(async (partition) => {
          const started = await this.unlessRefused(partition, this.feed(partition).start(signal));
          parts[partition.key] = started ?? { since: client.past(), unread: true };
        }),
      );
    return { at: client.past(), round: 1, parts, ...(this.bin && { bin: this.bin.start() }) };
  }

  async page(from: Position | undefined, signal: AbortSignal): Promise<Page> {
    if (!from) this.withoutId.begin();
    const { parts } = (from ?? { parts: {} }) as HistoryPosition;
    const pending = (await this.allPartitions(signal)).filter(({ key }) => parts[key] !== 0);
    const granted = pending.filter(({ key }) => !this.refused.has(key));
    const room = Math.max(1, Math.floor(AT_ONCE / granted.length));
    const pages = await Promise.all(
      granted.slice(0, AT_ONCE).map((partition) => {
        const page = this.historyPage(partition, parts[partition.key] || undefined, room, signal);
        return this.unlessRefused(partition, page);
      }),
    );
    const read = pages.filter((page) => page !== undefined);
    const records = read.flatMap((page) => page.records);
    const next = { ...parts, ...Object.fromEntries(read.map(({ key, state }) => [key, state ?? 0])) };
    const left = pending.map(({ key }) => key).filter((key) => next[key] !== 0);
    if (left.some((key) => !this.refused.has(key))) return { records, next: { parts: next } };
    return { records, next: undefined, changesFrom: (begin) => withUnread(begin as ChangesPosition, left) };
  }

  async ready(_from: Position, signal: AbortSignal): Promise<void> {
    if (this.lastRound === undefined) return;
    const left = this.lastRound + this.options.pollInterval - now();
    if (left > 0) await pause(left, signal);
  }

  async changes(from: Position, signal: AbortSignal): Promise<Changes> {
    const position = from as ChangesPosition;
    const begins = Object.values(position.parts).every(({ done }) => done !== position.round);
    if (begins && this.options.of.of) this.partitions = undefined;
    const began = begins ? this.options.client.past() : position.at;
    const partitions = await this.allPartitions(signal);
    const pending = partitions.filter(({ key }) => position.parts[key]?.done !== position.round);
    if (pending.length === 0) return this.endOfRound(position, began, signal);
    const steps = await Promise.all(
      pending.slice(0, AT_ONCE).map((partition) => this.changesUnlessRefused(partition, position, signal)),
    );
    const present = new Set(partitions.map(({ key }) => key));
    for (const key of this.refused.keys()) if (!present.has(key)) this.refused.delete(key);
    const kept = Object.entries(position.parts).filter(([key]) => present.has(key));
    const parts = Object.fromEntries([...kept, ...steps.map(({ key, state }) => [key, state] as const)]);
    const records = steps.flatMap((step) => step.records);
    const gap = steps.find((step) => step.gap !== undefined)?.gap;
    const next: ChangesPosition = { ...position, at: began, parts };
    if (gap !== undefined) return { records, position: next, more: false, asOf: began, gap };
    const over = pending.every(({ key }) => parts[key]?.done === position.round);
    if (!over || this.bin?.isDue(position.bin)) return { records, position: next, more: true, asOf: began };
    const ended = await this.endOfRound(next, began, signal);
    return { ...ended, records: [...records, ...ended.records] };
  }

  async *ids(signal: AbortSignal): AsyncGenerator<string[], void, undefined> {
    const { of, client } = this.options;
    const listing = of.compare?.list ?? of.list;
    this.partitions = undefined;
    this.withoutId.begin();
    for (const { values } of await this.allPartitions(signal)) {
      const reader = new PassReader(client, { listing, values, idOf: (row) => idIn(of, row) });
      for (let pass: Pass | undefined = reader.begin(0); pass && !signal.aborted;) {
        const step: Step | undefined = await this.unlessGone(reader.step(pass, signal));
        const rows = (step?.rows ?? []).filter((row) => belongs(of, row) && !isDeleted(of, row));
        yield this.withoutId.leaveOut(rows, true).map((row) => idOf(of, row));
        pass = step?.pass;
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async endOfRound(position: ChangesPosition, began: number, signal: AbortSignal): Promise<Changes> {
    const step = this.bin && (await this.bin.step(position.bin, signal));
    const records = step && step.ids.length > 0 ? ((await this.read?.(step.ids, signal)) ?? []) : [];
    const more = step?.more ?? false;
    if (!more) this.lastRound = now();
    return {
      records: [...(step?.records ?? []), ...records],
      position: { ...position, at: began, round: position.round + (more ? 0 : 1), bin: step?.state },
      more,
      asOf: began,
    };
  }

  private async historyPage(
    { key, values }: Partition,
    before: HistoryState | undefined,
    room: number,
    signal: AbortSignal,
  ): Promise<{ key: string; records: SourceRecord[]; state: HistoryState | undefined }> {
    const { of, client } = this.options;
    const fields = await this.fields.values(signal);
    // All fields at once may be more than a URL holds: then the list shows ids, and records are read by them.
    const apart = of.read !== undefined && this.fields.tooLong;
    const listed = { ...values, ...(!apart && fields) };
    const step = await this.unlessGone(this.history(key, listed).step(before, room, signal));
    const belonging = (step?.rows ?? []).filter((row) => belongs(of, row));
    const rows = this.withoutId.leaveOut(belonging, true);
    const records = apart
      ? await readByIds(
          client,
          of,
          rows.map((row) => idOf(of, row)),
          fields,
          signal,
        )
      : rows.map((row) => recordOf(of, row));
    return { key, records: await this.complete(records, signal), state: step?.state };
  }

  /** One that is refused is asked for again in the next round. */
  private async changesUnlessRefused(
    partition: Partition,
    position: ChangesPosition,
    signal: AbortSignal,
  ): Promise<PartChanges> {
    const { key } = partition;
    const { parts, round, at: since } = position;
    const changes = await this.unlessRefused(partition, this.changesOf(partition, position, signal));
    if (changes) return changes;
    return { key, records: [], state: { ...(parts[key] ?? { since, unread: true }), done: round } };
  }

  /** A step of the round in one partition; of one that is new, everything. */
  private async changesOf(
    partition: Partition,
    position: ChangesPosition,
    signal: AbortSignal,
  ): Promise<PartChanges> {
    const { key } = partition;
    const { round } = position;
    const state = position.parts[key];
    if (!state || state.fresh || state.unread) {
      const started = state && !state.unread ? state : await this.feed(partition).start(signal);
      const { records, state: fresh } = await this.historyPage(partition, state?.fresh, 1, signal);
      return { key, records, state: { ...started, fresh, ...(!fresh && { done: round }) } };
    }
    const { ids: gathered = [], ended = false } = state;
    // Of a pass that has ended, or more than a position has room for.
    if (ended || gathered.length >= GATHERED)
      return { key, ...(await this.handOut([], gathered, state, ended && round, signal)) };
    const step = await this.unlessGone(this.feed(partition).step(state, signal));
    if (!step) return { key, records: [], state: { ...state, done: round } };
    const { gap, more } = step;
    const { records, ids } = this.changed.followUp(step.rows, gathered);
    if (gap !== undefined)
      return { key, ...(await this.handOut(records, ids, step.state, false, signal)), gap };
    // What changes again and again within a poll is read once.
    if (!more) return { key, ...(await this.handOut(records, ids, step.state, round, signal)) };
    const all = await this.withRead(records, [], signal);
    return { key, records: all, state: { ...step.state, ids: ids.length > 0 ? ids : undefined } };
  }

  /**
   * As many of those that are to be read as are soon read: the position keeps the others, so that little is read again
   * by whoever takes over.
   */
  private async handOut(
    records: SourceRecord[],
    ids: readonly string[],
    state: PartState,
    round: number | false,
    signal: AbortSignal,
  ): Promise<{ records: SourceRecord[]; state: PartState }> {
    const count = Math.max(SOON, this.options.of.read?.size ?? 0);
    const rest = ids.slice(count);
    const over = rest.length === 0;
    return {
      records: await this.withRead(records, ids.slice(0, count), signal),
      state: {
        ...state,
        ...(over ? { ids: undefined, ended: undefined } : { ids: rest, ended: round !== false }),
        ...(over && round !== false && { done: round }),
      },
    };
  }

  private async withRead(
    listed: SourceRecord[],
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<SourceRecord[]> {
    const { of } = this.options;
    const { read } = this;
    const records = await this.complete(listed, signal);
    if (of.updated === undefined && read)
      return [...records, ...ids.map((id) => ({ id, data: {}, unread: true }))];
    const all = ids.length === 0 ? records : [...records, ...((await read?.(ids, signal)) ?? [])];
    const merged = new Set(all.flatMap(({ data }) => mergedInto(of, data)));
    return [...all, ...[...merged].filter((id) => !ids.includes(id)).map(goneRecord)];
  }

  /** With what belongs to them, where that is asked for. */
  private complete(records: SourceRecord[], signal: AbortSignal): Promise<SourceRecord[]> {
    const { client, of, associations } = this.options;
    return withAssociations(client, of, associations, records, signal);
  }

  /** A partition that was deleted meanwhile has nothing more; undefined then. */
  private async unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      if (this.isPartitioned && error instanceof FlowError && isGone(error.details)) return undefined;
      throw error;
    }
  }

  /** Undefined where the partition is refused, which stops no others; all of them are a refusal of the collection. */
  private async unlessRefused<T>({ key }: Partition, work: Promise<T>): Promise<T | undefined> {
    try {
      const done = await work;
      this.refused.delete(key);
      return done;
    } catch (error) {
      if (!this.isPartitioned || !isFlowError(error) || error.retryable) throw error;
      this.refused.set(key, error);
      if (this.partitions?.every((each) => this.refused.has(each.key))) throw error;
      return undefined;
    }
  }

  private get isPartitioned(): boolean {
    return this.options.of.of !== undefined && !this.options.partition;
  }

  private async allPartitions(signal: AbortSignal): Promise<Partition[]> {
    const { of, client, declaration, values, partition } = this.options;
    const parent = of.of === undefined ? undefined : declaration.collections[of.of];
    if (partition && parent) return [partition];
    if (!parent) return [{ ...WHOLE, values }];
    this.partitions ??= await partitionsOf(client, of, parent, values, signal);
    return this.partitions;
  }

  private async probe(partition: Partition | undefined, signal: AbortSignal): Promise<void> {
    const { client, of } = this.options;
    const values = { ...partition?.values, since: client.now(), size: 1 };
    if (partition) await client.ask({ ask: of.list, values }, signal);
  }

  private feed({ key, values }: Partition): Feed {
    const { client, of, declaration, lookback } = this.options;
    let feed = this.feeds.get(key);
    feed ??= feedOf({ client, of, values, lookback, conditional: declaration.conditional ?? false });
    this.feeds.set(key, feed);
    return feed;
  }

  private history(key: string, values: Values): History {
    const { client, of } = this.options;
    let history = this.histories.get(key);
    history ??= new History(
      new PassReader(client, { listing: of.list, values, idOf: (row) => idIn(of, row) }),
      of.list,
    );
    this.histories.set(key, history);
    return history;
  }
}

/** What was refused stops no changes of the others: its own begin with everything, when it is no more. */
function withUnread(position: ChangesPosition, keys: readonly string[]): ChangesPosition {
  const { at: since, parts } = position;
  const unread = keys.map((key) => [key, { since, unread: true }] as const);
  return { ...position, parts: { ...parts, ...Object.fromEntries(unread) } };
}

function isGone(details: unknown): boolean {
  return typeof details === 'object' && details !== null && 'gone' in details;
}

import { now } from '../../../shared/async/clock';
import { pause } from '../../../shared/async/pause';
import { parseDuration } from '../../../shared/duration';
import { FlowError } from '../../../shared/errors';
import { RecentMap } from '../../../shared/recent-map';
import type { Changes, Collection, Page, Position } from '../../engine/provider';
import { fingerprint, type SourceRecord } from '../../engine/record';
import { withAssociations } from './associations';
import { Bin, type BinState } from './bin';
import { feedOf, type Feed, type FeedState } from './changes';
import type { RestClient } from './client';
import type { CollectionDeclaration, Declaration, Listing } from './declaration';
import { Fields } from './fields';
import { partitionsOf, WHOLE, type Partition } from './partitions';
import { PassReader, type Pass, type Step } from './pass';
import { at, matches } from './path';
import { readByIds } from './reading';
import { goneRecord, idOf, mergedInto, recordOf } from './records';
import type { Values } from './template';

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

/** Where changes are: each partition by itself, in rounds of all. */
interface ChangesPosition {
  /** When this round began, epoch ms. */
  at: number;
  round: number;
  parts: Record<string, FeedState & { done?: number; fresh?: Pass; ids?: string[] }>;
  bin?: BinState;
}

/** The pages of everything: how far each partition has been read, 0 for to its end. */
interface HistoryPosition {
  parts: Record<string, Pass | 0>;
}

/** Partitions that are read at the same time, as far as the API permits. */
const AT_ONCE = 8;
const SEEN = 20_000;
/** Ids that are gathered at most until they are read: a position has room for them. */
const GATHERED = 1_000;

/** A collection of an API that was declared. */
export class RestCollection implements Collection {
  readonly problem = undefined;
  readonly compareEvery: number | undefined;
  readonly changesUnseen: boolean;
  readonly read: Collection['read'];
  private readonly feeds = new Map<string, Feed>();
  private readonly readers = new Map<string, PassReader>();
  /** Rows of lists that only show ids, and were followed up. */
  private readonly seen = new RecentMap<string, string>(SEEN);
  private readonly fields: Fields;
  private readonly bin: Bin | undefined;
  private partitions: Partition[] | undefined;
  private lastRound: number | undefined;

  constructor(private readonly options: CollectionOptions) {
    const { of, client, values, lookback, associations } = options;
    this.changesUnseen = of.associations !== undefined && associations.length > 0;
    this.compareEvery = of.compare && parseDuration(of.compare.every);
    this.fields = new Fields(client, of, values);
    if (of.read && (!of.of || options.partition))
      this.read = async (ids, signal) =>
        this.complete(await readByIds(client, of, ids, await this.fields.values(signal), signal), signal);
    this.bin = of.bin && new Bin(client, of, of.bin, values, lookback);
  }

  count(): Promise<undefined> {
    return Promise.resolve(undefined);
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
          parts[partition.key] = await this.feed(partition).start(signal);
        }),
      );
    return { at: client.past(), round: 1, parts, ...(this.bin && { bin: this.bin.start() }) };
  }

  async page(from: Position | undefined, signal: AbortSignal): Promise<Page> {
    const { parts } = (from ?? { parts: {} }) as HistoryPosition;
    const pending = (await this.allPartitions(signal)).filter(({ key }) => parts[key] !== 0);
    const read = await Promise.all(
      pending
        .slice(0, AT_ONCE)
        .map((partition) => this.historyPage(partition, parts[partition.key] || undefined, signal)),
    );
    const next = { ...parts, ...Object.fromEntries(read.map(({ key, pass }) => [key, pass ?? 0])) };
    const over = pending.every(({ key }) => next[key] === 0);
    return { records: read.flatMap(({ records }) => records), next: over ? undefined : { parts: next } };
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
      pending.slice(0, AT_ONCE).map((partition) => this.changesOf(partition, position, signal)),
    );
    const present = new Set(partitions.map(({ key }) => key));
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
    for (const { values } of await this.allPartitions(signal)) {
      const reader = new PassReader(client, { listing, values, idOf: (row) => idOf(of, row) });
      for (let pass: Pass | undefined = reader.begin(0); pass && !signal.aborted;) {
        const step: Step | undefined = await this.unlessGone(reader.step(pass, signal));
        yield (step?.rows ?? [])
          .filter((row) => this.belongs(row) && !this.isDeleted(row))
          .map((row) => idOf(of, row));
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
    pass: Pass | undefined,
    signal: AbortSignal,
  ): Promise<{ key: string; records: SourceRecord[]; pass: Pass | undefined }> {
    const { of, client } = this.options;
    const fields = await this.fields.values(signal);
    // All fields at once may be more than a URL holds: then the list shows ids, and records are read by them.
    const apart = of.read !== undefined && this.fields.tooLong;
    const listed = { ...values, ...(!apart && fields) };
    const reader = this.reader(key, of.list, listed);
    const step = await this.unlessGone(reader.step(pass ?? reader.begin(0), signal));
    const rows = (step?.rows ?? []).filter((row) => this.belongs(row));
    const records = apart
      ? await readByIds(
          client,
          of,
          rows.map((row) => idOf(of, row)),
          fields,
          signal,
        )
      : rows.map((row) => recordOf(of, row));
    return { key, records: await this.complete(records, signal), pass: step?.pass };
  }

  /** A step of the round in one partition; of one that is new, everything. */
  private async changesOf(
    partition: Partition,
    position: ChangesPosition,
    signal: AbortSignal,
  ): Promise<{
    key: string;
    records: SourceRecord[];
    state: ChangesPosition['parts'][string];
    gap?: string;
  }> {
    const { key } = partition;
    const { round } = position;
    const state = position.parts[key];
    if (!state || state.fresh) {
      const started = state ?? (await this.feed(partition).start(signal));
      const { records, pass } = await this.historyPage(partition, state?.fresh, signal);
      return { key, records, state: { ...started, fresh: pass, ...(!pass && { done: round }) } };
    }
    const step = await this.unlessGone(this.feed(partition).step(state, signal));
    if (!step) return { key, records: [], state: { ...state, done: round } };
    const { gap, more } = step;
    const { records, ids } = this.followUp(step.rows, state.ids);
    // What changes again and again within a poll is read once.
    const gathers = more && ids.length < GATHERED;
    return {
      key,
      records: await this.withRead(records, gathers ? [] : ids, signal),
      state: {
        ...step.state,
        ids: gathers && ids.length > 0 ? ids : undefined,
        ...(!more && gap === undefined && { done: round }),
      },
      ...(gap !== undefined && { gap }),
    };
  }

  /** What rows of changes are about: records as they are now, and the ids of those to be read. */
  private followUp(
    rows: readonly unknown[],
    gathered: readonly string[] = [],
  ): { records: SourceRecord[]; ids: string[] } {
    const { of } = this.options;
    const { changes } = of;
    const records: SourceRecord[] = [];
    const ids = new Set(gathered);
    for (const row of rows) {
      if (!changes?.events && !this.belongs(row)) continue;
      if (changes?.events) {
        const { object, where, deleted } = changes.events;
        if (!matches(row, where) || this.isSeen(String(at(row, 'id')), row)) continue;
        const record = recordOf(of, at(row, object));
        if (matches(row, deleted)) records.push({ ...record, deleted: true, gone: true });
        else ids.add(record.id);
      } else if (!changes?.hydrate) records.push(recordOf(of, row));
      else if (!this.isSeen(idOf(of, row), row)) ids.add(idOf(of, row));
    }
    for (const { id } of records) ids.delete(id);
    return { records, ids: [...ids] };
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

  private isSeen(id: string, row: unknown): boolean {
    const print = fingerprint(JSON.stringify(row));
    if (this.seen.get(id) === print) return true;
    this.seen.set(id, print);
    return false;
  }

  private belongs(row: unknown): boolean {
    const { skip } = this.options.of;
    return skip === undefined || !matches(row, skip);
  }

  private isDeleted(row: unknown): boolean {
    const { deleted } = this.options.of;
    return deleted !== undefined && matches(row, deleted);
  }

  /** A partition that was deleted meanwhile has nothing more; undefined then. */
  private async unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      const partitioned = this.options.of.of !== undefined && !this.options.partition;
      if (partitioned && error instanceof FlowError && isGone(error.details)) return undefined;
      throw error;
    }
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

  private reader(key: string, listing: Listing, values: Values): PassReader {
    const { client, of } = this.options;
    let reader = this.readers.get(key);
    reader ??= new PassReader(client, { listing, values, idOf: (row) => idOf(of, row) });
    this.readers.set(key, reader);
    return reader;
  }
}

function isGone(details: unknown): boolean {
  return typeof details === 'object' && details !== null && 'gone' in details;
}

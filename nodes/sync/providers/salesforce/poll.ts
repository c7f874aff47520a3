import { isoTime, timeOf, type SourceRecord } from '../../record';
import type { Changes } from '../../provider';
import { PAGE, readByIds, select } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

/** Times are epoch ms by the org's clock. */
export interface PollPosition {
  /** What was committed before has been read, late commits left out. */
  since: number;
  /** The org's last word on what it has no transaction under way from before. */
  covered?: number;
  /** When the last pass that looked back began, and the org's word by then. */
  deep?: { began: number; covered?: number };
  /** The end of the last window of deletions. */
  deletedSince: number;
  /** A pass under way: the row it has come to, when it began, and how many pages it had. */
  pass?: { stamp: string; id: string; began: number; deep: boolean; pages: number };
  /** Passes until the next one that looks back, unless that is too long ago. */
  shallow?: number;
}

interface DeletedAnswer {
  deletedRecords: { id: string; deletedDate: string }[];
  earliestDateAvailable: string;
  latestDateCovered: string;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** The org remembers deletions for 15 days. */
const DELETIONS_KEPT = 15 * DAY - 10 * MINUTE;
/** Overlap of two passes of which neither looks back: the clock is only known to the second. */
const OVERLAP = 10_000;
/** The last look back is so many times as long ago as it looked back: then it is time for another. */
const SHALLOW = 4;
/** Deletions read at once; a window that has more is halved. */
const DELETIONS = 5_000;

/**
 * Changes by asking again and again, in passes: every row with a SystemModstamp since the last pass, less the
 * lookback, because a row can appear late with a time that has passed. Rows seen before are handed on again;
 * whoever publishes them knows. A pass of many pages is followed by as many that don't look back, so that looking
 * back doesn't multiply the calls; the next one then looks back from where the last one did. Deletions that leave
 * nothing behind come from /deleted.
 */
export class Poll {
  /** Ids that this pass has shown as deleted. */
  private readonly seenDeleted = new Set<string>();

  constructor(
    private readonly reader: OrgReader,
    private readonly lookback: number,
  ) {}

  start(): PollPosition {
    const now = this.reader.now();
    return { since: now, deletedSince: now };
  }

  async changes(position: PollPosition, sobject: SObject, signal: AbortSignal): Promise<Changes> {
    const { reader } = this;
    if (sobject.replicateable && position.deletedSince < reader.now() - DELETIONS_KEPT)
      return this.gap(
        `the sync stood still since ${isoTime(position.deletedSince)}, longer than the org remembers deletions`,
      );
    const deep = position.pass?.deep ?? this.looksBack(position);
    const began = position.pass?.began ?? reader.now();
    const { records, rows, full } = await select(reader, sobject, this.condition(position, sobject, deep), {
      all: sobject.hasDeleted,
      signal,
    });
    if (!position.pass) this.seenDeleted.clear();
    for (const { id, deleted } of records) {
      if (deleted) this.seenDeleted.add(id);
      else this.seenDeleted.delete(id);
    }
    const pages = (position.pass?.pages ?? 0) + 1;
    const last = rows.at(-1);
    if (full && last) {
      const pass = { stamp: last.stamp, id: last.id, began, deep, pages };
      return { records, position: { ...position, pass }, more: true, asOf: timeOf(isoTime(last.stamp)) ?? 0 };
    }
    const looked = deep
      ? { deep: { began, covered: position.covered }, shallow: pages - 1 }
      : { shallow: (position.shallow ?? 1) - 1 };
    const next: PollPosition = { ...position, ...looked, since: began, pass: undefined };
    return this.withDeletions(next, sobject, records, signal);
  }

  private looksBack({ shallow, since, deep }: PollPosition): boolean {
    return !shallow || (deep !== undefined && since - deep.began >= SHALLOW * this.lookback);
  }

  private condition(
    { since, covered, deep: last, pass }: PollPosition,
    { stamp }: SObject,
    deep: boolean,
  ): string {
    const order = `ORDER BY ${stamp},Id LIMIT ${PAGE}`;
    if (pass) {
      const at = isoTime(pass.stamp) ?? pass.stamp;
      // An OR at the top would keep the org from using its index.
      return `WHERE ${stamp}>=${at} AND (${stamp}>${at} OR Id>'${pass.id}') ${order}`;
    }
    // What was committed since the last look back is later than what the org said before that.
    const from = Math.min((last?.began ?? since) - this.lookback, last?.covered ?? covered ?? Infinity);
    const back = deep ? from : since;
    return `WHERE ${stamp}>=${isoTime(Math.floor((back - OVERLAP) / 1_000) * 1_000)} ${order}`;
  }

  /** /deleted knows whole minutes only: it is asked once a minute. */
  private async withDeletions(
    position: PollPosition,
    sobject: SObject,
    records: SourceRecord[],
    signal: AbortSignal,
  ): Promise<Changes> {
    const { reader } = this;
    const done: Changes = { records, position, more: false, asOf: position.since };
    const start = Math.floor(position.deletedSince / MINUTE) * MINUTE;
    let end = Math.floor(reader.now() / MINUTE) * MINUTE;
    if (!sobject.replicateable || end <= start) return done;
    for (;;) {
      const answer = await this.deleted(sobject, start, end, signal);
      if ((timeOf(isoTime(answer.earliestDateAvailable)) ?? 0) > start + MINUTE)
        return this.gap(`the org has no deletions from before ${answer.earliestDateAvailable} any more`);
      const half = Math.floor((start + end) / 2 / MINUTE) * MINUTE;
      if (answer.deletedRecords.length > DELETIONS && half > start) {
        end = half;
        continue;
      }
      const covered = Math.min(end, timeOf(isoTime(answer.latestDateCovered)) ?? start);
      const ids = answer.deletedRecords.map(({ id }) => id).filter((id) => !this.seenDeleted.has(id));
      if (ids.length > 0) records.push(...(await readByIds(reader, sobject, ids, signal)));
      const more = end < Math.floor(reader.now() / MINUTE) * MINUTE;
      return { ...done, more, position: { ...position, covered, deletedSince: Math.max(start, covered) } };
    }
  }

  private async deleted(
    sobject: SObject,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<DeletedAnswer> {
    const time = (ms: number): string => encodeURIComponent(isoTime(ms) ?? '');
    const path = `/sobjects/${sobject.name}/deleted?start=${time(start)}&end=${time(end)}`;
    return this.reader.get<DeletedAnswer>(path, signal);
  }

  private gap(why: string): Changes {
    const position = this.start();
    return { records: [], position, more: false, asOf: position.since, gap: why };
  }
}

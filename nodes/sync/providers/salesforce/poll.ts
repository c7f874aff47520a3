import { codeOf, messageOf } from '../../../shared/errors';
import { isoTime, timeOf } from '../../engine/record';
import type { Changes } from '../../engine/provider';
import { Baseline, type Known } from './baseline';
import { PAGE, isTooMuch, readByIds, select, type Rows } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';
import { say } from '../../../shared/say';

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
  /** What was there before the beginning, and isn't to be given. */
  known?: Known;
  /** When the org's log of deletions last refused to answer, and the comparison with the stream stood in for it. */
  refused?: number;
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
/** A log of deletions that refuses again and again is stood in for so often. */
const STAND_IN = 60 * MINUTE;
/** Rows and times asked for at once are narrowed by so much where the org takes too long for them, down to these. */
const NARROWER = 4;
const NARROWEST = { rows: 50, window: 1_000 };
/** Answers after which the org is tried with twice as much. */
const WIDER_AFTER = 8;

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
  /** What the org manages to answer. */
  private manages = { rows: PAGE, window: Infinity, answers: 0 };

  constructor(
    private readonly reader: OrgReader,
    private readonly lookback: number,
  ) {}

  start(): PollPosition {
    const now = this.reader.now();
    return { since: now, deletedSince: now };
  }

  /** The position of this moment, from which nothing is given that was committed before it. */
  async startOnly(sobject: SObject, signal: AbortSignal): Promise<PollPosition> {
    const start = this.start();
    const known = await Baseline.take(this.reader, sobject, this.from(start), start.since, signal);
    return { ...start, ...(known && { known }) };
  }

  /** Deletions are asked for once the org's log can reach to `deletions`, epoch ms. */
  async changes(
    position: PollPosition,
    sobject: SObject,
    signal: AbortSignal,
    deletions = 0,
  ): Promise<Changes> {
    const deep = position.pass?.deep ?? this.looksBack(position);
    const began = position.pass?.began ?? this.reader.now();
    const { records: found, last: behind, full, to } = await this.rows(position, sobject, deep, signal);
    const baseline = new Baseline(position.known);
    const records = found.filter((record) => !baseline.has(record));
    if (!position.pass) this.seenDeleted.clear();
    for (const { id, deleted } of found) {
      if (deleted) this.seenDeleted.add(id);
      else this.seenDeleted.delete(id);
    }
    const pages = (position.pass?.pages ?? 0) + 1;
    const last = full ? behind : to;
    if (last) {
      const pass = { ...last, began, deep, pages };
      return { records, position: { ...position, pass }, more: true, asOf: timeOf(isoTime(last.stamp)) ?? 0 };
    }
    const looked = deep
      ? { deep: { began, covered: position.covered }, shallow: pages - 1 }
      : { shallow: (position.shallow ?? 1) - 1 };
    const next: PollPosition = { ...position, ...looked, since: began, pass: undefined };
    const deletedSince = sobject.replicateable ? next.deletedSince : Infinity;
    const known = baseline.from(Math.min(this.from(next), deletedSince));
    const done: Changes = { records, position: { ...next, known }, more: false, asOf: next.since };
    const reached = Math.floor(this.reader.now() / MINUTE) * MINUTE >= deletions;
    return reached ? this.withDeletions(done, { ...next, known }, sobject, signal) : done;
  }

  /** A page of rows; `to` is where its window ends, where there is more behind that. */
  private async rows(
    position: PollPosition,
    sobject: SObject,
    deep: boolean,
    signal: AbortSignal,
  ): Promise<Rows & { to?: { stamp: string; id: string } }> {
    const { manages } = this;
    const { pass } = position;
    const from = pass
      ? (timeOf(isoTime(pass.stamp)) ?? 0)
      : deep
        ? this.from(position)
        : position.since - OVERLAP;
    for (;;) {
      // The times of rows are whole seconds.
      const end = Math.floor((from + manages.window) / 1_000) * 1_000;
      const to = end < this.reader.now() ? { stamp: isoTime(end) ?? '', id: '' } : undefined;
      const condition = this.condition(position, sobject, from, to?.stamp);
      try {
        const selection = { condition, limit: manages.rows, all: sobject.hasDeleted };
        const found = await select(this.reader, sobject, selection, signal);
        if (++manages.answers % WIDER_AFTER === 0) this.widen();
        return { ...found, to };
      } catch (error) {
        if (!isTooMuch(error) || !this.narrow(from)) throw error;
      }
    }
  }

  /** False where it can't be any narrower. */
  private narrow(from: number): boolean {
    const { rows, window } = this.manages;
    const span = Math.min(window, this.reader.now() - from + OVERLAP);
    if (rows <= NARROWEST.rows && span <= NARROWEST.window) return false;
    this.manages.rows = Math.max(NARROWEST.rows, Math.floor(rows / NARROWER));
    this.manages.window = Math.max(NARROWEST.window, span / NARROWER);
    this.manages.answers = 0;
    return true;
  }

  private widen(): void {
    this.manages.rows = Math.min(PAGE, this.manages.rows * 2);
    this.manages.window *= 2;
  }

  private looksBack({ shallow, since, deep }: PollPosition): boolean {
    return !shallow || (deep !== undefined && since - deep.began >= SHALLOW * this.lookback);
  }

  private condition(
    { pass }: PollPosition,
    { stamp }: SObject,
    from: number,
    to: string | undefined,
  ): string {
    const at = isoTime(Math.floor(from / 1_000) * 1_000);
    // An OR at the top would keep the org from using its index.
    const behind = pass?.id ? ` AND (${stamp}>${at} OR Id>'${pass.id}')` : '';
    return `WHERE ${stamp}>=${at}${to ? ` AND ${stamp}<${to}` : ''}${behind} ORDER BY ${stamp},Id`;
  }

  /** From where a look back reads. */
  private from({ since, covered, deep: last }: PollPosition): number {
    // What was committed since the last look back is later than what the org said before that.
    const from = Math.min((last?.began ?? since) - this.lookback, last?.covered ?? covered ?? Infinity);
    return from - OVERLAP;
  }

  /** /deleted knows whole minutes only: it is asked once a minute. */
  private async withDeletions(
    done: Changes,
    position: PollPosition,
    sobject: SObject,
    signal: AbortSignal,
  ): Promise<Changes> {
    const { reader } = this;
    const start = Math.floor(position.deletedSince / MINUTE) * MINUTE;
    let end = Math.floor(reader.now() / MINUTE) * MINUTE;
    if (!sobject.replicateable || end <= start) return done;
    if (position.deletedSince < reader.now() - DELETIONS_KEPT) {
      const since = isoTime(position.deletedSince);
      return this.lost(
        done,
        position,
        say`the sync stood still since ${since}, longer than the org remembers deletions`,
      );
    }
    for (;;) {
      const half = Math.floor((start + end) / 2 / MINUTE) * MINUTE;
      let answer: DeletedAnswer;
      try {
        answer = await this.deleted(sobject, start, end, signal);
      } catch (error) {
        if (isTooMuch(error) && half > start) {
          end = half;
          continue;
        }
        if (codeOf(error) === 'CLOSED') throw error;
        return this.refused(done, position, messageOf(error));
      }
      if ((timeOf(isoTime(answer.earliestDateAvailable)) ?? 0) > start + MINUTE)
        return this.lost(
          done,
          position,
          say`the org has no deletions from before ${answer.earliestDateAvailable} any more`,
        );
      if (answer.deletedRecords.length > DELETIONS && half > start) {
        end = half;
        continue;
      }
      const covered = Math.min(end, timeOf(isoTime(answer.latestDateCovered)) ?? start);
      const baseline = new Baseline(position.known);
      const ids = answer.deletedRecords
        .filter(({ id, deletedDate }) => !this.seenDeleted.has(id) && !baseline.before(deletedDate))
        .map(({ id }) => id);
      // The log is the evidence.
      for (const { unproven: _, ...record } of await readByIds(reader, sobject, ids, signal))
        done.records.push(record);
      const more = end < Math.floor(reader.now() / MINUTE) * MINUTE;
      return { ...done, more, position: { ...position, covered, deletedSince: Math.max(start, covered) } };
    }
  }

  /** The log of deletions refuses the window: it was purged, or doesn't work for now. */
  private refused(done: Changes, position: PollPosition, why: string): Changes {
    const now = this.reader.now();
    if (position.refused !== undefined && now - position.refused < STAND_IN) return done;
    return this.lost(done, { ...position, refused: now }, why);
  }

  private lost(done: Changes, position: PollPosition, gap: string): Changes {
    return { ...done, position: { ...position, deletedSince: this.reader.now() }, gap, lost: 'deletions' };
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
}

import { WRONG_LAST_SEQUENCE, type BatchMessage, type BatchOutcome } from '../../jetstream/publish/batches';
import type { LastMessage } from '../../jetstream/publish/last-messages';
import { FlowError } from '../../shared/errors';
import { RecentMap } from '../../shared/recent-map';
import type { Published } from './published';
import { fingerprint, messageId, readBody, recordBodies, timeOf, type SourceRecord } from './record';
import { escapeToken } from '../../shared/token';
import { collectionSubject, type SubjectOf } from './tokens';
import type { StreamAddress } from './address';
import { say } from '../../shared/say';

/** Where records go, and what is asked there. */
export interface RecordStream {
  publish(messages: readonly BatchMessage[], signal: AbortSignal): Promise<BatchOutcome[]>;
  /** Undefined where the NATS user may not read the stream: then nothing can be compared. */
  last:
    ((subjects: readonly string[], signal: AbortSignal) => Promise<(LastMessage | undefined)[]>) | undefined;
  /** When it was made, where this user may know. */
  created?: string;
  /** How another thread comes to it, where it can. */
  address?: StreamAddress;
}

export interface WriteOptions {
  signal: AbortSignal;
  /**
   * Reads records from the API, one for each id, where their order can't be told otherwise. Without it records
   * come in any order, and only their own time tells which is newer.
   */
  read?: (ids: string[]) => Promise<SourceRecord[]>;
  /** Publish what happened as an event, too. */
  events?: boolean;
  /** Keep in mind what was published; false for a backfill, where every record comes but once. */
  remember?: boolean;
  /** Throws when this process may not publish any more, because another one does. */
  fence?: () => void | Promise<void>;
  /** Told of a record that no stream will take, for good. */
  refused: (record: SourceRecord, error: FlowError) => void;
}

export interface Written {
  published: number;
  unchanged: number;
  refused: number;
}

/** A write, and the records that it is about by their ids. */
interface UnderWay {
  latest: ReadonlyMap<string, SourceRecord>;
  ended: Promise<unknown>;
}

interface Entry {
  record: SourceRecord;
  body: string;
  /** Of the body, once it was needed. */
  fingerprint?: string;
  /** How often the stream took it for a message that it has had, although it does not hold it. */
  repeats: number;
}

/** Records that are published together, and how many times that at once. */
const CHUNK = 1_000;
/** Records that tell a backfill whether anything is there. */
const FIRST = 100;
/** Records that were not there one after the other, until it is taken that the next ones aren't either. */
const NEW_IN_A_ROW = { backfill: 1, otherwise: 1_000 };
const CHUNKS = 3;
const TRIES = 10;
/** Records whose last message is kept in mind, at least. */
const REMEMBERED = 10_000;

/**
 * Publishes the records of one collection so that a subject never goes back to an older version. Records are
 * handed in in the order in which they were read, so what this writer has published itself is older than what it
 * is given, unless its own time says otherwise. What somebody else published (or this one in an earlier life) is looked
 * at first, and is replaced only by a record that is newer by its own time, or was read again afterwards. Each message names the sequence
 * that it replaces: whatever comes in between makes the stream refuse it, and it is looked at again.
 */
export class RecordWriter {
  private readonly published = new RecentMap<string, Published>(REMEMBERED);
  private readonly body: (record: SourceRecord) => string;
  private readonly subject: string;
  private readonly eventSubject: string;
  private readonly underWay = new Set<UnderWay>();
  /** Resolves when the last write has begun all that it has to do. */
  private begun: Promise<void> = Promise.resolve();
  /** How many that were looked at in a row were not there; undefined where none was looked at yet. */
  private newInARow: number | undefined;

  constructor(
    private readonly of: SubjectOf,
    private readonly stream: RecordStream,
  ) {
    this.body = recordBodies(of);
    this.subject = collectionSubject(of);
    this.eventSubject = collectionSubject({ ...of, prefix: `${of.prefix}-events` });
  }

  /**
   * Resolves when each record is in the stream. Throws FlowError; writing the same records again is harmless. A write
   * may begin while others are under way: it goes on where they have nothing more to begin, and after the end of those
   * that have a record of it.
   */
  async write(records: readonly SourceRecord[], options: WriteOptions): Promise<Written> {
    const latest = this.latest(records, options.read !== undefined);
    const before = [...this.underWay].filter((write) => sharesId(write.latest, latest));
    const turn = [this.begun, ...before.map(({ ended }) => ended)];
    let begun = (): void => undefined;
    this.begun = new Promise((resolve) => (begun = resolve));
    const ended = Promise.allSettled(turn)
      .then(() => this.writeLatest([...latest.values()], options, begun))
      .finally(begun);
    const write: UnderWay = { latest, ended };
    this.underWay.add(write);
    try {
      const written = await ended;
      written.unchanged += records.length - latest.size;
      return written;
    } finally {
      this.underWay.delete(write);
    }
  }

  private async writeLatest(
    latest: SourceRecord[],
    options: WriteOptions,
    begun: () => void,
  ): Promise<Written> {
    const written: Written = { published: 0, unchanged: 0, refused: 0 };
    const underWay: Promise<void>[] = [];
    let failure: { error: unknown } | undefined;
    for (let from = 0, to = 0; from < latest.length && !failure; from = to) {
      const first = this.newInARow === undefined && this.isBare(options);
      to = from + (first ? FIRST : CHUNK);
      const chunk = this.writeChunk(latest.slice(from, to), options, written);
      underWay.push(chunk.catch((error: unknown) => void (failure ??= { error })));
      // What a chunk costs here is done while the stream is at work on the ones before.
      await new Promise(setImmediate);
      await underWay[underWay.length - (first ? 1 : CHUNKS)];
    }
    begun();
    await Promise.all(underWay);
    if (failure) throw failure.error;
    return written;
  }

  private async writeChunk(records: SourceRecord[], options: WriteOptions, written: Written): Promise<void> {
    let rest = this.entries(records, options, written);
    for (let attempt = 0; rest.length > 0; attempt++) {
      if (attempt === TRIES) throw contested(rest.length, this.subject);
      rest = await this.attempt(rest, options, written);
    }
  }

  /** What the stream holds is looked at again, whatever was published from here. */
  forget(): void {
    this.published.clear();
    this.newInARow = undefined;
  }

  /** The last of each record; where they are in no order, the newest. */
  private latest(records: readonly SourceRecord[], inOrder: boolean): Map<string, SourceRecord> {
    const latest = new Map<string, SourceRecord>();
    for (const record of records) {
      const other = inOrder ? undefined : latest.get(record.id);
      if (!other || !isBefore(timeOf(record.updatedAt), timeOf(other.updatedAt)))
        latest.set(record.id, record);
    }
    return latest;
  }

  /** A record that can't be said in JSON stands in nobody's way. */
  private entries(records: SourceRecord[], { refused }: WriteOptions, written: Written): Entry[] {
    return records.flatMap((record) => {
      try {
        return [this.entry(record)];
      } catch (error) {
        if (!(error instanceof FlowError)) throw error;
        refused(record, error);
        written.refused++;
        return [];
      }
    });
  }

  private entry(record: SourceRecord): Entry {
    const body = this.body(record);
    return { record, body, repeats: 0 };
  }

  /** Gives back what is to be tried again because the stream has something else than was thought. */
  private async attempt(entries: Entry[], options: WriteOptions, written: Written): Promise<Entry[]> {
    let wanted = entries.filter((entry) => !this.isThere(entry));
    const unknown = wanted.filter(({ record }) => !this.published.get(record.id));
    const guess = this.takenForNew(options);
    const doubtful = wanted.filter((entry) => this.isDoubtful(entry)).map(({ record }) => record.id);
    if (unknown.length > 0 && !guess) doubtful.push(...(await this.lookUp(unknown, options.signal)));
    wanted = (await this.readAgain(wanted, doubtful, options)).filter((entry) => !this.isThere(entry));
    if (!options.read) wanted = wanted.filter((entry) => !this.isOlder(entry));
    written.unchanged += entries.length - wanted.length;
    if (wanted.length === 0) return [];
    await options.fence?.();
    if (options.events) wanted = await this.publishEvents(wanted, options, written);
    if (wanted.length === 0) return [];
    // Where an expected sequence is enough to make a repeat harmless the stream has less to do.
    const bare = this.isBare(options);
    const messages = wanted.map((entry) => this.message(entry, bare));
    const outcomes = await this.stream.publish(messages, options.signal);
    return this.settle(wanted, outcomes, options, written);
  }

  /** In a backfill of a stream that can be looked at. */
  private isBare({ remember, events }: WriteOptions): boolean {
    return this.stream.last !== undefined && remember === false && !events;
  }

  /**
   * Nothing is there of what this writer doesn't know, or else the stream refuses it. An event can't be taken back when
   * its record turns out to be there: then each record is looked at.
   */
  private takenForNew({ remember, events }: WriteOptions): boolean {
    const enough = remember === false ? NEW_IN_A_ROW.backfill : NEW_IN_A_ROW.otherwise;
    return !events && (this.newInARow ?? 0) >= enough;
  }

  private isThere(entry: Entry): boolean {
    if (entry.record.unread) return false;
    const before = this.published.get(entry.record.id);
    if (before === undefined) return false;
    return before.fingerprint === fingerprintOf(entry) || (before.deleted && entry.record.gone === true);
  }

  /**
   * Not read yet, older by its own time than what was published, or alive again without being newer: an index may lag
   * behind.
   */
  private isDoubtful({ record }: Entry): boolean {
    if (record.unread) return true;
    const before = this.published.get(record.id);
    if (!before) return false;
    const time = timeOf(record.updatedAt);
    if (isBefore(time, before.updatedAt)) return true;
    return before.deleted && !record.deleted && !isBefore(before.updatedAt, time);
  }

  private isOlder({ record }: Entry): boolean {
    const before = this.published.get(record.id)?.updatedAt;
    return before !== undefined && isBefore(timeOf(record.updatedAt), before);
  }

  /** The ids of those that the stream has in a version that may be the newer one. */
  private async lookUp(entries: readonly Entry[], signal: AbortSignal): Promise<string[]> {
    if (!this.stream.last) return [];
    const subjects = entries.map(({ record }) => this.subject + escapeToken(record.id));
    const found = await this.stream.last(subjects, signal);
    this.newInARow = found.some((last) => last) ? 0 : (this.newInARow ?? 0) + found.length;
    const doubtful: string[] = [];
    entries.forEach((entry, i) => {
      const last = found[i];
      if (!last) return;
      const { id } = entry.record;
      const { updatedAt, deleted } = readBody(last.data);
      this.published.set(id, { seq: last.seq, fingerprint: fingerprint(last.data), updatedAt, deleted });
      const newer = isBefore(updatedAt, timeOf(entry.record.updatedAt));
      if (!newer && !this.isThere(entry) && !entry.record.unread) doubtful.push(id);
    });
    return doubtful;
  }

  /** What is read after the stream's message was seen is not older than that. */
  private async readAgain(entries: Entry[], ids: string[], { read }: WriteOptions): Promise<Entry[]> {
    if (ids.length === 0 || !read) return entries;
    const again = new Map((await read(ids)).map((record) => [record.id, this.entry(record)]));
    return entries.flatMap((entry) => {
      const now = again.get(entry.record.id) ?? entry;
      if (!now.record.unproven && !now.record.unread) return [now];
      // It is out of sight by now, which makes neither version the newer one. A deletion has its own evidence.
      return entry.record.deleted ? [entry] : [];
    });
  }

  private message(entry: Entry, bare: boolean): BatchMessage {
    const { record, body } = entry;
    const expected = this.stream.last ? (this.published.get(record.id)?.seq ?? 0) : undefined;
    const subject = this.subject + escapeToken(record.id);
    return { subject, data: body, expected, ...(!bare && { msgId: this.messageId(entry) }) };
  }

  private messageId(entry: Entry): string {
    const { record, repeats } = entry;
    const seq = this.published.get(record.id)?.seq;
    const after = this.stream.last ? (seq ?? 0) : seq;
    const msgId = messageId(this.of, record, fingerprintOf(entry), after);
    return repeats === 0 ? msgId : `${msgId}:again-${repeats}`;
  }

  /**
   * An event comes before its record, so that it can come twice but not be missing. Gives back those whose event
   * is stored; a record whose event no stream will take isn't published either.
   */
  private async publishEvents(entries: Entry[], options: WriteOptions, written: Written): Promise<Entry[]> {
    const messages = entries.map((entry): BatchMessage => {
      const action = this.action(entry);
      return {
        subject: `${this.eventSubject}${escapeToken(entry.record.id)}.${action}`,
        data: `{"action":"${action}",${entry.body.slice(1)}`,
        msgId: `${this.messageId(entry)}:${action}`,
      };
    });
    const outcomes = await this.stream.publish(messages, options.signal);
    const failed = outcomes.find((outcome) => outcome instanceof FlowError && outcome.retryable);
    if (failed) throw failed as FlowError;
    return entries.filter(({ record }, i) => {
      const outcome = outcomes[i] as BatchOutcome;
      if (!(outcome instanceof FlowError)) return true;
      options.refused(record, outcome);
      written.refused++;
      return false;
    });
  }

  private action({ record }: Entry): 'insert' | 'update' | 'delete' {
    if (record.deleted) return 'delete';
    const before = this.published.get(record.id);
    if (!before && !this.stream.last) return record.createdAt === record.updatedAt ? 'insert' : 'update';
    return before && !before.deleted ? 'update' : 'insert';
  }

  /** Gives those that are to be looked at again. */
  private settle(
    entries: readonly Entry[],
    outcomes: readonly BatchOutcome[],
    options: WriteOptions,
    written: Written,
  ): Entry[] {
    let error: FlowError | undefined;
    const again = entries.filter((entry, i) => {
      const { record } = entry;
      const outcome = outcomes[i] as BatchOutcome;
      if (!(outcome instanceof FlowError) && outcome.duplicate && this.stream.last) {
        // Stored before, but is it still there? Not after a purge.
        this.published.delete(record.id);
        entry.repeats++;
        return true;
      }
      if (!(outcome instanceof FlowError)) {
        written.published++;
        if (options.remember !== false) this.published.set(record.id, publishedAs(entry, outcome.seq));
        // What was known of it isn't so any more.
        else this.published.delete(record.id);
        return false;
      }
      this.published.delete(record.id);
      if (outcome.code === WRONG_LAST_SEQUENCE) return true;
      if (outcome.retryable) error ??= outcome;
      else {
        options.refused(record, outcome);
        written.refused++;
      }
      return false;
    });
    if (error) throw error;
    if (again.length > 0) this.newInARow = 0;
    return again;
  }
}

function sharesId(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  for (const id of other.keys()) if (one.has(id)) return true;
  return false;
}

function publishedAs(entry: Entry, seq: number | undefined): Published {
  const { updatedAt, deleted = false } = entry.record;
  return { seq, fingerprint: fingerprintOf(entry), updatedAt: timeOf(updatedAt), deleted };
}

function fingerprintOf(entry: Entry): string {
  return (entry.fingerprint ??= fingerprint(entry.body));
}

/** Only where both have a time: without one nothing can be told. */
function isBefore(time: number | undefined, other: number | undefined): boolean {
  return time !== undefined && other !== undefined && time < other;
}

function contested(records: number, subject: string): FlowError {
  return new FlowError(
    'CONTESTED_SUBJECT',
    say`${records} records of "${subject}*" could not be published in ${TRIES} tries, because somebody else publishes them at the same time: give every sync an id of its own, and let nobody else publish there`,
  );
}

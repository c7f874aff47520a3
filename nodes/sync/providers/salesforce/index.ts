import type { OrgSession } from '../../../salesforce/org/session';
import { now } from '../../../shared/async/clock';
import { codeOf, FlowError, messageOf } from '../../../shared/errors';
import type { PubSub } from '../../../salesforce/pubsub/client';
import type { Changes, Collection, Lost, Page, Position, Provider } from '../../engine/provider';
import type { Trouble } from '../../engine/progress';
import type { HistoryPages, HistorySource } from '../../history/history';
import type { SourceRecord } from '../../engine/record';
import { Backfill, type BackfillPosition } from './backfill';
import { CdcFeed, changeTopic } from './cdc';
import { PollFeed, type ChangeFeed } from './changes';
import { readByIds } from './query';
import { OrgReader } from './reader';
import { describe, type SObject } from './sobject';
import { say } from '../../../shared/say';

export interface SalesforceSettings {
  /** Milliseconds between two passes of polling, and how far each looks back. */
  pollInterval: number;
  lookback: number;
  log: (text: string) => void;
}

const DESCRIBE_EVERY = 60 * 60_000;
/** Milliseconds for which the org's time is known by its last answer. */
const CLOCK = 10_000;

/** The objects of an org, as collections "salesforce:contact". */
export class SalesforceProvider implements Provider {
  readonly name = 'salesforce';
  private readonly reader: OrgReader;
  private names: Promise<string[]> | undefined;

  constructor(
    private readonly session: OrgSession,
    private readonly settings: SalesforceSettings,
    /** For changes by events; without it they are polled. */
    private readonly pubsub?: PubSub,
    private readonly closed: () => void = () => undefined,
  ) {
    this.reader = new OrgReader(session);
  }

  get unavailable(): Provider['unavailable'] {
    const { current } = this.session.availability;
    return current && { ...current, told: true };
  }

  onChange(listener: () => void): () => void {
    return this.session.onChange(listener);
  }

  async open(collection: string, signal: AbortSignal): Promise<Collection> {
    const reader = new OrgReader(this.session);
    const sobject = await this.object(collection, reader, signal);
    return new SalesforceCollection(reader, sobject, this.settings, this.pubsub);
  }

  close(): Promise<void> {
    this.closed();
    return Promise.resolve();
  }

  /** Describe takes its name in any case, and says the right one. Where it doesn't know it the list of all is looked at. */
  private async object(collection: string, reader: OrgReader, signal: AbortSignal): Promise<SObject> {
    const name = collection.replace(/^salesforce:/i, '');
    try {
      return await describe(reader, name, signal);
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error;
      return describe(reader, await this.objectName(collection, signal), signal);
    }
  }

  private async objectName(collection: string, signal: AbortSignal): Promise<string> {
    const wanted = collection.replace(/^salesforce:/i, '').toLowerCase();
    this.names ??= this.objectNames(signal);
    this.names.catch(() => (this.names = undefined));
    const name = (await this.names).find((each) => each.toLowerCase() === wanted);
    if (name !== undefined) return name;
    this.names = undefined;
    throw new FlowError(
      'NO_SUCH_OBJECT',
      say`The org has no object "${wanted}" that this user may see: check the collection "${collection}" and the user's permissions`,
      false,
    );
  }

  private async objectNames(signal: AbortSignal): Promise<string[]> {
    const { sobjects } = await this.reader.get<{ sobjects: { name: string }[] }>('/sobjects', signal);
    return sobjects.map(({ name }) => name);
  }
}

/** Where the feed stands, and what is known of the place. */
type KeptPosition = Position & {
  /** The organization's id. */
  org?: string;
  /** The fields that records were read with. */
  fields?: string;
};

class SalesforceCollection implements Collection {
  /** Sharing and field-level security decide what a user sees. */
  readonly permissioned = true;
  /** Fields that describe has and queries refuse. */
  private readonly leftOut = new Set<string>();
  private describedAt = now();
  private backfill: Backfill;
  private feed: ChangeFeed<object>;

  constructor(
    private readonly reader: OrgReader,
    private sobject: SObject,
    private readonly settings: SalesforceSettings,
    private readonly pubsub: PubSub | undefined,
  ) {
    this.feed = this.makeFeed();
    this.backfill = this.makeBackfill();
  }

  get problem(): Trouble | undefined {
    return this.feed.problem;
  }

  get apiCalls(): number {
    return this.reader.calls;
  }

  count(signal: AbortSignal): Promise<number | undefined> {
    return this.described(signal, () => this.backfill.count(signal));
  }

  async now(signal: AbortSignal, only = false): Promise<Position> {
    // Any answer tells the org's time, and what is left of the budget.
    if (this.reader.heard > CLOCK) await this.reader.get('/limits', signal);
    if (!only) return this.kept(this.feed.start());
    return this.kept(await this.described(signal, () => this.feed.startOnly(this.sobject, signal)));
  }

  page(from: Position | undefined, signal: AbortSignal, history?: HistoryPages): Promise<Page> {
    const position = from as BackfillPosition | undefined;
    return this.described(signal, async () => {
      // Results of a job can be many; they can be read by whoever knows the job.
      const inJob = position !== undefined && 'job' in position;
      const passed = inJob ? await history?.page(this.source, position, signal) : undefined;
      if (!passed) return this.backfill.page(position, signal);
      const { records, written, next, wait } = passed;
      return { records: [], next, wait, written: { ...written, records } };
    });
  }

  ready(from: Position, signal: AbortSignal): Promise<void> {
    return this.feed.ready(from, signal);
  }

  async changes(from: KeptPosition, signal: AbortSignal): Promise<Changes> {
    if (now() - this.describedAt > DESCRIBE_EVERY) await this.describeAgain(signal);
    const elsewhere = await this.elsewhere(from);
    if (elsewhere) return elsewhere;
    const added = this.sobject.added(from.fields);
    if (added.length > 0) {
      const why = say`${this.sobject.name} has fields that it did not have (${added.join(', ')})`;
      return this.lost(this.kept(from), 'fields', why);
    }
    const changes = await this.described(signal, () => this.feed.changes(from, this.sobject, signal));
    // The session may have ended in the meantime, and the new one lead elsewhere.
    return (await this.elsewhere(from)) ?? { ...changes, position: this.kept(changes.position, from) };
  }

  read(ids: readonly string[], signal: AbortSignal): Promise<SourceRecord[]> {
    return this.described(signal, () => readByIds(this.reader, this.sobject, ids, signal));
  }

  close(): Promise<void> {
    this.backfill.close();
    return this.feed.close();
  }

  private get source(): HistorySource {
    const { reader, sobject, settings } = this;
    return {
      shape: sobject.described,
      ask: (method, path, request, signal) => reader.ask(method, path, signal, request),
      log: settings.log,
    };
  }

  private makeBackfill(): Backfill {
    const { reader, sobject, settings } = this;
    return new Backfill(reader, sobject, settings.log, (signal) => this.feed.listening(signal));
  }

  private makeFeed(): ChangeFeed<object> {
    const { reader, settings, pubsub, sobject } = this;
    return pubsub
      ? new CdcFeed(reader, pubsub, changeTopic(sobject.name), settings)
      : new PollFeed(reader, settings.lookback, settings.pollInterval);
  }

  /** A field that came while changes were read is for the next look. */
  private kept(position: Position, before?: KeptPosition): KeptPosition {
    const fields = this.sobject.added(before?.fields).length > 0 ? before?.fields : this.sobject.fieldsKey;
    return { ...position, org: this.reader.session.organizationId, fields };
  }

  /** A sandbox that was refreshed is another organization under the same login. */
  private async elsewhere({ org }: KeptPosition): Promise<Changes | undefined> {
    const { organizationId } = this.reader.session;
    if (org === undefined || organizationId === undefined) return undefined;
    // Of 18 characters the last three only repeat the case of the others.
    if (org.slice(0, 15) === organizationId.slice(0, 15)) return undefined;
    await this.feed.close();
    this.feed = this.makeFeed();
    const why = say`the login leads to the organization ${organizationId} instead of ${org}, as after a refresh of a sandbox`;
    return this.lost(this.kept(this.feed.start()), 'all', why);
  }

  private lost(position: Position, lost: Lost, gap: string): Changes {
    return { records: [], position, more: false, asOf: this.reader.now(), gap, lost };
  }

  /**
   * A field that was taken off the object, or out of the user's sight, makes every query with it fail; so does one that
   * describe has and queries refuse all the same, which is left out then.
   */
  private async described<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (codeOf(error) !== 'INVALID_FIELD') throw error;
        if (tries > 1 && !this.leaveOut(messageOf(error))) throw error;
        await this.describeAgain(signal);
      }
    }
  }

  /** False where the error names no field that is read. */
  private leaveOut(message: string): boolean {
    const field = /[Nn]o such column '(\w+)'/.exec(message)?.[1];
    const name = this.sobject.fields.find((each) => each.toLowerCase() === field?.toLowerCase());
    if (name === undefined || name === 'Id' || name === this.sobject.stamp) return false;
    this.leftOut.add(name);
    this.settings.log(
      say`${this.sobject.name}.${name} can't be read, although the org describes it: it is left out`,
    );
    return true;
  }

  private async describeAgain(signal: AbortSignal): Promise<void> {
    const before = this.sobject;
    const sobject = await describe(this.reader, before.name, signal, this.leftOut);
    this.describedAt = now();
    const added = sobject.fields.filter((name) => !before.fields.includes(name));
    const removed = before.fields.filter((name) => !sobject.fields.includes(name));
    if (added.length + removed.length === 0) return;
    const what = [...added.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)].join(', ');
    this.settings.log(say`The fields of ${before.name} have changed (${what})`);
    this.sobject = sobject;
    this.backfill.close();
    this.backfill = this.makeBackfill();
  }
}

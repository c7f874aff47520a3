import type { OrgSession } from '../../../salesforce/session';
import { codeOf, FlowError } from '../../../shared/errors';
import { pause } from '../../../jetstream/connection';
import type { Changes, Collection, Page, Position, Provider } from '../../provider';
import type { SourceRecord } from '../../record';
import { Backfill, type BackfillPosition } from './backfill';
import { Poll, type PollPosition } from './poll';
import { readByIds } from './query';
import { OrgReader } from './reader';
import { describe, type SObject } from './sobject';

export interface SalesforceSettings {
  /** Milliseconds between two passes, and how far each looks back. */
  pollInterval: number;
  lookback: number;
  log: (text: string) => void;
}

const DESCRIBE_EVERY = 60 * 60_000;

/** The objects of an org, as collections "salesforce:contact". */
export class SalesforceProvider implements Provider {
  readonly name = 'salesforce';
  private readonly reader: OrgReader;
  private names: Promise<string[]> | undefined;

  constructor(
    private readonly session: OrgSession,
    private readonly settings: SalesforceSettings,
    private readonly closed: () => void = () => undefined,
  ) {
    this.reader = new OrgReader(session);
  }

  get held(): Provider['held'] {
    return this.session.hold.current;
  }

  onChange(listener: () => void): () => void {
    return this.session.onChange(listener);
  }

  async open(collection: string, signal: AbortSignal): Promise<Collection> {
    const name = await this.objectName(collection, signal);
    const sobject = await describe(this.reader, name, signal);
    return new SalesforceCollection(this.reader, sobject, this.settings);
  }

  close(): Promise<void> {
    this.closed();
    return Promise.resolve();
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
      `The org has no object "${wanted}" that this user may see: check the collection "${collection}" and the user's permissions`,
      false,
    );
  }

  private async objectNames(signal: AbortSignal): Promise<string[]> {
    const { sobjects } = await this.reader.get<{ sobjects: { name: string }[] }>('/sobjects', signal);
    return sobjects.map(({ name }) => name);
  }
}

class SalesforceCollection implements Collection {
  private describedAt = Date.now();
  /** When the last pass ended, by performance.now(). */
  private lastPass: number | undefined;
  private backfill: Backfill;
  private poll: Poll;

  constructor(
    private readonly reader: OrgReader,
    private sobject: SObject,
    private readonly settings: SalesforceSettings,
  ) {
    this.backfill = new Backfill(reader, sobject, settings.log);
    this.poll = new Poll(reader, sobject, settings.lookback);
  }

  count(signal: AbortSignal): Promise<number | undefined> {
    return this.described(signal, () => this.backfill.count(signal));
  }

  async now(signal: AbortSignal): Promise<Position> {
    // Any answer tells the org's time; this one also what is left of the budget.
    await this.reader.get('/limits', signal);
    return this.poll.start();
  }

  page(from: Position | undefined, signal: AbortSignal): Promise<Page> {
    return this.described(signal, () => this.backfill.page(from as BackfillPosition | undefined, signal));
  }

  async ready(_from: Position, signal: AbortSignal): Promise<void> {
    if (this.lastPass === undefined) return;
    const left = this.lastPass + this.settings.pollInterval - performance.now();
    if (left > 0) await pause(left, signal);
  }

  async changes(from: Position, signal: AbortSignal): Promise<Changes> {
    if (Date.now() - this.describedAt > DESCRIBE_EVERY) await this.describeAgain(signal);
    const changes = await this.described(signal, () => this.poll.changes(from as PollPosition, signal));
    this.lastPass = changes.more ? undefined : performance.now();
    return changes;
  }

  read(ids: readonly string[], signal: AbortSignal): Promise<SourceRecord[]> {
    return this.described(signal, () => readByIds(this.reader, this.sobject, ids, signal));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A field that was taken off the object, or out of the user's sight, makes every query with it fail. */
  private async described<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== 'INVALID_FIELD') throw error;
      await this.describeAgain(signal);
      return work();
    }
  }

  private async describeAgain(signal: AbortSignal): Promise<void> {
    const before = this.sobject;
    const sobject = await describe(this.reader, before.name, signal);
    this.describedAt = Date.now();
    const added = sobject.fields.filter((name) => !before.fields.includes(name));
    const removed = before.fields.filter((name) => !sobject.fields.includes(name));
    if (added.length + removed.length === 0) return;
    const what = [...added.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)].join(', ');
    this.settings.log(
      `The fields of ${before.name} have changed (${what}): each record has them from its next change on; resync to have them all`,
    );
    this.sobject = sobject;
    this.backfill = new Backfill(this.reader, sobject, this.settings.log);
    this.poll = new Poll(this.reader, sobject, this.settings.lookback);
  }
}

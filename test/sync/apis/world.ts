import { declarationOf } from '../../../nodes/sync/providers/catalog';
import { findCollection } from '../../../nodes/sync/providers/rest/provider';
import { at, matches } from '../../../nodes/sync/providers/rest/path';
import type { CollectionDeclaration } from '../../../nodes/sync/providers/rest/declaration';
import type { Api } from '../../apis/api';
import type { Row } from '../../apis/frame/simulation';
import type { Checkpoint, World } from '../oracle-history';
import type { Message } from '../table';
import type { Read, Standing } from './positions';
import type { Users } from './users';

interface Version {
  /** Epoch ms. */
  at: number;
  deleted: boolean;
  /** In a canonical form; undefined where nothing is left. */
  content: string | undefined;
  /** As it was then, or was last. */
  row: Row;
}

type Parts<T> = Record<string, T>;

/** The records of one collection of a simulated API, with every version that there was. */
export class ApiWorld implements World {
  private readonly of: CollectionDeclaration;
  private readonly versions = new Map<string, Version[]>();
  /** The part that a record is in. */
  private readonly parts = new Map<string, string>();
  private listed: Map<string, string[]> | undefined;
  private readonly began: number;

  constructor(
    readonly api: Api,
    private readonly users: Users,
  ) {
    const { provider, collection } = users;
    const declaration = declarationOf(provider);
    if (!declaration) throw new Error(`no provider ${provider}`);
    this.of = findCollection(declaration, `${provider}:${collection}`).of;
    this.observe();
    this.began = Date.now();
  }

  /** What lives now, by id. */
  living(): Map<string, Row> {
    return new Map([...this.all()].filter(([, row]) => !this.isDeleted(row)));
  }

  /** Called after each change, before anybody else can see it. */
  observe(): void {
    const now = Date.now();
    const rows = this.all();
    for (const [id, row] of rows)
      this.note(id, { at: now, deleted: this.isDeleted(row), content: this.content(row), row });
    for (const [id, [{ row } = { row: {} }]] of this.versions)
      if (!rows.has(id)) this.note(id, { at: now, deleted: true, content: undefined, row });
  }

  find(id: string, message: Message, from: number, at: number): number {
    const { upstream_id: _id, ...data } = message.data;
    const content = this.content(data);
    const versions = this.versions.get(id) ?? [];
    const first = (fits: (one: Version) => boolean): number =>
      // Nobody knows what is still to come; times of the stream are rounded.
      versions.findIndex((one, i) => i >= from && one.at <= at + 1 && fits(one));
    const exact = first((one) => one.deleted === message.deleted && one.content === content);
    // Of a deletion little may be known.
    return exact === -1 && message.deleted ? first(({ deleted }) => deleted) : exact;
  }

  /** Few APIs have anything left of what was deleted. */
  isGone(): boolean {
    return true;
  }

  ahead(
    { phase, pageFrom = {}, changesFrom }: Checkpoint,
    reached: ReadonlyMap<string, number>,
    at: number,
  ): string[] {
    if (phase === 'backfill') return this.skipped(pageFrom as { parts?: Parts<Read | 0> }, reached);
    return this.missed((changesFrom as { parts: Parts<Standing> }).parts, reached, at);
  }

  /** Records that nobody has touched, in pages that are done, and not in the stream. */
  private skipped(
    { parts = {} }: { parts?: Parts<Read | 0> },
    reached: ReadonlyMap<string, number>,
  ): string[] {
    return Object.entries(parts).flatMap(([part, read]) => {
      const listed = this.untouched.get(part) ?? [];
      const last = read === 0 ? listed.length - 1 : listed.indexOf(read.last?.id ?? '');
      const done = listed.slice(0, last + 1);
      return done.filter((id) => !reached.has(id)).map((id) => `${id}: its page is done`);
    });
  }

  /** Versions of that moment that a position of the changes takes for read, and that are not in the stream. */
  private missed(parts: Parts<Standing>, reached: ReadonlyMap<string, number>, at: number): string[] {
    const { covers, deletionsTold: told = false, hidden = () => false } = this.users;
    const find = (id: string): Row | undefined => this.versions.get(id)?.[0]?.row;
    return [...this.versions].flatMap(([id, versions]) => {
      const standing = parts[this.partOf(id)];
      if (!standing || standing.fresh) return [];
      // What was overtaken before it was read nobody has to have seen.
      const due = versions.findLastIndex((one) => one.at <= at);
      const version = versions[due];
      if (!version || hidden(version.row) || !covers(standing, { id, ...version }, find)) return [];
      const there = reached.get(id) ?? -1;
      if (there >= due || versions[there]?.content === version.content) return [];
      // What was gone before anybody saw it was never there; and not every API tells that something is, or isn't any more.
      if (version.deleted && (!told || there === -1)) return [];
      if (!told && versions[due - 1]?.deleted) return [];
      return [`${id}: ${there} of ${due}`];
    });
  }

  /** By part, in the order of the list. */
  private get untouched(): Map<string, string[]> {
    return (this.listed ??= this.listing());
  }

  private listing(): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const [id, [first, ...changed]] of this.versions) {
      if (!first || first.at > this.began || changed.length > 0) continue;
      const part = this.partOf(id);
      found.set(part, [...(found.get(part) ?? []), id]);
    }
    if (this.users.newestFirst) for (const ids of found.values()) ids.reverse();
    return found;
  }

  private partOf(id: string): string {
    return this.parts.get(id) ?? '';
  }

  /** What the stream says wrongly of the records; empty where it is right. */
  differences(table: ReadonlyMap<string, Message>): string {
    const living = this.living();
    const problems: string[] = [];
    for (const [id, row] of living) {
      const message = table.get(id);
      const { upstream_id: _id, ...data } = message?.data ?? {};
      if (!message) {
        if (!this.users.hidden?.(row)) problems.push(`${id} is missing`);
      } else if (message.deleted) problems.push(`${id} is said to be deleted`);
      else if (this.content(data) !== this.content(row))
        problems.push(`${id} is ${this.content(data)} instead of ${this.content(row)}`);
    }
    for (const [id, message] of table)
      if (!living.has(id) && !message.deleted) problems.push(`${id} is gone, but not said to be deleted`);
    return problems.slice(0, 10).join('\n');
  }

  /** All that there is, with what only a bin holds. */
  private all(): Map<string, Row> {
    const { skip, id } = this.of;
    const rows = this.users.rows(this.api).filter((row) => skip === undefined || !matches(row, skip));
    return new Map(rows.map((row) => [String(at(row, id)), row]));
  }

  private isDeleted(row: Row): boolean {
    return this.of.deleted !== undefined && matches(row, this.of.deleted);
  }

  private content(row: Row): string {
    return canonical(this.users.own?.(row) ?? row);
  }

  private note(id: string, version: Version): void {
    const versions = this.versions.get(id) ?? [];
    this.versions.set(id, versions);
    const { part } = this.users;
    if (part && versions.length === 0) this.parts.set(id, part(this.api, version.row));
    const last = versions.at(-1);
    if (last?.content !== version.content || last?.deleted !== version.deleted) versions.push(version);
  }
}

/** Two that are the same have the same one, whatever the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

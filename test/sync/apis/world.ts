import { declarationOf } from '../../../nodes/sync/providers/catalog';
import { findCollection } from '../../../nodes/sync/providers/rest/provider';
import { at, matches } from '../../../nodes/sync/providers/rest/path';
import type { CollectionDeclaration } from '../../../nodes/sync/providers/rest/declaration';
import type { Api } from '../../apis/api';
import type { Row } from '../../apis/frame/simulation';
import type { World } from '../oracle-history';
import type { Message } from '../table';
import type { Users } from './users';

interface Version {
  /** Epoch ms. */
  at: number;
  deleted: boolean;
  /** In a canonical form; undefined where nothing is left. */
  content: string | undefined;
}

/** The records of one collection of a simulated API, with every version that there was. */
export class ApiWorld implements World {
  private readonly of: CollectionDeclaration;
  private readonly versions = new Map<string, Version[]>();

  constructor(
    readonly api: Api,
    private readonly users: Users,
  ) {
    const { provider, collection } = users;
    const declaration = declarationOf(provider);
    if (!declaration) throw new Error(`no provider ${provider}`);
    this.of = findCollection(declaration, `${provider}:${collection}`).of;
    this.observe();
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
      this.note(id, { at: now, deleted: this.isDeleted(row), content: this.content(row) });
    for (const id of this.versions.keys())
      if (!rows.has(id)) this.note(id, { at: now, deleted: true, content: undefined });
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

  ahead(): string[] {
    return [];
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

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
  /** Its content in a canonical form; undefined for a deletion. */
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
    const { deleted, skip, id } = this.of;
    const rows = this.users
      .rows(this.api)
      .filter((row) => ![deleted, skip].some((match) => match !== undefined && matches(row, match)));
    return new Map(rows.map((row) => [String(at(row, id)), row]));
  }

  /** Called after each change, before anybody else can see it. */
  observe(): void {
    const now = Date.now();
    const living = this.living();
    for (const [id, row] of living) this.note(id, { at: now, content: this.content(row) });
    for (const id of this.versions.keys())
      if (!living.has(id)) this.note(id, { at: now, content: undefined });
  }

  find(id: string, message: Message, from: number, at: number): number {
    const { upstream_id: _id, ...data } = message.data;
    const content = message.deleted ? undefined : this.content(data);
    const versions = this.versions.get(id) ?? [];
    // Nobody knows what is still to come; times of the stream are rounded.
    return versions.findIndex((one, i) => i >= from && one.content === content && one.at <= at + 1);
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

  private content(row: Row): string {
    return canonical(this.users.own?.(row) ?? row);
  }

  private note(id: string, version: Version): void {
    const versions = this.versions.get(id) ?? [];
    this.versions.set(id, versions);
    if (versions.length === 0 || versions.at(-1)?.content !== version.content) versions.push(version);
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

import { RecentMap } from '../../../shared/recent-map';
import type { RestClient } from './client';
import type { Listing } from './declaration';
import { listPage } from './listing';
import { at } from './path';
import type { Values } from './template';

interface Walk {
  head: string;
  next: string | undefined;
  /** Seen as parents of new records, and not yet themselves. */
  pending: Set<string>;
  /** The known head, and all its ancestors that were seen. */
  known: Set<string>;
}

/**
 * What is new since a known head in a list of linked records, newest first: dates say nothing, because old records
 * are pushed late. It is read until all that is still to come is an ancestor of the known head. (When that head was
 * thrown away, the list is read to its end.)
 */
export class HeadWalk {
  private walk: Walk | undefined;
  private readonly etags = new RecentMap<string, string>(10);

  constructor(
    private readonly client: RestClient,
    private readonly listing: Listing,
    private readonly values: Values,
    private readonly parents: string,
    private readonly idOf: (row: unknown) => string,
  ) {}

  /** The newest record of now, "" where there is none. */
  async head(signal: AbortSignal): Promise<string> {
    const { rows } = await listPage(
      this.client,
      { listing: this.listing, values: this.values, next: undefined },
      signal,
    );
    return rows.length === 0 ? '' : this.idOf(rows[0]);
  }

  /** A page of new records; `head` is the new one, once all before it are had. */
  async step(from: string, signal: AbortSignal): Promise<{ rows: unknown[]; head: string | undefined }> {
    const { client, listing, values } = this;
    const next = this.walk?.next;
    const etag = next === undefined ? (url: string) => this.etags.get(url) : undefined;
    const page = await listPage(client, { listing, values, next, etag }, signal);
    if (page.unchanged) return { rows: [], head: from };
    if (page.restart !== undefined) {
      this.walk = undefined;
      return { rows: [], head: undefined };
    }
    const first = page.rows.length > 0 ? this.idOf(page.rows[0]) : '';
    this.walk ??= { head: first, next: undefined, pending: new Set([first]), known: new Set([from]) };
    const { walk } = this;
    if (page.etag !== undefined && next === undefined) this.etags.set(page.url, page.etag);
    const rows = page.rows.filter((row) => this.isNew(walk, row));
    const through = [...walk.pending].every((id) => walk.known.has(id));
    walk.next = page.next;
    if (!through && page.next !== undefined) return { rows, head: undefined };
    this.walk = undefined;
    return { rows, head: walk.head || from };
  }

  private isNew({ pending, known }: Walk, row: unknown): boolean {
    const id = this.idOf(row);
    const found = at(row, this.parents);
    const parents = Array.isArray(found) ? found.map(String) : [];
    pending.delete(id);
    if (known.has(id)) {
      for (const parent of parents) {
        known.add(parent);
        pending.delete(parent);
      }
      return false;
    }
    for (const parent of parents) if (!known.has(parent)) pending.add(parent);
    return true;
  }
}

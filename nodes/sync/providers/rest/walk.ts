import { FlowError } from '../../../shared/errors';
import { RecentMap } from '../../../shared/recent-map';
import type { RestClient } from './client';
import type { Listing } from './declaration';
import { listPage } from './listing';
import { at } from './path';
import type { Values } from './template';
import { say } from '../../../shared/say';

const RESTARTS = 3;

interface Walk {
  head: string;
  /** Of its first page. */
  url: string;
  etag: string | undefined;
  next: string | undefined;
  /** Seen as parents of new records, and not yet themselves. */
  pending: Set<string>;
  /** The known head, and all its ancestors that were seen. */
  known: Set<string>;
}

/**
 * What is new since a known head in a list of linked records, newest first: dates say nothing, because old records
 * are pushed late. It is read until all that is still to come is an ancestor of the known head. (When that head was
 * thrown away, the list is read to its end.) Where the list has moved past the page being read a parent is missing in
 * the end, and it is read once more; one that doesn't come then either isn't in the list.
 */
export class HeadWalk {
  private walk: Walk | undefined;
  private readonly etags = new RecentMap<string, string>(10);
  private restarts = 0;
  /** Parents that did not come. */
  private readonly absent = new RecentMap<string, true>(1_000);

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
      if (++this.restarts > RESTARTS)
        throw new FlowError('API_PAGING', say`A list can't be read on: ${page.restart}`);
      return { rows: [], head: undefined };
    }
    const first = page.rows.length > 0 ? this.idOf(page.rows[0]) : '';
    const walk = (this.walk ??= {
      head: first,
      url: page.url,
      etag: page.etag,
      next: undefined,
      pending: new Set(first === '' ? [] : [first]),
      known: new Set([from]),
    });
    const rows = page.rows.filter((row) => this.isNew(walk, row));
    const missing = [...walk.pending].filter((id) => !walk.known.has(id));
    walk.next = page.next;
    if (missing.length > 0 && page.next !== undefined) return { rows, head: undefined };
    this.walk = undefined;
    const passed = missing.filter((id) => !this.absent.get(id));
    for (const id of passed) this.absent.set(id, true);
    if (passed.length > 0) return { rows, head: undefined };
    this.restarts = 0;
    // Only now is nothing left of what its first page tells of.
    if (walk.etag !== undefined) this.etags.set(walk.url, walk.etag);
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

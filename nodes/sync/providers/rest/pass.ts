import { FlowError, isRetryable } from '../../../shared/errors';
import { RecentMap } from '../../../shared/recent-map';
import type { RestClient } from './client';
import type { Listing } from './declaration';
import { listPage, type ListPage } from './listing';
import { at, timeAt } from './path';
import type { Values } from './template';

/** How far a list has been read; kept as JSON. Times are epoch ms. */
export interface Pass {
  /** Where the list begins: `{since}`. */
  from: number;
  /** When it was begun: by the lesser of both clocks, and by the API's. */
  began: number;
  clock: number;
  pages: number;
  next?: string;
  /** Records of this query so far, and the last of them. */
  rows?: number;
  last?: { time: number; id: string };
  /** What else the next page could begin after, nearest first: what it begins after may be deleted meanwhile. */
  trail?: string[];
  /** The latest time seen. */
  max?: number;
  /** Reads those of one time by their ids. */
  tie?: boolean;
  /** Looks back. */
  deep?: boolean;
}

export interface Step {
  rows: unknown[];
  /** Undefined when the list has been read to its end. */
  pass: Pass | undefined;
}

export interface PassOptions {
  listing: Listing;
  values: Values;
  idOf: (row: unknown) => string;
  /** Path of the time of a list that is newest first: it ends where a row is older than `from`. */
  newest?: string;
  /** Pages that are unchanged cost nothing, and give nothing. */
  conditional?: boolean;
}

interface Seen {
  etag: string;
  next: string | undefined;
  last: Pass['last'];
}

const RESTARTS = 3;
const TRAIL = 10;
const SEEN = 1_000;
/** Halved again and again where the API fails on heavy pages. */
const sizes = new WeakMap<Listing, number>();

/**
 * Reads a list, page by page, to its end. One that is ordered by time is begun again at the last time it gave where
 * the API won't go on (at its cap, when a page's token has ended, or comes twice), and at each page where pages are
 * counted: a record that is changed moves to the end, and all behind it move up, past the page. One without an order
 * begins anew.
 */
export class PassReader {
  private readonly tokens = new Set<string>();
  private readonly seen = new RecentMap<string, Seen>(SEEN);
  private readonly counted: boolean;
  private restarts = 0;

  constructor(
    private readonly client: RestClient,
    private readonly options: PassOptions,
  ) {
    this.counted = isCounted(options.listing);
  }

  begin(from: number): Pass {
    return { from, began: this.client.past(), clock: this.client.now(), pages: 0 };
  }

  /** Throws FlowError: API_PAGING where it can't get on. */
  async step(pass: Pass, signal: AbortSignal): Promise<Step> {
    if (pass.pages === 0) this.tokens.clear();
    const page = await this.page(pass, signal);
    if (page.restart !== undefined) return { rows: [], pass: this.restarted(pass, page.restart) };
    const before = page.unchanged ? this.seen.get(page.url) : undefined;
    const last = page.unchanged ? before?.last : this.lastOf(page.rows, pass);
    const next = page.unchanged ? before?.next : page.next;
    if (page.etag !== undefined) this.seen.set(page.url, { etag: page.etag, next, last });
    const max = this.latest(page.rows, pass);
    const read: Pass = {
      ...pass,
      pages: pass.pages + 1,
      next,
      rows: (pass.rows ?? 0) + page.rows.length,
      ...(last && { last }),
      ...(!page.unchanged && { trail: this.trailOf(page.rows) }),
      ...(Number.isFinite(max) && { max }),
    };
    return { rows: page.rows, pass: this.following(read, page) };
  }

  /** The latest time of a pass with these rows as its last. */
  latest(rows: readonly unknown[], { max = -Infinity }: Pass): number {
    return rows.reduce<number>((latest, row) => Math.max(latest, this.timeOf(row) ?? -Infinity), max);
  }

  private async page(pass: Pass, signal: AbortSignal): Promise<ListPage> {
    const { options, client } = this;
    const { listing } = options;
    const size = sizes.get(listing) ?? listing.size;
    const values = { ...options.values, since: pass.from, ...(pass.tie && { id: pass.last?.id ?? '0' }) };
    const asked = pass.tie && listing.tie ? { ...listing, ...listing.tie, paging: undefined } : listing;
    const etag = options.conditional ? (url: string) => this.seen.get(url)?.etag : undefined;
    try {
      return await listPage(client, { listing: { ...asked, size }, values, next: pass.next, etag }, signal);
    } catch (error) {
      if (isRetryable(error) && isHeavy(error) && size !== undefined && size > 1)
        sizes.set(listing, Math.ceil(size / 2));
      throw error;
    }
  }

  /** What comes next; undefined at the end. */
  private following(pass: Pass, page: ListPage): Pass | undefined {
    const { listing, newest } = this.options;
    if (pass.tie) {
      // Those of this time are through: on to the next millisecond.
      if (page.rows.length === 0) return this.anchored({ ...pass, tie: false }, pass.from + 1);
      return pass;
    }
    if (pass.next === undefined) return undefined;
    if (newest !== undefined && pass.last && pass.last.time < pass.from) return undefined;
    if (this.counted) {
      const anchored = this.atLast(pass);
      if (anchored) return anchored;
    }
    if (this.tokens.has(pass.next)) return this.restarted(pass, 'a page has come twice');
    this.tokens.add(pass.next);
    const capped = listing.cap !== undefined && (pass.rows ?? 0) + (listing.size ?? 0) > listing.cap;
    return capped ? this.restarted(pass, `it gives no more than ${listing.cap} records`) : pass;
  }

  /** Begins the list again where it has come to. */
  private restarted(pass: Pass, why: string): Pass {
    const { listing } = this.options;
    const { trail: [nearest, ...trail] = [] } = pass;
    if (nearest !== undefined) return { ...pass, next: nearest, trail };
    const anchored = this.atLast(pass);
    if (anchored) return anchored;
    if ((listing.order === undefined || pass.next !== undefined) && this.restarts++ < RESTARTS)
      return this.anchored(pass, pass.from);
    throw new FlowError('API_PAGING', `A list can't be read on: ${why}`);
  }

  /** From the last time on, or where there is nothing but that time, from its first id on, if it can be. */
  private atLast(pass: Pass): Pass | undefined {
    const { order, tie } = this.options.listing;
    const { last, from } = pass;
    if (order === undefined || !last) return undefined;
    if (last.time > from) return this.anchored(pass, last.time);
    return tie && { ...this.anchored(pass, last.time), tie: true, last: { time: last.time, id: '0' } };
  }

  private anchored(pass: Pass, from: number): Pass {
    this.tokens.clear();
    return { ...pass, from, next: undefined, rows: 0, trail: undefined };
  }

  private trailOf(rows: readonly unknown[]): string[] | undefined {
    const { paging } = this.options.listing;
    if (paging?.by !== 'last') return undefined;
    const before = rows.slice(-1 - TRAIL, -1).reverse();
    return before.map((row) => String(at(row, paging.path ?? '')));
  }

  private lastOf(rows: readonly unknown[], { last, from }: Pass): Pass['last'] {
    if (rows.length === 0) return last;
    const row = rows.at(-1);
    return { time: this.timeOf(row) ?? last?.time ?? from, id: this.options.idOf(row) };
  }

  private timeOf(row: unknown): number | undefined {
    const path = this.options.newest ?? this.options.listing.order;
    return path === undefined ? undefined : timeAt(row, path);
  }
}

/** Its pages are counted, and it can be begun anywhere instead. */
function isCounted(listing: Listing): boolean {
  const { paging } = listing;
  const counts = paging?.counts ?? (paging?.by === 'offset' || paging?.by === 'page');
  return counts && JSON.stringify(listing).includes('{since');
}

function isHeavy(error: unknown): boolean {
  const { cause } = error as { cause?: { details?: { status?: number } } };
  return [502, 504].includes(cause?.details?.status ?? 0);
}

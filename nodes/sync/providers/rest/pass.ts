import { FlowError, isRetryable } from '../../../shared/errors';
import { RecentMap } from '../../../shared/recent-map';
import { fingerprint, isoTime } from '../../engine/record';
import type { RestClient } from './client';
import type { Listing } from './declaration';
import { isNumbered, listPage, type ListPage } from './listing';
import { at, timeAt } from './path';
import type { Values } from './template';
import { say } from '../../../shared/say';

/** How far a list has been read; kept as JSON. Times are epoch ms. */
export interface Pass {
  /** Where the list begins, and a slice of it ends: `{since}`, `{until}`. */
  from: number;
  to?: number;
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
  /** A page before: whatever comes there again by this is going in a circle. */
  mark?: string;
  /** More of one time than a page holds are being read, and where they are read once more, backwards. */
  tied?: boolean;
  back?: string;
  /** The latest time seen. */
  max?: number;
  /** Reads those of one time by their ids. */
  tie?: boolean;
  /** Looks back. */
  deep?: boolean;
  /** Where the API knew no further page, once. */
  beyond?: string;
  /** What the last page held, and how often the pages before it held the same. */
  print?: string;
  same?: number;
}

/** Lists of which it has turned out that the page behind the last isn't there. */
const endless = new WeakSet<Listing>();
/** Pages that are like the one before it, from which on it is the last that comes again and again. */
const REPEATED = 2;

export interface Step {
  rows: unknown[];
  /** Undefined when the list has been read to its end. */
  pass: Pass | undefined;
}

export interface PassOptions {
  listing: Listing;
  values: Values;
  idOf: (row: unknown) => string | undefined;
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
  private readonly seen = new RecentMap<string, Seen>(SEEN);
  private readonly numbered: boolean;
  private readonly counted: boolean;
  /** Path of the time of a list that is newest first. */
  private readonly descending: string | undefined;
  /** Milliseconds of the least difference that `{since}` can say. */
  private readonly unit: number;
  /** How often, of each slice by its end. */
  private readonly restarts = new Map<number | undefined, number>();

  constructor(
    private readonly client: RestClient,
    private readonly options: PassOptions,
  ) {
    const { listing, newest } = options;
    this.counted = isCounted(listing);
    this.numbered = isNumbered(listing.paging);
    this.unit = /\{since\|(seconds|iso)\}/.test(JSON.stringify(listing)) ? 1_000 : 1;
    this.descending = newest ?? (listing.order === undefined ? listing.slices?.time : undefined);
  }

  begin(from: number): Pass {
    return { from, began: this.client.past(), clock: this.client.now(), pages: 0 };
  }

  /** Throws FlowError: API_PAGING where it can't get on. */
  async step(pass: Pass, signal: AbortSignal): Promise<Step> {
    if (pass.pages === 0) this.restarts.delete(pass.to);
    const page = await this.page(pass, signal);
    if (page.restart !== undefined && !page.beyond)
      return { rows: [], pass: this.restarted(pass, page.restart) };
    if (page.restart !== undefined) return { rows: [], pass: this.atEnd(pass, page.restart) };
    if (pass.back !== undefined) return { rows: page.rows, pass: this.backwards(pass, page) };
    const before = page.unchanged ? this.seen.get(page.url) : undefined;
    const last = page.unchanged ? before?.last : this.lastOf(page.rows, pass);
    const next = page.unchanged ? before?.next : page.next;
    if (this.options.conditional && page.etag !== undefined)
      this.seen.set(page.url, { etag: page.etag, next, last });
    const max = this.latest(page.rows, pass);
    const print = this.numbered && page.rows.length > 0 ? fingerprint(JSON.stringify(page.rows)) : undefined;
    const read: Pass = {
      ...pass,
      pages: pass.pages + 1,
      next,
      rows: (pass.rows ?? 0) + page.rows.length,
      ...(last && { last }),
      ...(!page.unchanged && { trail: this.trailOf(page.rows) }),
      ...(Number.isFinite(max) && { max }),
      ...(print !== undefined && { print, same: print === pass.print ? (pass.same ?? 0) + 1 : undefined }),
    };
    return { rows: page.rows, pass: this.following(read, pass, page) };
  }

  /** The latest time of a pass with these rows as its last. */
  latest(rows: readonly unknown[], { max = -Infinity }: Pass): number {
    return rows.reduce<number>((latest, row) => Math.max(latest, this.timeOf(row) ?? -Infinity), max);
  }

  private async page(pass: Pass, signal: AbortSignal): Promise<ListPage> {
    const { options, client } = this;
    const { listing } = options;
    const size = sizes.get(listing) ?? listing.size;
    const { from, to, tie, last, next, back } = pass;
    const values = { ...options.values, since: from, until: to, ...(tie && { id: last?.id ?? '0' }) };
    const asked =
      tie && listing.tie ? { ...listing, ...listing.tie, paging: undefined } : sliced(listing, to);
    const etag = options.conditional ? (url: string) => this.seen.get(url)?.etag : undefined;
    try {
      return await listPage(
        client,
        { listing: { ...asked, size }, values, next: back ?? next, etag },
        signal,
      );
    } catch (error) {
      if (isRetryable(error) && isHeavy(error) && size !== undefined && size > 1)
        sizes.set(listing, Math.ceil(size / 2));
      throw error;
    }
  }

  /** What comes next; undefined at the end. */
  private following(pass: Pass, before: Pass, page: ListPage): Pass | undefined {
    const { listing } = this.options;
    if (pass.tie) {
      // Those of this time are through: on to the next millisecond.
      if (page.rows.length === 0) return this.anchored({ ...pass, tie: false }, pass.from + 1);
      return pass;
    }
    const over = pass.next === undefined || this.isThrough(pass) || (pass.same ?? 0) >= REPEATED;
    const further = this.isFurther(pass);
    if (this.counted && pass.tied && page.prev !== undefined && (over || further))
      return { ...pass, back: page.prev, next: over ? undefined : pass.next };
    if (over) return undefined;
    if (this.counted) {
      const anchored = this.atLast(pass);
      if (anchored) return anchored;
    }
    if (this.isRound(pass, before)) return this.restarted(pass, say`a page has come twice`);
    const { cap, size = 0 } = listing;
    if (cap !== undefined && (pass.rows ?? 0) + size > cap)
      return this.restarted(pass, say`it gives no more than ${cap} records`);
    const isMark = Number.isInteger(Math.log2(pass.pages));
    return { ...pass, tied: this.counted && listing.order !== undefined, ...(isMark && { mark: pass.next }) };
  }

  /**
   * Those of one time are counted, too, but the list can't be begun again among them: where one leaves, all behind it
   * move up. Read backwards nobody gets past the reader.
   */
  private backwards(pass: Pass, { prev }: ListPage): Pass | undefined {
    if (prev !== undefined && prev !== pass.back) return { ...pass, back: prev };
    return pass.next === undefined ? undefined : this.anchored(pass, pass.last?.time ?? pass.from);
  }

  /** The list would begin later than it did, if it were begun again here. */
  private isFurther({ last, from }: Pass): boolean {
    return last !== undefined && Math.floor(last.time / this.unit) > Math.floor(from / this.unit);
  }

  /** All that it is to read has come. */
  private isThrough({ last, from, to }: Pass): boolean {
    if (!last) return false;
    if (this.descending !== undefined) return last.time < from;
    return to !== undefined && last.time >= to;
  }

  /** Brent's: a circle of any length comes back to a mark that is set ever more rarely. */
  private isRound({ next, mark }: Pass, before: Pass): boolean {
    return next !== undefined && (next === before.next || next === mark);
  }

  /**
   * Where pages are numbered, an API may know nothing of the one behind the last. It isn't taken for that before the
   * list was begun again, and has come as far: who says so once is believed.
   */
  private atEnd(pass: Pass, why: string): Pass | undefined {
    const { listing } = this.options;
    const place = [pass.from, pass.to, pass.next].join();
    if (pass.beyond === place) endless.add(listing);
    if (endless.has(listing)) return undefined;
    const again = this.restarted(pass, why);
    return again && { ...again, beyond: place };
  }

  /** Begins the list again where it has come to. */
  private restarted(pass: Pass, why: string): Pass {
    const { listing } = this.options;
    const { trail: [nearest, ...trail] = [] } = pass;
    if (nearest !== undefined) return { ...pass, next: nearest, trail };
    const anchored = this.atLast(pass);
    if (anchored) return anchored;
    const restarts = this.restarts.get(pass.to) ?? 0;
    this.restarts.set(pass.to, restarts + 1);
    if ((listing.order === undefined || pass.next !== undefined) && restarts < RESTARTS)
      return this.anchored(pass, pass.from);
    const { last, rows = 0 } = pass;
    const tied = listing.order !== undefined && last && rows > 0;
    const more = say`; more than ${rows} records are of ${tied ? isoTime(last.time) : ''}, and it has no way to ask for the rest`;
    throw new FlowError('API_PAGING', say`A list can't be read on: ${why}${tied ? more : ''}`);
  }

  /** From the last time on, or where there is nothing but that time, from its first id on, if it can be. */
  private atLast(pass: Pass): Pass | undefined {
    const { order, tie } = this.options.listing;
    const { last } = pass;
    if (order === undefined || !last) return undefined;
    if (this.isFurther(pass)) return this.anchored(pass, last.time);
    return tie && { ...this.anchored(pass, last.time), tie: true, last: { time: last.time, id: '0' } };
  }

  /** The same pass, begun again with these bounds. */
  again(pass: Pass, from: number, to: number | undefined): Pass {
    return { ...this.anchored(pass, from), to };
  }

  /** Milliseconds from the first of these rows to the last. */
  span(rows: readonly unknown[]): number {
    const [first, last] = [this.timeOf(rows[0]), this.timeOf(rows.at(-1))];
    return first === undefined || last === undefined ? 0 : Math.abs(last - first);
  }

  private anchored(pass: Pass, from: number): Pass {
    const begun = {
      next: undefined,
      rows: 0,
      trail: undefined,
      mark: undefined,
      tied: undefined,
      back: undefined,
    };
    return { ...pass, from, ...begun };
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
    const named = [...rows].reverse().find((each) => this.options.idOf(each) !== undefined) ?? row;
    return { time: this.timeOf(row) ?? last?.time ?? from, id: this.options.idOf(named) ?? last?.id ?? '0' };
  }

  private timeOf(row: unknown): number | undefined {
    const path = this.descending ?? this.options.listing.order;
    return path === undefined ? undefined : timeAt(row, path);
  }
}

function sliced(listing: Listing, to: number | undefined): Listing {
  if (to === undefined || !listing.slices) return listing;
  const { time: _, ...ask } = listing.slices;
  return { ...listing, ...ask };
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

/** Plain lists, paged by cursor (`page[size]`) or by number (`page`, `per_page`). */
import { Refusal, type Row } from '../frame/simulation';
import { type SortedList } from '../frame/sorted-list';
import { type Reply } from '../../support/simulated/exchange';
import { errorReply, invalid } from './errors';
import { type Stored } from './store';
import { type Switches } from './switches';

const MAX = 100;
/** The last numbered page that there is: 10,000 rows. */
const DEEPEST = 100;

export interface Listing {
  /** Its key in the answer. */
  name: string;
  query: URLSearchParams;
  switches: Switches;
  /** The list's own address. */
  address: string;
  render: (record: Stored) => Row;
}

/** Cursors go by what the list is sorted by. */
export type By = 'id' | 'updated';

export function page(listing: Listing, list: SortedList<Stored>, by: By, descending: boolean): Reply {
  return [...listing.query.keys()].some((key) => key.startsWith('page['))
    ? byCursor(listing, list, by, descending)
    : byNumber(listing, list.items, descending);
}

function byCursor(listing: Listing, list: SortedList<Stored>, by: By, descending: boolean): Reply {
  const { name, query, switches, address, render } = listing;
  const count = size(query, 'page[size]', MAX, switches);
  const [after, before] = [query.get('page[after]'), query.get('page[before]')];
  if (after !== null && before !== null) throw invalid('page[after] and page[before] exclude each other');
  const given = after ?? before;
  const { items } = list;
  // In the list's own order, a page is what lies behind a place, or before it.
  const ahead = (after !== null || before === null) !== descending;
  const place = given === null ? (ahead ? -1 : items.length) : placeOf(list, by, given, ahead);
  const [start, end] = ahead
    ? [place + 1, Math.min(items.length, place + 1 + count)]
    : [Math.max(0, place - count), place];
  const rows = items.slice(start, end);
  if (descending) rows.reverse();
  const has_more = ahead ? end < items.length : start > 0;
  const [first, last] = [rows[0], rows.at(-1)];
  const goesOn = has_more || before !== null || switches.lastNext === 'link';
  const next = last && goesOn ? cursorOf(last, by) : null;
  return {
    status: 200,
    body: {
      [name]: rows.map(render),
      meta: {
        has_more,
        after_cursor: last ? cursorOf(last, by) : null,
        before_cursor: first ? cursorOf(first, by) : null,
      },
      links: {
        next: link(query, address, 'page[after]', next),
        prev: link(query, address, 'page[before]', first ? cursorOf(first, by) : null),
      },
    },
  };
}

function cursorOf(record: Stored, by: By): string {
  return Buffer.from(`${by} ${record[by]} ${record.id}`).toString('base64url');
}

/** Index of the last row up to a cursor (the page lies behind), or of the first from it on. */
function placeOf(list: SortedList<Stored>, by: By, cursor: string, ahead: boolean): number {
  const [, of, value, id] =
    /^(\w+) (\d+) (\d+)$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (of !== by) throw invalid('Invalid cursor');
  const beyond = (record: Stored): number => record[by] - Number(value) || record.id - Number(id);
  return ahead
    ? list.search((record) => beyond(record) > 0) - 1
    : list.search((record) => beyond(record) >= 0);
}

function link(query: URLSearchParams, address: string, name: string, cursor: string | null): string | null {
  if (cursor === null) return null;
  const params = new URLSearchParams(query);
  for (const other of ['page[after]', 'page[before]']) params.delete(other);
  params.set(name, cursor);
  return `${address}?${params}`;
}

function byNumber(listing: Listing, items: readonly Stored[], descending: boolean): Reply {
  const { name, query, switches, address, render } = listing;
  const perPage = size(query, 'per_page', MAX, switches);
  const number = Number(query.get('page') ?? 1);
  if (!Number.isInteger(number) || number < 1) throw invalid('page must be greater than 0');
  if (number > DEEPEST)
    throw new Refusal(
      errorReply(400, 'InvalidPaginationDepth', 'Numbered pages end at 100 pages or 10,000 records.'),
    );
  const ordered = descending ? [...items].reverse() : items;
  const to = (other: number): string => {
    const params = new URLSearchParams(query);
    params.set('page', String(other));
    return `${address}?${params}`;
  };
  return {
    status: 200,
    body: {
      [name]: ordered.slice((number - 1) * perPage, number * perPage).map(render),
      next_page: number * perPage < items.length ? to(number + 1) : null,
      previous_page: number > 1 ? to(number - 1) : null,
      count: items.length,
    },
  };
}

/** How many rows a page is asked to have. */
export function size(query: URLSearchParams, name: string, max: number, { overLimit }: Switches): number {
  const text = query.get(name);
  if (text === null) return max;
  if (!/^\d+$/.test(text) || Number(text) === 0) throw invalid(`${name} must be a number from 1 to ${max}`);
  if (Number(text) <= max) return Number(text);
  if (overLimit === 'clamp') return max;
  throw invalid(`${name} must be a number from 1 to ${max}`);
}

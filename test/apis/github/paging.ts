/** Pages by number or by cursor, with the `Link` header that clients follow. */
import { type Reply } from '../../support/simulated/exchange';
import { type Row } from '../frame/simulation';
import { errorReply } from './errors';
import { Refusal } from '../frame/simulation';

/** `per_page`: 30 where it can't be read, 100 at most. */
export function perPage(query: URLSearchParams): number {
  const asked = Number.parseInt(query.get('per_page') ?? '', 10);
  return asked >= 1 ? Math.min(asked, 100) : 30;
}

export function pageNumber(query: URLSearchParams): number {
  const asked = Number.parseInt(query.get('page') ?? '', 10);
  return asked >= 1 ? asked : 1;
}

/** A list of which a page is cut; arrays are such. */
export interface Pageable<T> {
  readonly length: number;
  slice(start: number, end: number): T[];
}

/** A long list from its end on, without a copy of it. */
export function backwards<T>(items: readonly T[]): Pageable<T> {
  const { length } = items;
  const from = (index: number): number => Math.max(0, length - index);
  return { length, slice: (start, end) => items.slice(from(end), from(start)).reverse() };
}

/** Of a whole list, the page that is asked for. `address` is what links begin with. */
export function numbered<T>(
  items: Pageable<T>,
  query: URLSearchParams,
  address: string,
  render: (item: T) => Row,
  wrap: (rows: Row[]) => unknown = (rows) => rows,
): Reply {
  const [size, page] = [perPage(query), pageNumber(query)];
  const last = Math.max(1, Math.ceil(items.length / size));
  const rows = items.slice((page - 1) * size, page * size).map(render);
  const to = (n: number): Record<string, string> => ({ page: String(n) });
  const rels = {
    ...(page > 1 && { prev: to(Math.min(page - 1, last)) }),
    ...(page < last && { next: to(page + 1), last: to(last) }),
    ...(page > 1 && { first: to(1) }),
  };
  return { status: 200, body: wrap(rows), headers: link(address, query, rels) };
}

/** The `Link` header: none where there is one page. */
export function link(
  address: string,
  query: URLSearchParams,
  rels: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Record<string, string> {
  const links = Object.entries(rels).map(([rel, params]) => {
    const search = new URLSearchParams(query);
    for (const name of ['page', 'after', 'before']) search.delete(name);
    for (const [name, value] of Object.entries(params)) search.set(name, value);
    return `<${address}?${search}>; rel="${rel}"`;
  });
  return links.length === 0 ? {} : { Link: links.join(', ') };
}

export interface Position {
  /** What the list is sorted by. */
  value: number;
  number: number;
}

export function cursorOf({ value, number }: Position): string {
  return Buffer.from(`cursor:v2:${value}:${number}`).toString('base64url');
}

export function positionOf(cursor: string): Position {
  const [, value, number] = /^cursor:v2:(\d+):(\d+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (value === undefined)
    throw new Refusal(
      errorReply(422, 'The cursor is not valid.', {
        errors: [{ resource: 'Issue', field: 'after', code: 'invalid' }],
      }),
    );
  return { value: Number(value), number: Number(number) };
}

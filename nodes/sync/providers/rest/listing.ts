import { FlowError } from '../../../shared/errors';
import type { Found, RestClient } from './client';
import type { ErrorRule, Listing, Paging } from './declaration';
import { at } from './path';
import type { Values } from './template';
import { say } from '../../../shared/say';

export interface ListPage {
  rows: unknown[];
  /** What the next page is asked for by; undefined after the last. */
  next: string | undefined;
  /** What the page before is asked for by, where the API says it, or it can be counted. */
  prev?: string;
  /** As cursor for ever, also of the last page. */
  cursor: string | undefined;
  /** The API refuses to go on there: the list has to be begun again. `because` says why. */
  restart?: string;
  /** Nothing has changed since the ETag. */
  unchanged?: boolean;
  url: string;
  etag: string | undefined;
}

export interface PageRequest {
  listing: Listing;
  values: Values;
  next: string | undefined;
  etag?: (url: string) => string | undefined;
  rules?: readonly ErrorRule[];
}

/** One page of a list. Throws FlowError. */
export async function listPage(
  client: RestClient,
  request: PageRequest,
  signal: AbortSignal,
): Promise<ListPage> {
  const { listing, values, next, etag, rules } = request;
  const { paging, size } = listing;
  const byUrl = next !== undefined && (paging?.by === 'link' || paging?.by === 'url');
  const filled = { ...values, size, ...(next !== undefined && !byUrl && { next }) };
  const url = byUrl ? next : client.urlOf(listing, filled);
  const nothing = { rows: [], next: undefined, cursor: undefined, url, etag: undefined };
  // From a position of another base URL, or an answer that leads elsewhere.
  if (byUrl && !client.isOwn(url)) return { ...nothing, restart: say`The next page is at another host` };
  const answer = await client.ask({ ask: listing, values: filled, url, etag: etag?.(url) }, signal, rules);
  if (answer.status === 304) return { ...nothing, unchanged: true };
  // A later page may be gone by itself: whether the list is, its first page says.
  if (answer.verdict === 'restart' || (answer.verdict === 'gone' && next !== undefined))
    return { ...nothing, restart: answer.because };
  if (answer.verdict !== 'ok') return answer.verdict === 'empty' ? nothing : gone(answer, nothing);
  const rows = rowsAt(answer, listing.records);
  return {
    rows,
    ...nextOf(answer, paging, rows, size ?? rows.length, next),
    url,
    etag: typeof answer.headers.etag === 'string' ? answer.headers.etag : undefined,
  };
}

/** A list that isn't there: of a parent that was deleted meanwhile, or of an account that is misspelt. */
function gone(answer: Found, nothing: Omit<ListPage, 'restart'>): ListPage {
  if (answer.verdict === 'gone')
    throw new FlowError('API_REFUSED', answer.because, false, { details: { gone: true } });
  return nothing;
}

function rowsAt({ body, url }: Found, path: string): unknown[] {
  const found = at(body, path);
  if (Array.isArray(found)) return found;
  if (typeof found === 'object' && found !== null && path === '') return [found];
  throw new FlowError(
    'INVALID_DECLARATION',
    say`The answer of ${new URL(url).pathname} has no list at "${path}", but ${
      Object.keys(body ?? {})
        .slice(0, 20)
        .join(', ') || (Array.isArray(body) ? say`a list` : say`nothing`)
    }`,
    false,
  );
}

function nextOf(
  { body, headers }: Found,
  paging: Paging | undefined,
  rows: readonly unknown[],
  size: number,
  before: string | undefined,
): Pick<ListPage, 'next' | 'prev' | 'cursor'> {
  if (!paging) return { next: undefined, cursor: undefined };
  const found = pointer(paging, body, headers, rows, size, before);
  const prev = backPointer(paging, headers, size, before);
  const ended =
    (paging.while !== undefined && !at(body, paging.while)) ||
    (paging.until !== undefined && at(body, paging.until) === true);
  return { next: ended ? undefined : found, prev, cursor: found };
}

function pointer(
  { by, path = '', short = false, pin }: Paging,
  body: unknown,
  headers: Found['headers'],
  rows: readonly unknown[],
  size: number,
  before: string | undefined,
): string | undefined {
  switch (by) {
    case 'link':
      return before === undefined ? pinned(linked(headers, 'next'), pin, rows[0]) : linked(headers, 'next');
    case 'url':
    case 'cursor':
      return text(at(body, path));
    case 'last':
      return rows.length === 0 ? undefined : text(at(rows.at(-1), path));
    // Only an empty page is the last. Who can't tell why one is short reads some rows again rather than leave any out.
    case 'offset': {
      const given = path === '' && !short ? rows.length : pageSize(body, path, size);
      return rows.length === 0 ? undefined : String(Number(before ?? 0) + given);
    }
    case 'page':
      return rows.length === 0 ? undefined : String(Number(before ?? 1) + 1);
  }
}

function backPointer(
  { by }: Paging,
  headers: Found['headers'],
  size: number,
  before: string | undefined,
): string | undefined {
  if (by === 'link') return linked(headers, 'prev');
  if (before === undefined || (by !== 'page' && by !== 'offset')) return undefined;
  const number = Number(before) - (by === 'page' ? 1 : size);
  return number > (by === 'page' ? 0 : -size) ? String(Math.max(0, number)) : undefined;
}

function linked({ link }: Found['headers'], rel: 'next' | 'prev'): string | undefined {
  return new RegExp(`<([^>]+)>\\s*;[^,]*\\brel="?${rel}"?`).exec(String(link))?.[1];
}

/** Links go on with the parameters of the page that they are of. */
function pinned(next: string | undefined, pin: Paging['pin'], first: unknown): string | undefined {
  const value = pin && text(at(first, pin.path));
  if (next === undefined || !pin || value === undefined) return next;
  const url = new URL(next);
  url.searchParams.set(pin.parameter, value);
  return url.href;
}

/** The API may give fewer at once than it was asked for. */
function pageSize(body: unknown, path: string, asked: number): number {
  const given = path === '' ? NaN : Number(at(body, path));
  return given > 0 ? Math.min(given, asked) : asked;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) || undefined : undefined;
}

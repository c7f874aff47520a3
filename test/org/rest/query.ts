/** `/query` and `/queryAll`: answers to SOQL, page by page. */
import { aggregated } from './aggregates';
import { columnMetadata } from './column-metadata';
import { type Cursor } from './cursors';
import { find, type Found } from './select';
import { shape } from './shapes';
import { isAggregated, type Condition } from './soql';
import { highestModstamp, lowestModstamp } from './soql-where';
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { type Call, type OrgState, type Reply } from '../state';

export function query(org: OrgState, call: Call): Reply {
  if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET');
  const [resource, locator] = call.path;
  if (call.path.length > 2) throw notFound();
  if (locator !== undefined) return more(org, call, locator);
  const text = call.query.get('q');
  if (text === null || text.trim() === '')
    throw new ApiError(400, 'MALFORMED_QUERY', 'A query string has to be specified');
  const all = resource?.toLowerCase() === 'queryall';
  const found = find(org, text, all);
  if (call.query.get('columns') === 'true') return { status: 200, body: columnMetadata(org.store, found) };
  checkTime(org, found);
  if (found.soql.count)
    return { status: 200, body: { totalSize: found.numbers.length, done: true, records: [] } };
  if (isAggregated(found.soql)) return aggregated(org.store, found);
  const size = pageSize(org, call);
  const cursor: Cursor = { found, all, user: call.session.userId, openedAt: org.store.now() };
  return page(org, call, cursor, 0, size);
}

/** A count, or a window of SystemModstamp, that takes the org too long. What an id narrows down is quick. */
function checkTime(org: OrgState, { soql }: Found): void {
  const { queryWindowMs, countTimesOut } = org.switches;
  const width = (): number =>
    Date.parse(highestModstamp(soql.where) ?? new Date(org.store.now()).toISOString()) -
    Date.parse(lowestModstamp(soql.where) ?? '1999-01-01T00:00:00Z');
  const tooWide = queryWindowMs > 0 && !isNarrow(soql.where) && width() > queryWindowMs;
  if ((countTimesOut && soql.count) || tooWide)
    throw new ApiError(400, 'QUERY_TIMEOUT', 'Your query request was running for too long.');
}

function isNarrow(condition: Condition | undefined): boolean {
  if (condition?.kind === 'and') return condition.parts.some(isNarrow);
  return condition?.kind === 'compare' && condition.field.toLowerCase() === 'id';
}

function pageSize(org: OrgState, call: Call): number {
  const asked = /batchSize=(\d+)/i.exec(call.headers['sforce-query-options'] ?? '')?.[1];
  return asked === undefined ? org.switches.pageSize : Math.min(Math.max(Number(asked), 200), 2000);
}

function more(org: OrgState, call: Call, locator: string): Reply {
  const [id = '', from = ''] = locator.split('-');
  const cursor = org.cursors.get(id, org.store.now());
  if (!cursor || !/^\d+$/.test(from) || Number(from) >= cursor.found.numbers.length) {
    throw new ApiError(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator');
  }
  return page(org, call, cursor, Number(from), pageSize(org, call), id);
}

/** Rows from there on, fewer than `size` where they are wide; a cursor is opened where more are left. */
function page(org: OrgState, call: Call, cursor: Cursor, from: number, size: number, id?: string): Reply {
  const { found, all } = cursor;
  const { numbers, type } = found;
  const table = org.store.table(type);
  const show = shape(org, found, call.version);
  const most = org.switches.pageBytes || Infinity;
  const records: Record<string, unknown>[] = [];
  let to = from;
  for (let bytes = 0; to < numbers.length && to - from < size && bytes < most; to++) {
    const number = numbers[to] as number;
    if (!table.has(number) || (!all && table.value(number, 'IsDeleted') === true)) continue;
    const record = show(number);
    records.push(record);
    bytes += weight(record);
  }
  call.entry.records += records.length;
  const done = to >= numbers.length;
  const next = done
    ? {}
    : {
        nextRecordsUrl: `/services/data/v${call.version}/query/${id ?? org.cursors.open(cursor, org.switches.cursorsPerUser)}-${to}`,
      };
  return { status: 200, body: { totalSize: numbers.length, done, ...next, records } };
}

/** About the bytes of a row: its texts. */
function weight(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  let bytes = 0;
  for (const part of Object.values(value)) bytes += weight(part);
  return bytes;
}

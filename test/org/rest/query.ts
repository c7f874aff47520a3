/** `/query` and `/queryAll`: running SOQL, page by page. */
import { ApiError, methodNotAllowed, notFound } from '../store/errors';
import { recordId } from '../store/ids';
import { type Field, type SObjectType } from '../store/schema';
import { parseSoql, type Order, type Soql } from './soql';
import { byKey, compile, lowestModstamp, path } from './soql-where';
import { type Call, type OrgState, type Reply } from '../state';
import { type Store } from '../store/store';
import { type Value } from '../store/table';

/** What a query found, before its fields are read. */
export interface Found {
  type: SObjectType;
  soql: Soql;
  numbers: number[];
}

/** Fields of a record as the answer shows them, with parents nested. */
export type Shape = (number: number) => Record<string, unknown>;

/** `all`: deleted records too, as queryAll does. */
export function find(store: Store, text: string, all: boolean): Found {
  const soql = parseSoql(text);
  const type = store.schema.type(soql.from);
  if (!type || type.name.endsWith('__e'))
    throw new ApiError(
      400,
      'INVALID_TYPE',
      `\nsObject type '${soql.from}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name.`,
    );
  if (soql.offset > 2000)
    throw new ApiError(400, 'NUMBER_OUTSIDE_VALID_RANGE', 'Maximum SOQL offset allowed is 2000');
  const table = store.table(type);
  const test = soql.where ? compile(store, type, soql.where) : undefined;
  const keys = byKey(store, type, soql.where, all);
  const lowest = lowestModstamp(soql.where);
  const modstampOrder = isModstampOrder(soql.order);
  const candidates =
    keys ?? (lowest !== undefined || modstampOrder ? table.modifiedSince(lowest ?? '') : table.numbers());
  const sorted = soql.order.length === 0 || (keys === undefined && modstampOrder);
  const enough = soql.limit !== undefined && sorted ? soql.offset + soql.limit : Infinity;
  const numbers: number[] = [];
  for (const number of candidates) {
    if (numbers.length >= enough) break;
    if ((all || table.value(number, 'IsDeleted') !== true) && (!test || test(number))) numbers.push(number);
  }
  if (!sorted) sort(store, type, numbers, soql.order);
  const end = soql.limit === undefined ? undefined : soql.offset + soql.limit;
  return {
    type,
    soql,
    numbers: soql.offset > 0 || end !== undefined ? numbers.slice(soql.offset, end) : numbers,
  };
}

/** The order that the index has by itself. */
function isModstampOrder(order: readonly Order[]): boolean {
  const [first, second] = order;
  if (first?.field.toLowerCase() !== 'systemmodstamp' || first.descending) return false;
  return (
    order.length === 1 || (order.length === 2 && second?.field.toLowerCase() === 'id' && !second.descending)
  );
}

function sort(store: Store, type: SObjectType, numbers: number[], order: readonly Order[]): void {
  const keys = order.map(({ field, descending, nullsLast }) => ({
    value: path(store, type, field).value,
    sign: descending ? -1 : 1,
    nulls: nullsLast ? 1 : -1,
  }));
  numbers.sort((a, b) => {
    for (const { value, sign, nulls } of keys) {
      const [left, right] = [folded(value(a)), folded(value(b))];
      if (left === right) continue;
      if (left === null) return nulls;
      if (right === null) return -nulls;
      return left < right ? -sign : sign;
    }
    return a - b;
  });
}

function folded(value: Value): Value {
  return typeof value === 'string' && !/^[a-zA-Z0-9]{18}$/.test(value) ? value.toLowerCase() : value;
}

/** The selected fields in order, each as its path of names. */
export function columns(
  store: Store,
  { type, soql }: Found,
): { names: string[]; value: (number: number) => Value }[] {
  return soql.select.flatMap(({ field }) => {
    const group = /^FIELDS\((\w+)\)$/.exec(field)?.[1];
    if (group === undefined) return [path(store, type, field)];
    if (group !== 'STANDARD' && (soql.limit === undefined || soql.limit > 200)) {
      throw new ApiError(400, 'MALFORMED_QUERY', 'The SOQL FIELDS function must have a LIMIT of at most 200');
    }
    const names = [...type.fields.keys()].filter(
      (name) => group === 'ALL' || name.endsWith('__c') === (group === 'CUSTOM'),
    );
    return names.map((name) => path(store, type, name));
  });
}

function shape(store: Store, found: Found, version: string): Shape {
  const { type } = found;
  const table = store.table(type);
  const writers = columns(store, found).map(({ names, value }) => writer(store, type, names, value, version));
  return (number) => {
    const record: Record<string, unknown> = { attributes: attributes(type.name, table.id(number), version) };
    for (const write of writers) write(record, number);
    return record;
  };
}

function attributes(type: string, id: string, version: string): Record<string, string> {
  return { type, url: `/services/data/v${version}/sobjects/${type}/${id}` };
}

type Writer = (record: Record<string, unknown>, number: number) => void;

/** Puts one field into an answered record; a parent's field into the parent's own object, or null where there is none. */
function writer(
  store: Store,
  type: SObjectType,
  names: readonly string[],
  value: (number: number) => Value,
  version: string,
): Writer {
  const last = names.at(-1) as string;
  const parents: { relationship: string; id: (number: number) => Value; type: string }[] = [];
  let owner = type;
  for (const [i, relationship] of names.slice(0, -1).entries()) {
    const reference = [...owner.fields.values()].find(
      (field) => field.relationshipName === relationship,
    ) as Field;
    owner = store.schema.type(reference.referenceTo[0] ?? '') as SObjectType;
    parents.push({
      relationship,
      id: path(store, type, [...names.slice(0, i), reference.name].join('.')).value,
      type: owner.name,
    });
  }
  return (record, number) => {
    let into = record;
    for (const { relationship, id, type: parentType } of parents) {
      const parent = id(number);
      if (parent === null) {
        into[relationship] ??= null;
        return;
      }
      into[relationship] ??= { attributes: attributes(parentType, String(parent), version) };
      into = into[relationship] as Record<string, unknown>;
    }
    into[last] = value(number);
  };
}

/** An open query: its rows are read when their page is asked for, so that a page may come short. */
interface Cursor {
  found: Found;
  all: boolean;
  openedAt: number;
}

const CURSOR_LIFE = 2 * 24 * 60 * 60_000;

export class Cursors {
  readonly #cursors = new Map<string, Cursor>();
  #next = 1;

  open(found: Found, all: boolean, now: number): string {
    const id = recordId('01g', this.#next++);
    this.#cursors.set(id, { found, all, openedAt: now });
    return id;
  }

  get(id: string, now: number): Cursor | undefined {
    const cursor = this.#cursors.get(id);
    return cursor && cursor.openedAt > now - CURSOR_LIFE ? cursor : undefined;
  }
}

export function query(org: OrgState, call: Call): Reply {
  if (call.method !== 'GET') throw methodNotAllowed(call.method, 'GET');
  const [resource, locator] = call.path;
  if (call.path.length > 2) throw notFound();
  if (locator !== undefined) return more(org, call, locator);
  const text = call.query.get('q');
  if (text === null || text.trim() === '')
    throw new ApiError(400, 'MALFORMED_QUERY', 'A query string has to be specified');
  const all = resource?.toLowerCase() === 'queryall';
  const found = find(org.store, text, all);
  if (found.soql.count)
    return { status: 200, body: { totalSize: found.numbers.length, done: true, records: [] } };
  if (found.soql.select.some(({ aggregate }) => aggregate)) return aggregated(org.store, found);
  const size = pageSize(org, call);
  const id = found.numbers.length > size ? org.cursors.open(found, all, org.store.now()) : undefined;
  return page(org, call, { found, all }, id, 0);
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
  return page(org, call, cursor, id, Number(from));
}

function page(
  org: OrgState,
  call: Call,
  { found, all }: Pick<Cursor, 'found' | 'all'>,
  id: string | undefined,
  from: number,
): Reply {
  const { numbers, type } = found;
  const to = id === undefined ? numbers.length : Math.min(from + pageSize(org, call), numbers.length);
  const table = org.store.table(type);
  const show = shape(org.store, found, call.version);
  const records = numbers
    .slice(from, to)
    .filter((number) => table.has(number) && (all || table.value(number, 'IsDeleted') !== true))
    .map(show);
  call.entry.records += records.length;
  const done = to >= numbers.length;
  const next = done ? {} : { nextRecordsUrl: `/services/data/v${call.version}/query/${id}-${to}` };
  return { status: 200, body: { totalSize: numbers.length, done, ...next, records } };
}

/** COUNT(x), MIN(x) and MAX(x) over all that was found; there is no GROUP BY here. */
function aggregated(store: Store, { type, soql, numbers }: Found): Reply {
  const record: Record<string, unknown> = { attributes: { type: 'AggregateResult' } };
  for (const [i, { field, aggregate, alias }] of soql.select.entries()) {
    if (!aggregate)
      throw new ApiError(400, 'MALFORMED_QUERY', `\nField must be grouped or aggregated: ${field}`);
    const { value } = path(store, type, field);
    let result: Value = aggregate === 'count' ? 0 : null;
    for (const number of numbers) {
      const own = value(number);
      if (own === null) continue;
      if (aggregate === 'count') result = Number(result) + 1;
      else if (result === null || (aggregate === 'max' ? own > result : own < result)) result = own;
    }
    record[alias ?? `expr${i}`] = result;
  }
  return { status: 200, body: { totalSize: 1, done: true, records: [record] } };
}

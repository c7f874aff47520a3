/** Which records a query finds, in which order. */
import { isShared } from './sharing';
import { isAggregated, parseSoql, type Order, type Soql } from './soql';
import { byKey, compile, lowestModstamp, path } from './soql-where';
import { ApiError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { type OrgState } from '../state';
import { type Store } from '../store/store';
import { type Value } from '../store/table';

/** What a query found, before its fields are read. */
export interface Found {
  type: SObjectType;
  soql: Soql;
  numbers: number[];
}

/** `all`: deleted records and archived activities too, as queryAll does. */
export function find(org: OrgState, text: string, all: boolean): Found {
  const soql = parseSoql(text);
  const type = org.schema.type(soql.from);
  if (!type || type.name.endsWith('__e'))
    throw new ApiError(
      400,
      'INVALID_TYPE',
      `\nsObject type '${soql.from}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name.`,
    );
  if (soql.offset > 2000)
    throw new ApiError(400, 'NUMBER_OUTSIDE_VALID_RANGE', 'Maximum SOQL offset allowed is 2000');
  return select(org, type, soql, all);
}

/** `among`: the only records that are looked at, such as the children of a parent. */
export function select(
  org: OrgState,
  type: SObjectType,
  soql: Soql,
  all: boolean,
  among?: readonly number[],
): Found {
  const { store } = org;
  const table = store.table(type);
  const hidden = org.switches.unshared[type.name];
  const archives = type.fields.has('IsArchived');
  const isSeen = (number: number): boolean =>
    (all ||
      (table.value(number, 'IsDeleted') !== true &&
        !(archives && table.value(number, 'IsArchived') === true))) &&
    (hidden === undefined || isShared(org, type, table.id(number)));
  const test = soql.where ? compile(store, type, soql.where) : undefined;
  const keys = among ?? byKey(store, type, soql.where, all);
  const lowest = lowestModstamp(soql.where);
  const modstampOrder = isModstampOrder(soql.order);
  const candidates =
    keys ?? (lowest !== undefined || modstampOrder ? table.modifiedSince(lowest ?? '') : table.numbers());
  const sorted = isAggregated(soql) || soql.order.length === 0 || (keys === undefined && modstampOrder);
  // Aggregates are made of all rows; their LIMIT is of groups.
  const limit = isAggregated(soql) ? undefined : soql.limit;
  const enough = limit !== undefined && sorted ? soql.offset + limit : Infinity;
  const numbers: number[] = [];
  for (const number of candidates) {
    if (numbers.length >= enough) break;
    if (isSeen(number) && (!test || test(number))) numbers.push(number);
  }
  if (!sorted) sort(store, type, numbers, soql.order);
  const end = limit === undefined ? undefined : soql.offset + limit;
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

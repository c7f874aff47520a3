/** COUNT(x), MIN(x) … over what a query found, or over each group of it. */
import { isGroupable } from './describe';
import { type Found } from './select';
import { malformedQuery, type Aggregate, type Selected, type Soql } from './soql';
import { path } from './soql-where';
import { ApiError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { type Reply } from '../state';
import { type Store } from '../store/store';
import { type Value } from '../store/table';

/** More groups than this are refused: such answers have no further pages. */
const MAX_GROUPS = 2000;

export function aggregated(store: Store, { type, soql, numbers }: Found): Reply {
  const groups = soql.groups.map((name) => {
    const group = path(store, type, name);
    if (!isGroupable(group.field))
      throw malformedQuery(`\nfield '${group.field.name}' can not be grouped in a query call`);
    return group;
  });
  const rows = new Map<string, number[]>();
  for (const number of numbers) {
    const key = JSON.stringify(groups.map(({ value }) => value(number)));
    const own = rows.get(key);
    if (own) own.push(number);
    else rows.set(key, [number]);
  }
  // Without GROUP BY all is one group, though nothing be in it.
  if (groups.length === 0) rows.set('[]', numbers);
  const outputs = outputsOf(store, type, soql);
  const results = [...rows.values()].map((own) => outputs.map(({ of }) => of(own)));
  sort(results, soql, outputs);
  if (results.length > MAX_GROUPS)
    throw new ApiError(
      400,
      'EXCEEDED_ID_LIMIT',
      'Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch',
    );
  const records = results
    .slice(soql.offset, soql.limit === undefined ? undefined : soql.offset + soql.limit)
    .map((values) => ({
      attributes: { type: 'AggregateResult' },
      ...Object.fromEntries(values.map((value, i) => [outputs[i]?.name ?? '', value])),
    }));
  return { status: 200, body: { totalSize: records.length, done: true, records } };
}

interface Output {
  name: string;
  /** What ORDER BY calls it besides its name. */
  text: string;
  of: (numbers: readonly number[]) => Value;
}

function outputsOf(store: Store, type: SObjectType, soql: Soql): Output[] {
  const grouped = new Set(soql.groups.map((name) => name.toLowerCase()));
  let unnamed = 0;
  return soql.select.map(({ field, aggregate, alias }: Selected) => {
    const { names, value } = path(store, type, field);
    if (aggregate) {
      return {
        name: alias ?? `expr${unnamed++}`,
        text: `${aggregate}(${field.toLowerCase()})`,
        of: (numbers) => aggregateOf(aggregate, numbers.map(value)),
      };
    }
    if (!grouped.has(field.toLowerCase()))
      throw malformedQuery(`\nField must be grouped or aggregated: ${field}`);
    return {
      name: alias ?? names.at(-1) ?? field,
      text: field.toLowerCase(),
      of: ([number]) => (number === undefined ? null : value(number)),
    };
  });
}

function aggregateOf(aggregate: Aggregate, all: readonly Value[]): Value {
  const values = all.filter((value) => value !== null);
  switch (aggregate) {
    case 'count':
      return values.length;
    case 'count_distinct':
      return new Set(values).size;
    case 'min':
      return values.reduce<Value>((a, b) => (a === null || b < a ? b : a), null);
    case 'max':
      return values.reduce<Value>((a, b) => (a === null || b > a ? b : a), null);
    case 'sum':
    case 'avg': {
      const sum = values.reduce<number>((a, b) => a + Number(b), 0);
      if (values.length === 0) return null;
      return aggregate === 'sum' ? sum : sum / values.length;
    }
  }
}

function sort(results: Value[][], { order }: Soql, outputs: readonly Output[]): void {
  const keys = order.map(({ field, descending }) => {
    const at = outputs.findIndex(({ name, text }) =>
      [name.toLowerCase(), text].includes(field.toLowerCase()),
    );
    if (at < 0) throw malformedQuery(`\nOrdered field must be grouped or aggregated: ${field}`);
    return { at, sign: descending ? -1 : 1 };
  });
  results.sort((a, b) => {
    for (const { at, sign } of keys) {
      const [left = null, right = null] = [a[at], b[at]];
      if (left === right) continue;
      return left === null || (right !== null && left < right) ? -sign : sign;
    }
    return 0;
  });
}

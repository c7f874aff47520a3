/** `/query?columns=true`: not the rows of a query, but what its columns are. */
import { type Found } from './select';
import { columns } from './shapes';
import { isAggregated } from './soql';
import { path, type Path } from './soql-where';
import { type Store } from '../store/store';

export function columnMetadata(store: Store, found: Found): Record<string, unknown> {
  const { type, soql } = found;
  let unnamed = 0;
  const own = isAggregated(soql)
    ? soql.select.map(({ field, aggregate, alias }) => ({
        ...column(path(store, type, field)),
        aggregate: aggregate !== undefined,
        displayName: alias ?? (aggregate ? `${aggregate}(${field})` : field),
        columnName: alias ?? (aggregate ? `expr${unnamed++}` : field),
      }))
    : joined(columns(store, found).map((each) => ({ names: each.names, column: column(each) })));
  const children = soql.select.flatMap(({ field, children: below }) => {
    const relationship = store.schema
      .children(type.name)
      .find((each) => each.field.childRelationship?.toLowerCase() === field.toLowerCase());
    if (!below || !relationship) return [];
    const inner = columnMetadata(store, { type: relationship.child, soql: below, numbers: [] });
    return [join(relationship.field.childRelationship ?? field, inner.columnMetadata, true)];
  });
  return {
    columnMetadata: [...own, ...children],
    entityName: type.name,
    groupBy: soql.groups.length > 0,
    idSelected: soql.select.some(({ field }) => field.toLowerCase() === 'id'),
    keyPrefix: type.keyPrefix,
  };
}

/** Columns of one parent stand below it. */
function joined(columns: readonly { names: readonly string[]; column: unknown }[]): unknown[] {
  const found: unknown[] = [];
  const parents = new Map<string, { names: readonly string[]; column: unknown }[]>();
  for (const { names, column } of columns) {
    const [relationship = '', ...rest] = names;
    if (rest.length === 0) found.push(column);
    else parents.set(relationship, [...(parents.get(relationship) ?? []), { names: rest, column }]);
  }
  for (const [relationship, below] of parents) found.push(join(relationship, joined(below), false));
  return found;
}

function join(columnName: string, joinColumns: unknown, aggregate: boolean): Record<string, unknown> {
  return { aggregate, columnName, displayName: columnName, joinColumns };
}

const NUMBERS: ReadonlySet<string> = new Set(['int', 'double', 'currency', 'percent']);

function column({ field, names }: Path): Record<string, unknown> {
  const isNumber = NUMBERS.has(field.type);
  return {
    aggregate: false,
    apexType: field.type,
    booleanType: field.type === 'boolean',
    columnName: names.at(-1),
    custom: field.name.endsWith('__c'),
    displayName: names.at(-1),
    foreignKeyName: field.relationshipName,
    insertable: field.createable,
    joinColumns: [],
    numberType: isNumber,
    textType: !isNumber && field.type !== 'boolean',
    updatable: field.updateable,
  };
}

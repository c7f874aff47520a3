/** What the answer to a query shows of a record: its fields, its parents' fields, its children. */
import { select, type Found } from './select';
import { type Soql } from './soql';
import { path, type Path } from './soql-where';
import { ApiError } from '../store/errors';
import { type Field, type SObjectType } from '../store/schema';
import { shownValue } from '../store/shown';
import { type OrgState } from '../state';
import { type Store } from '../store/store';
import { type Value } from '../store/table';

/** Fields of a record as the answer shows them, with parents nested. */
export type Shape = (number: number) => Record<string, unknown>;

/** The selected fields in order, without children. */
export function columns(store: Store, { type, soql }: Found): Path[] {
  return soql.select.flatMap(({ field, children }) => {
    if (children) return [];
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

export function shape(org: OrgState, found: Found, version: string): Shape {
  const { store } = org;
  const { type, soql } = found;
  const table = store.table(type);
  const writers = columns(store, found).map((column) => writer(store, type, column, version));
  for (const { children } of soql.select) if (children) writers.push(below(org, type, children, version));
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
function writer(store: Store, type: SObjectType, column: Path, version: string): Writer {
  const { names, field, reader } = column;
  const parents: { relationship: string; id: (number: number) => Value; type: string }[] = [];
  let owner = type;
  for (const [i, relationship] of names.slice(0, -1).entries()) {
    const reference = [...owner.fields.values()].find(
      (each) => each.relationshipName === relationship,
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
    into[field.name] = shownValue(column.type, field, reader(number), version);
  };
}

/** Puts the children of one relationship into an answered record, or null where it has none. */
function below(org: OrgState, parent: SObjectType, soql: Soql, version: string): Writer {
  const relationship = org.schema
    .children(parent.name)
    .find(({ field }) => field.childRelationship?.toLowerCase() === soql.from.toLowerCase());
  if (!relationship)
    throw new ApiError(
      400,
      'INVALID_TYPE',
      `\nDidn't understand relationship '${soql.from}' in FROM part of query call.`,
    );
  const { child, field } = relationship;
  const parents = org.store.table(parent);
  const children = org.store.table(child);
  // Says what is wrong with the fields even where there is no child.
  const show = shape(org, { type: child, soql, numbers: [] }, version);
  return (record, number) => {
    const among = children.find(field, parents.id(number));
    const records = select(org, child, soql, false, among).numbers.map(show);
    record[field.childRelationship ?? soql.from] =
      records.length === 0 ? null : { totalSize: records.length, done: true, records };
  };
}

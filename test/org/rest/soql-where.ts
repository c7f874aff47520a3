/** Conditions of a query: from a parsed tree to a function that tests a record, and what an index can do with it. */
import { dateTimeText, parseDate, parseDateTime } from '../store/dates';
import { ApiError } from '../store/errors';
import { isComparable } from './describe';
import { fieldOf } from '../store/dml';
import { normalId } from '../store/ids';
import { type Field, type SObjectType } from '../store/schema';
import { type Condition, type Literal, type Operator } from './soql';
import { type Store } from '../store/store';
import { type Table, type Value } from '../store/table';

export type Test = (number: number) => boolean;

function invalidField(message: string): ApiError {
  return new ApiError(400, 'INVALID_FIELD', message);
}

/** A field of the object, or of a parent: what to read, and how. */
export interface Path {
  /** The object that has the field. */
  type: SObjectType;
  field: Field;
  names: string[];
  value: (number: number) => Value;
  /** Reads other fields of the record that has it. */
  reader: (number: number) => (name: string) => Value;
}

export function path(store: Store, type: SObjectType, text: string): Path {
  const names = text.split('.');
  const [first = ''] = names;
  // An object may be named in front of its own fields.
  if (names.length > 1 && first.toLowerCase() === type.name.toLowerCase()) names.shift();
  const steps: { table: Table; field: Field }[] = [];
  let owner = type;
  for (const [i, name] of names.entries()) {
    const last = i === names.length - 1;
    const field = last
      ? fieldOf(owner, name)
      : [...owner.fields.values()].find(
          (each) => each.relationshipName?.toLowerCase() === name.toLowerCase(),
        );
    if (!field) {
      if (last)
        throw invalidField(
          `\nNo such column '${name}' on entity '${owner.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name.`,
        );
      throw invalidField(
        `\nDidn't understand relationship '${name}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name.`,
      );
    }
    steps.push({ table: store.table(owner), field });
    names[i] = last ? field.name : (field.relationshipName ?? name);
    if (!last) owner = store.schema.type(field.referenceTo[0] ?? '') ?? owner;
  }
  const { table, field } = steps.at(-1) as { table: Table; field: Field };
  /** The number of the record that has the field. */
  const end = (number: number): number | undefined => {
    let at: number | undefined = number;
    for (const [i, step] of steps.slice(0, -1).entries()) {
      const id: Value = at === undefined ? null : step.table.value(at, step.field.name);
      at = typeof id === 'string' ? steps[i + 1]?.table.number(id) : undefined;
    }
    return at;
  };
  const read = (at: number | undefined, name: string): Value =>
    at === undefined ? null : table.value(at, name);
  const plain = steps.length === 1;
  return {
    type: owner,
    field,
    names,
    value: plain ? (number) => table.value(number, field.name) : (number) => read(end(number), field.name),
    reader: (number) => {
      const at = plain ? number : end(number);
      return (name) => read(at, name);
    },
  };
}

export function compile(store: Store, type: SObjectType, condition: Condition): Test {
  switch (condition.kind) {
    case 'and': {
      const tests = condition.parts.map((part) => compile(store, type, part));
      return (number) => tests.every((test) => test(number));
    }
    case 'or': {
      const tests = condition.parts.map((part) => compile(store, type, part));
      return (number) => tests.some((test) => test(number));
    }
    case 'not': {
      const test = compile(store, type, condition.part);
      return (number) => !test(number);
    }
    case 'compare': {
      const { field, value } = path(store, type, condition.field);
      if (!isComparable(field))
        throw invalidField(`\nfield '${field.name}' can not be filtered in a query call`);
      const test = comparison(
        field,
        condition.operator,
        condition.values.map((literal) => comparable(field, literal, store.now())),
      );
      return (number) => test(fold(field, value(number)));
    }
  }
}

const EXACT = new Set([
  'id',
  'reference',
  'date',
  'datetime',
  'time',
  'boolean',
  'int',
  'double',
  'currency',
  'percent',
]);

/** Text is compared without regard to case, ids and times as they are. */
function fold(field: Field, value: Value): Value {
  return typeof value === 'string' && !EXACT.has(field.type) && !field.caseSensitive
    ? value.toLowerCase()
    : value;
}

function comparable(field: Field, literal: Literal, now: number): Value {
  const { kind, value } = literal;
  if (kind === 'null') return null;
  if (field.type === 'datetime' || field.type === 'date') return moment(field, literal, now);
  const expected =
    field.type === 'boolean'
      ? 'boolean'
      : ['int', 'double', 'currency', 'percent'].includes(field.type)
        ? 'number'
        : 'string';
  if (kind !== expected) {
    const quotes =
      expected === 'string' ? 'should be enclosed in quotes' : 'should not be enclosed in quotes';
    throw invalidField(
      `\nvalue of filter criterion for field '${field.name}' must be of type ${expected === 'number' ? 'double' : expected} and ${quotes}`,
    );
  }
  if (field.type === 'id' || field.type === 'reference') {
    if (value === '') return null;
    const id = normalId(value);
    if (id === undefined)
      throw new ApiError(400, 'INVALID_QUERY_FILTER_OPERATOR', `\ninvalid ID field: ${String(value)}`);
    return id;
  }
  return value === '' ? null : fold(field, value);
}

function moment(field: Field, literal: Literal, now: number): Value {
  const wanted = field.type === 'date' ? 'date' : 'dateTime';
  const wrong = invalidField(
    `\nvalue of filter criterion for field '${field.name}' must be of type ${wanted} and should not be enclosed in quotes`,
  );
  if (literal.kind === 'day') return day(field, String(literal.value), now);
  if (field.type === 'date' && literal.kind === 'date') return parseDate(String(literal.value)) ?? null;
  if (field.type !== 'datetime' || literal.kind !== 'datetime') throw wrong;
  const ms = parseDateTime(String(literal.value));
  if (ms === undefined) throw wrong;
  return dateTimeText(ms);
}

function day(field: Field, name: string, now: number): string {
  const [word, count = '0'] = name.split(':');
  const shift =
    { today: 0, yesterday: -1, tomorrow: 1, last_n_days: -Number(count), next_n_days: Number(count) }[
      word ?? ''
    ] ?? 0;
  const text = new Date(now + shift * 86_400_000).toISOString().slice(0, 10);
  return field.type === 'date' ? text : `${text}T00:00:00.000+0000`;
}

function comparison(field: Field, operator: Operator, values: readonly Value[]): (value: Value) => boolean {
  const [wanted = null] = values;
  const set = new Set(values);
  switch (operator) {
    case '=':
      return (value) => value === wanted;
    case '!=':
      return (value) => value !== wanted;
    case 'in':
      return (value) => set.has(value);
    case 'not in':
      return (value) => !set.has(value);
    case 'like': {
      if (typeof wanted !== 'string')
        throw new ApiError(400, 'INVALID_QUERY_FILTER_OPERATOR', `\ninvalid operator on ${field.type} field`);
      const source = [...wanted]
        .map((letter) =>
          letter === '%' ? '.*' : letter === '_' ? '.' : letter.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
        )
        .join('');
      const pattern = new RegExp(`^${source}$`, 's');
      return (value) => typeof value === 'string' && pattern.test(value);
    }
    default:
      return (value) => value !== null && wanted !== null && ordered(operator, value, wanted);
  }
}

function ordered(
  operator: '<' | '<=' | '>' | '>=',
  a: string | number | boolean,
  b: string | number | boolean,
): boolean {
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  if (operator === '>') return a > b;
  return a >= b;
}

/** The SystemModstamp that every matching record has at least, if the condition says so. */
export function lowestModstamp(condition: Condition | undefined): string | undefined {
  return modstampBound(condition, ['=', '>', '>='], (a, b) => a > b);
}

/** The same at most. */
export function highestModstamp(condition: Condition | undefined): string | undefined {
  return modstampBound(condition, ['=', '<', '<='], (a, b) => a < b);
}

function modstampBound(
  condition: Condition | undefined,
  operators: readonly Operator[],
  tighter: (a: string, b: string) => boolean,
): string | undefined {
  const bound = (part: Condition): string | undefined => modstampBound(part, operators, tighter);
  switch (condition?.kind) {
    case 'and':
      return condition.parts
        .map(bound)
        .reduce((a, b) => (a === undefined || (b !== undefined && tighter(b, a)) ? b : a), undefined);
    case 'or': {
      const parts = condition.parts.map(bound);
      return parts.includes(undefined)
        ? undefined
        : parts.reduce((a, b) => (a !== undefined && b !== undefined && tighter(b, a) ? a : b));
    }
    case 'compare': {
      const [literal] = condition.values;
      if (condition.field.toLowerCase() !== 'systemmodstamp' || literal?.kind !== 'datetime')
        return undefined;
      if (!operators.includes(condition.operator)) return undefined;
      const ms = parseDateTime(String(literal.value));
      return ms === undefined ? undefined : dateTimeText(ms);
    }
    default:
      return undefined;
  }
}

/** The records that an = or IN on the id or an external id leaves, if there is one that all of them must meet. */
export function byKey(
  store: Store,
  type: SObjectType,
  condition: Condition | undefined,
  deletedToo: boolean,
): number[] | undefined {
  if (condition?.kind === 'and') {
    for (const part of condition.parts) {
      const found = byKey(store, type, part, deletedToo);
      if (found) return found;
    }
    return undefined;
  }
  if (condition?.kind !== 'compare' || (condition.operator !== '=' && condition.operator !== 'in'))
    return undefined;
  const field = fieldOf(type, condition.field);
  if (!field || (field.type !== 'id' && !field.externalId)) return undefined;
  const table = store.table(type);
  const numbers = new Set<number>();
  for (const { value } of condition.values) {
    if (field.type !== 'id') {
      // The index has no deleted records, and knows no case only where the field is unique and ignores it.
      if (deletedToo || !field.unique || field.caseSensitive) return undefined;
      for (const number of table.find(field, value)) numbers.add(number);
      continue;
    }
    const id = normalId(value);
    const number = id === undefined ? undefined : table.number(id);
    if (number !== undefined) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

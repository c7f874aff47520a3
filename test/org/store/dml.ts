/** Writing one record: every check an org makes, then the change within the caller's transaction. */
import { rowError, type RowError } from './errors';
import { normalId } from './ids';
import { type Field, type SObjectType } from './schema';
import { type Transaction } from './store';
import { type Table, type Value } from './table';
import { check } from './values';

/** A record as a client sends it: `attributes`, fields, and parents by external id. */
export type Sent = Readonly<Record<string, unknown>>;

export type SaveResult =
  | { id: string; success: true; errors: RowError[]; created?: boolean }
  | { id?: string | null; success: false; errors: RowError[]; created?: boolean };

/** What the org looks at for every row, besides the schema. */
export interface RowRules {
  /** An injected or situational refusal of this row (faults, locks, duplicate rules), if there is one. */
  refuse(type: SObjectType, record: Sent, id: string | undefined): RowError | undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function failed(...errors: RowError[]): SaveResult {
  return { success: false, errors };
}

function done(id: string): SaveResult {
  return { id, success: true, errors: [] };
}

interface Values {
  values: Record<string, Value>;
  errors: RowError[];
}

/** Reads the fields of a record; `ignore` are those that address it (Id, the external id of an upsert's URL). */
function read(
  tx: Transaction,
  type: SObjectType,
  record: Sent,
  operation: 'createable' | 'updateable',
  ignore: readonly string[],
): Values {
  const { schema } = tx.store;
  const values: Record<string, Value> = {};
  const errors: RowError[] = [];
  const forbidden: string[] = [];
  for (const [key, sent] of Object.entries(record)) {
    if (key === 'attributes' || ignore.includes(key)) continue;
    const field = fieldOf(type, key);
    if (!field) {
      const parent = parentOf(tx, type, key, sent);
      if ('error' in parent) errors.push(parent.error);
      else values[parent.field.name] = parent.id;
    } else if (!field[operation]) {
      forbidden.push(field.name);
    } else {
      const checked = check(field, sent, schema);
      if ('error' in checked) errors.push(checked.error);
      else values[field.name] = checked.value;
    }
  }
  if (forbidden.length > 0) {
    const message = `Unable to create/update fields: ${forbidden.join(', ')}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.`;
    errors.push(rowError('INVALID_FIELD_FOR_INSERT_UPDATE', message, forbidden));
  }
  return { values, errors };
}

export function fieldOf(type: SObjectType, name: string): Field | undefined {
  const exact = type.fields.get(name);
  if (exact) return exact;
  const lower = name.toLowerCase();
  for (const field of type.fields.values()) if (field.name.toLowerCase() === lower) return field;
  return undefined;
}

/** `"Account": {"ExternalId__c": "A-1"}`: the parent by its external id. */
function parentOf(
  tx: Transaction,
  type: SObjectType,
  key: string,
  sent: unknown,
): { field: Field; id: string | null } | { error: RowError } {
  const field = [...type.fields.values()].find(
    (candidate) => candidate.relationshipName?.toLowerCase() === key.toLowerCase(),
  );
  const noColumn = {
    error: rowError('INVALID_FIELD', `No such column '${key}' on sobject of type ${type.name}`),
  };
  if (!field) return noColumn;
  if (sent === null) return { field, id: null };
  const target = tx.store.schema.type(field.referenceTo[0] ?? '');
  if (!target || !isRecord(sent)) return noColumn;
  const [name, value] = Object.entries(sent).find(([part]) => part !== 'attributes') ?? [];
  const external = name === undefined ? undefined : fieldOf(target, name);
  if (!external?.idLookup) {
    return {
      error: rowError('INVALID_FIELD', `${name ?? key} is not an External ID field on ${target.name}`),
    };
  }
  const table = tx.store.table(target);
  const text = String(value);
  const found = table
    .find(external, text)
    .filter((number) => target !== type || tx.together?.has(table.id(number)) !== true);
  const [number] = found;
  if (number === undefined) {
    return {
      error: rowError(
        'INVALID_FIELD',
        `Foreign key external ID: ${text.toLowerCase()} not found for field ${external.name} in entity ${target.name}`,
      ),
    };
  }
  if (found.length > 1)
    return {
      error: rowError(
        'DUPLICATE_EXTERNAL_ID',
        `${external.name}: more than one record found for external id field: [${text}]`,
      ),
    };
  return { field, id: table.id(number) };
}

/** Parents must exist and not be deleted; unique values must be free. */
function conflicts(
  tx: Transaction,
  type: SObjectType,
  values: Readonly<Record<string, Value>>,
  self: number | undefined,
): RowError | undefined {
  for (const [name, value] of Object.entries(values)) {
    const field = type.fields.get(name);
    if (!field || value === null) continue;
    if (field.type === 'reference') {
      const parent = tx.store.find(String(value));
      if (!parent) return rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id');
      if (parent.table.value(parent.number, 'IsDeleted') === true)
        return rowError('ENTITY_IS_DELETED', 'entity is deleted');
    }
    if (field.unique) {
      const other = tx.store
        .table(type)
        .find(field, value)
        .find((number) => number !== self);
      if (other !== undefined) {
        return rowError(
          'DUPLICATE_VALUE',
          `duplicate value found: ${name} duplicates value on record with id: ${tx.store.table(type).id(other).slice(0, 15)}`,
        );
      }
    }
  }
  return undefined;
}

function missing(
  type: SObjectType,
  values: Readonly<Record<string, Value>>,
  all: boolean,
): RowError | undefined {
  const names: string[] = [];
  for (const field of type.fields.values()) {
    if (field.nillable || !field.createable || field.defaultValue !== null) continue;
    if (values[field.name] === null || (all && values[field.name] === undefined)) names.push(field.name);
  }
  return names.length > 0
    ? rowError('REQUIRED_FIELD_MISSING', `Required fields are missing: [${names.join(', ')}]`, names)
    : undefined;
}

export function create(
  tx: Transaction,
  type: SObjectType,
  record: Sent,
  rules: RowRules,
  ignore: readonly string[] = [],
): SaveResult {
  const refused = rules.refuse(type, record, undefined);
  if (refused) return failed(refused);
  if ('Id' in record || 'id' in record)
    return failed(rowError('INVALID_FIELD_FOR_INSERT_UPDATE', 'cannot specify Id in an insert call', ['Id']));
  const { values, errors } = read(tx, type, record, 'createable', ignore);
  if (errors.length > 0) return failed(...errors);
  const error = missing(type, values, true) ?? conflicts(tx, type, values, undefined);
  if (!error && type.name.endsWith('__e')) return published(tx.publish(type, values));
  return error ? failed(error) : done(tx.insert(type, values));
}

/** REST publishes a platform event as if it were a record; the event is on its way, not there. */
function published({ id, uuid }: { id: string; uuid: string }): SaveResult {
  return { id, success: true, errors: [rowError('OPERATION_ENQUEUED', uuid)] };
}

/** Changes the record with this number; `ignore` as in `read`. */
function change(
  tx: Transaction,
  type: SObjectType,
  table: Table,
  number: number,
  record: Sent,
  rules: RowRules,
  ignore: readonly string[],
): SaveResult {
  const id = table.id(number);
  const refused = rules.refuse(type, record, id);
  if (refused) return { ...failed(refused), id };
  if (table.value(number, 'IsDeleted') === true)
    return { ...failed(rowError('ENTITY_IS_DELETED', 'entity is deleted')), id };
  const { values, errors } = read(tx, type, record, 'updateable', ignore);
  if (errors.length > 0) return { ...failed(...errors), id };
  const error = missing(type, values, false) ?? conflicts(tx, type, values, number);
  if (error) return { ...failed(error), id };
  tx.update(type, number, values);
  return done(id);
}

export function update(
  tx: Transaction,
  type: SObjectType,
  sentId: unknown,
  record: Sent,
  rules: RowRules,
): SaveResult {
  if (sentId === undefined || sentId === null || sentId === '')
    return failed(rowError('MISSING_ARGUMENT', 'Id not specified in an update call', ['Id']));
  const id = normalId(sentId);
  if (id === undefined || !id.startsWith(type.keyPrefix)) return malformed(type, sentId);
  const table = tx.store.table(type);
  const number = table.number(id);
  if (number === undefined)
    return { ...failed(rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id')), id };
  return change(tx, type, table, number, record, rules, ['id', 'Id']);
}

function malformed(type: SObjectType, sent: unknown): SaveResult {
  return failed(
    rowError('MALFORMED_ID', `${type.label} ID: id value of incorrect type: ${String(sent)}`, ['Id']),
  );
}

export function upsert(
  tx: Transaction,
  type: SObjectType,
  external: Field,
  record: Sent,
  rules: RowRules,
): SaveResult {
  const key = Object.keys(record).find((name) => name.toLowerCase() === external.name.toLowerCase());
  const value = key === undefined ? undefined : record[key];
  if (external.name === 'Id') {
    const result =
      value === undefined || value === null
        ? create(tx, type, without(record, key), rules)
        : update(tx, type, value, record, rules);
    return result.success ? { ...result, created: value === undefined || value === null } : result;
  }
  if (value === undefined || value === null || value === '')
    return failed(rowError('MISSING_ARGUMENT', `${external.name} not specified`));
  const checked = check(external, value, tx.store.schema);
  if ('error' in checked) return failed(checked.error);
  const table = tx.store.table(type);
  const found = table.find(external, checked.value);
  if (found.length > 1) {
    const message = `${external.name}: more than one record found for external id field: [${found.map((number) => table.id(number)).join(', ')}]`;
    return failed(rowError('DUPLICATE_EXTERNAL_ID', message));
  }
  const [number] = found;
  if (number === undefined) {
    const result = create(tx, type, record, rules);
    return result.success ? { ...result, created: true } : result;
  }
  const result = change(tx, type, table, number, record, rules, [external.name]);
  return result.success ? { ...result, created: false } : result;
}

function without(record: Sent, key: string | undefined): Sent {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

export function remove(tx: Transaction, sentId: string, rules: RowRules): SaveResult {
  const id = normalId(sentId);
  const type = id === undefined ? undefined : tx.store.schema.byPrefix(id);
  if (id === undefined || !type) return failed(rowError('MALFORMED_ID', `malformed id ${sentId}`));
  const table = tx.store.table(type);
  const number = table.number(id);
  const refused = rules.refuse(type, { Id: id }, id);
  if (refused) return { ...failed(refused), id };
  if (number === undefined)
    return { ...failed(rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id')), id };
  if (table.value(number, 'IsDeleted') === true)
    return { ...failed(rowError('ENTITY_IS_DELETED', 'entity is deleted')), id };
  removeWithChildren(tx, type, number);
  return done(id);
}

/** Master-detail children go with their parent, lookups to it are emptied. */
export function removeWithChildren(tx: Transaction, type: SObjectType, number: number): void {
  const id = tx.store.table(type).id(number);
  tx.delete(type, number);
  for (const { child, field } of tx.store.schema.children(type.name)) {
    if (field.childRelationship === null) continue;
    for (const childNumber of tx.store.table(child).find(field, id)) {
      if (field.cascadeDelete) removeWithChildren(tx, child, childNumber);
      else tx.update(child, childNumber, { [field.name]: null });
    }
  }
}

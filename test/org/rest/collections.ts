/** sObject Collections: `/composite/sobjects…`. */
import {
  create,
  fieldOf,
  isRecord,
  remove,
  update,
  upsert,
  failed,
  type SaveResult,
  type Sent,
} from '../store/dml';
import { ApiError, methodNotAllowed, notFound, rowError, type RowError } from '../store/errors';
import { normalId } from '../store/ids';
import { isShared } from './sharing';
import { shown } from '../store/shown';
import { rulesOf } from './rules';
import { type Field, type SObjectType } from '../store/schema';
import { type Call, type OrgState, type Reply } from '../state';
import { keyOf } from '../store/table';

const MAX_WRITE = 200;
const MAX_READ = 2000;
const MAX_CHUNKS = 10;

export function collections(org: OrgState, call: Call): Reply {
  const [, , typeName, externalName] = call.path;
  if (call.path.length > 4) throw notFound();
  if (externalName !== undefined) {
    if (call.method !== 'PATCH') throw methodNotAllowed(call.method, 'PATCH');
    return upsertAll(org, call, typeName ?? '', externalName);
  }
  if (typeName !== undefined) {
    if (call.method === 'GET')
      return readAll(org, call, typeName, list(call.query.get('ids')), list(call.query.get('fields')));
    if (call.method !== 'POST') throw methodNotAllowed(call.method, 'GET, POST');
    const body = isRecord(call.body) ? call.body : {};
    return readAll(org, call, typeName, strings(body.ids), strings(body.fields));
  }
  const rules = rulesOf(org, call);
  switch (call.method) {
    case 'POST':
      return writeAll(org, call, (type, record) => create(call.tx, type, record, rules));
    case 'PATCH':
      return updateAll(org, call);
    case 'DELETE': {
      const ids = list(call.query.get('ids'));
      if (ids.length === 0) throw new ApiError(400, 'MISSING_ARGUMENT', 'The ids parameter is required.');
      limit(org, ids.length);
      const results = ids.map((id) => () => remove(call.tx, id, rules));
      return settle(org, call, results, call.query.get('allOrNone') === 'true');
    }
    default:
      throw methodNotAllowed(call.method, 'POST, PATCH, DELETE');
  }
}

function list(text: string | null): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function limit(org: OrgState, count: number): void {
  if (count <= MAX_WRITE) return;
  const message = `record limit reached. cannot submit more than ${MAX_WRITE} records into this call`;
  throw new ApiError(400, org.switches.collectionLimitCode, message);
}

function typeOf(org: OrgState, record: Sent): SObjectType | undefined {
  const name = isRecord(record.attributes) ? record.attributes.type : undefined;
  return typeof name === 'string' ? org.schema.type(name) : undefined;
}

function records(org: OrgState, call: Call): Sent[] {
  const body = isRecord(call.body) ? call.body : {};
  if (!Array.isArray(body.records))
    throw new ApiError(400, 'MISSING_ARGUMENT', 'The records parameter is required.');
  const rows = body.records.filter(isRecord);
  if (rows.length !== body.records.length)
    throw new ApiError(
      400,
      'JSON_PARSER_ERROR',
      'Unexpected parameter encountered during deserialization: records',
    );
  limit(org, rows.length);
  return rows;
}

/** A run of neighbours of one type is a chunk. */
function checkChunks(org: OrgState, rows: readonly Sent[]): void {
  let chunks = 0;
  let last: unknown;
  for (const row of rows) {
    const type = isRecord(row.attributes) ? row.attributes.type : undefined;
    if (type !== last) chunks++;
    last = type;
  }
  if (chunks > MAX_CHUNKS) {
    const message = `Cannot have more than ${MAX_CHUNKS} chunks in a single operation. Please rearrange the data to reduce chunking.`;
    throw new ApiError(400, org.switches.collectionLimitCode, message);
  }
}

function isAllOrNone(call: Call): boolean {
  return isRecord(call.body) && call.body.allOrNone === true;
}

function writeAll(org: OrgState, call: Call, write: (type: SObjectType, record: Sent) => SaveResult): Reply {
  const rows = records(org, call);
  checkChunks(org, rows);
  const results = rows.map((record) => () => {
    const type = typeOf(org, record);
    return type ? write(type, record) : failed(unsupported(record));
  });
  return settle(org, call, results, isAllOrNone(call));
}

function updateAll(org: OrgState, call: Call): Reply {
  const rules = rulesOf(org, call);
  const ids = (
    isRecord(call.body) && Array.isArray(call.body.records) ? call.body.records.filter(isRecord) : []
  ).map((record) => normalId(record.id ?? record.Id));
  const twice = repeated(ids);
  return writeAll(org, call, (type, record) => {
    const sent = record.id ?? record.Id;
    const id = normalId(sent);
    if (id !== undefined && twice.has(id))
      return { ...failed(rowError('DUPLICATE_VALUE', `Duplicate id specified: ${id}`, ['Id'])), id };
    return update(call.tx, type, sent, record, rules);
  });
}

function unsupported(record: Sent): RowError {
  const name = isRecord(record.attributes) ? record.attributes.type : undefined;
  if (typeof name !== 'string')
    return rowError('INVALID_TYPE', 'sObject type is required in the attributes of every record');
  return rowError('INVALID_TYPE', `sObject type '${name}' is not supported.`);
}

function upsertAll(org: OrgState, call: Call, typeName: string, externalName: string): Reply {
  const type = org.schema.type(typeName);
  if (!type) throw notFound();
  const external = fieldOf(type, externalName);
  if (!external?.idLookup) {
    throw new ApiError(
      400,
      'INVALID_FIELD',
      `Field name provided, ${externalName} is not an External ID or indexed field for ${type.name}`,
    );
  }
  const rows = records(org, call);
  const keys = rows.map((record) => keyOf(external, rawKey(external, record)));
  const twice = repeated(keys);
  const rules = rulesOf(org, call);
  const results = rows.map((record, i) => () => {
    const own = typeOf(org, record);
    if (!own) return failed(unsupported(record));
    if (own !== type)
      return failed(
        rowError(
          'INVALID_TYPE',
          `sObject type '${own.name}' does not match the type of the request, ${type.name}`,
        ),
      );
    const key = keys[i];
    if (key !== undefined && twice.has(key)) {
      return failed(
        rowError('DUPLICATE_VALUE', `Duplicate external id specified: ${String(rawKey(external, record))}`, [
          external.name,
        ]),
      );
    }
    const race = org.switches.upsertRaces > 0 ? raced(org, call, type, external, record) : undefined;
    return race ?? upsert(call.tx, type, external, record, rules);
  });
  return settle(org, call, results, isAllOrNone(call));
}

/** Another client creates the record after this call has looked for it: the call finds its key taken. */
function raced(
  org: OrgState,
  call: Call,
  type: SObjectType,
  external: Field,
  record: Sent,
): SaveResult | undefined {
  const key = rawKey(external, record);
  if (!external.unique || org.store.table(type).find(external, key ?? null).length > 0) return undefined;
  org.switches.upsertRaces--;
  const other = create(call.tx, type, { ...record, [external.name]: key }, { refuse: () => undefined });
  if (!other.success) return undefined;
  const message = `duplicate value found: ${external.name} duplicates value on record with id: ${other.id.slice(0, 15)}`;
  return failed(rowError('DUPLICATE_VALUE', message));
}

/** An external id as it was sent. */
export function rawKey(external: Field, record: Sent): string | number | undefined {
  const value =
    record[external.name] ??
    Object.entries(record).find(([name]) => name.toLowerCase() === external.name.toLowerCase())?.[1];
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

/** Keys that more than one row has: every row with such a key is refused. */
export function repeated(keys: readonly (string | undefined)[]): Set<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const key of keys) {
    if (key === undefined) continue;
    if (seen.has(key)) twice.add(key);
    seen.add(key);
  }
  return twice;
}

const ROLLED_BACK = rowError(
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'Record rolled back because not all records were valid and the request was using AllOrNone header',
);

/** Runs the rows in order; with allOrNone one failure takes everything back, and the innocent rows say why. */
function settle(org: OrgState, call: Call, rows: readonly (() => SaveResult)[], allOrNone: boolean): Reply {
  const savepoint = call.tx.savepoint();
  call.tx.together = org.switches.sameTypeReferences ? undefined : new Set();
  const results = rows.map((row) => row());
  call.tx.together = undefined;
  const bad = results.some((result) => !result.success);
  if (bad && org.switches.unreadable === 'request') {
    const unreadable = results
      .flatMap((result) => result.errors)
      .find((error) => UNREADABLE.has(error.statusCode));
    if (unreadable) throw new ApiError(400, unreadable.statusCode, unreadable.message);
  }
  if (allOrNone && bad) {
    call.tx.rollback(savepoint);
    for (const [i, result] of results.entries())
      if (result.success) results[i] = rolledBack(call, result.id, result.created);
  }
  if (org.switches.failedRowCreated && call.path.length === 4)
    for (const result of results) if (!result.success) result.created = true;
  if (org.switches.failedRowId === 'null')
    for (const result of results) if (!result.success) result.id ??= null;
  return { status: 200, body: results };
}

const UNREADABLE = new Set(['JSON_PARSER_ERROR', 'INVALID_FIELD']);

/** A rolled-back update, upsert of a record that was there, or delete keeps its id. */
function rolledBack(call: Call, id: string, created: boolean | undefined): SaveResult {
  const keepsId = call.method === 'DELETE' || (call.method === 'PATCH' && created !== true);
  return keepsId ? { id, success: false, errors: [ROLLED_BACK] } : failed(ROLLED_BACK);
}

function readAll(
  org: OrgState,
  call: Call,
  typeName: string,
  ids: readonly string[],
  fieldNames: readonly string[],
): Reply {
  const type = org.schema.type(typeName);
  if (!type) throw notFound();
  if (ids.length === 0 || fieldNames.length === 0) {
    throw new ApiError(
      400,
      'MISSING_ARGUMENT',
      `The ${ids.length === 0 ? 'ids' : 'fields'} parameter is required.`,
    );
  }
  if (ids.length > MAX_READ)
    throw new ApiError(
      400,
      'EXCEEDED_ID_LIMIT',
      `record limit reached. cannot submit more than ${MAX_READ} records into this call`,
    );
  const fields = fieldNames.map((name) => {
    const field = fieldOf(type, name);
    if (!field)
      throw new ApiError(400, 'INVALID_FIELD', `No such column '${name}' on entity '${type.name}'.`);
    return field.name;
  });
  const table = org.store.table(type);
  const body = ids.map((sent) => {
    const id = normalId(sent);
    const number = id === undefined ? undefined : table.number(id);
    const row = number === undefined ? undefined : table.row(number);
    return !row || row.IsDeleted === true || !isShared(org, type, String(row.Id))
      ? null
      : shown(type, row, ['Id', ...fields.filter((field) => field !== 'Id')], call.version);
  });
  return { status: 200, body };
}

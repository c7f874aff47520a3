import { fieldless, stringifyJson } from '../../shared/json';
import type { Describes } from '../org/describes';
import {
  endpointOf,
  fieldOf,
  idKey,
  inexactKey,
  isSameRecord,
  referenceKeys,
  textOf,
  upsertKeys,
} from './keys';
import {
  CALL_RECORDS,
  COLLECTION_RECORDS,
  REQUEST_BYTES,
  TYPE_CHUNKS,
  invalid,
  isId,
  isRecord,
  megabytes,
  tooLargeForARequest,
} from './limits';
import { measure } from './measure';
import {
  newWrite,
  type WriteMessage,
  type Key,
  type Endpoint,
  type Row,
  type RowError,
  type Write,
  type WriteRequest,
} from './operations';
import { planTrees } from './tree';
import { labelOf, say } from '../../shared/say';

/**
 * The writes of one message. Checks every limit before anything is sent: throws FlowError, not retryable, when
 * the message as a whole can't be written. A row that can't be sent by itself (no id, no external id) gets its
 * failed result here. `describes` tells which records are one, as far as that is known.
 */
export function plan(
  request: WriteRequest,
  describes?: Pick<Describes, 'fields'>,
): { message: WriteMessage; writes: Write[] } {
  checkSettings(request);
  const records: unknown[] = Array.isArray(request.payload) ? request.payload : [request.payload];
  const message: WriteMessage = {
    request,
    records,
    results: new Array<undefined>(records.length),
    open: records.length,
  };
  const writes =
    request.operation === 'tree' ? planTrees(message, describes) : planCollections(message, describes);
  return { message, writes };
}

function planCollections(message: WriteMessage, describes?: Pick<Describes, 'fields'>): Write[] {
  const { request, records } = message;
  const together = request.allOrNone && records.length > 1 && request.operation !== 'get';

  if (!together) {
    const writes: Write[] = [];
    for (const [index, record] of records.entries()) {
      const row = prepareSendable(request, record, index, describes);
      if (row.error) reject(message, index, row.error);
      else writes.push(writeOf(message, [row], false));
    }
    return writes;
  }
  const rows = records.map((record, index) => prepareSendable(request, record, index, describes));
  const wrong = rows.find((row) => row.error)?.error;
  if (wrong) {
    for (const row of rows) reject(message, row.index, row.error ?? rolledBack());
    return [];
  }
  checkTogether(request, rows, describes);
  const one = writeOf(message, rows, true);
  if (one.bytes > REQUEST_BYTES) throw tooLargeForARequest(one.bytes);
  if (one.direct && rows.length > COLLECTION_RECORDS) throw referenceInText(rows.length);
  return [one];
}

function writeOf(message: WriteMessage, rows: PreparedRow[], atomic: boolean): Write {
  return newWrite({
    message,
    endpoint: (rows[0] as PreparedRow).endpoint,
    rows: rows.map(({ index, body, keys, keyText, keyField }) => ({
      index,
      body,
      key: keys.find(({ write }) => write)?.name,
      keyText,
      keyField,
    })),
    keys: rows.length === 1 ? (rows[0] as PreparedRow).keys : rows.flatMap((row) => row.keys),
    atomic,
    repeatable: rows.every((row) => row.repeatable),
    bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    direct: rows.some((row) => row.direct),
  });
}

/** What the org says of rows that were right themselves in an allOrNone collection that failed. */
function rolledBack(): RowError {
  const message = say`Record not sent because not all records were valid and the message asks for all or none`;
  return { statusCode: 'ALL_OR_NONE_OPERATION_ROLLED_BACK', message, fields: [] };
}

interface PreparedRow extends Row {
  endpoint: Endpoint;
  keys: Key[];
  repeatable: boolean;
  bytes: number;
  direct: boolean;
  error?: RowError;
}

/** A value that JSON has no word for would arrive as null, unsaid. */
function prepareSendable(
  request: WriteRequest,
  record: unknown,
  index: number,
  describes?: Pick<Describes, 'fields'>,
): PreparedRow {
  const { bytes, direct, fault } = measure(record);
  if (fault !== undefined && isRecord(record)) {
    const endpoint = endpointOf({ operation: request.operation, sobject: request.sobject });
    const error = unsendableRow(fault);
    return { index, body: undefined, endpoint, keys: [], repeatable: true, bytes, direct, error };
  }
  const row = { ...prepare(request, record, index, describes), bytes, direct };
  return !row.error && bytes > REQUEST_BYTES ? { ...row, error: tooLargeRow(bytes) } : row;
}

function prepare(
  request: WriteRequest,
  record: unknown,
  index: number,
  describes?: Pick<Describes, 'fields'>,
): Omit<PreparedRow, 'bytes' | 'direct'> {
  const { operation, sobject, externalIdField, fields } = request;
  if (operation === 'get' || operation === 'delete') {
    const id = typeof record === 'string' ? record : isRecord(record) ? fieldOf(record, 'id') : undefined;
    const endpoint = endpointOf({ operation, sobject, fields });
    const row = { index, body: id, endpoint, keys: [] as Key[], repeatable: true };
    if (!isId(id)) return { ...row, error: malformedId(id ?? record) };
    return { ...row, keyText: id.slice(0, 15), keys: [idKey(id, operation === 'delete')] };
  }

  const what = isRecord(record) ? fieldless(record) : kindOf(record);
  if (!isRecord(record) || what !== undefined) {
    throw invalid(
      'INVALID_PAYLOAD',
      say`Record ${index} of the payload is ${what}; ${operation} needs objects of field values`,
    );
  }
  const given = isRecord(record.attributes) ? record.attributes : {};
  const type = typeof given.type === 'string' ? given.type : sobject;
  const row = {
    index,
    body: { ...record, attributes: { ...given, type } },
    endpoint: endpointOf({
      operation,
      sobject: type,
      externalIdField: operation === 'upsert' ? externalIdField : undefined,
    }),
    keys: referenceKeys(record, type, describes),
    repeatable: operation !== 'create',
  };
  const inexact = inexactKey(record, operation === 'upsert' ? externalIdField : undefined);
  if (inexact !== undefined) return { ...row, error: inexactId(inexact) };
  if (operation === 'create') return row;
  if (operation === 'upsert' && type.toLowerCase() !== sobject.toLowerCase())
    return { ...row, error: wrongType(type, sobject) };

  const field = operation === 'update' ? 'Id' : (externalIdField ?? '');
  const keyField = field.toLowerCase();
  const value = fieldOf(record, field);
  if (keyField === 'id') {
    // An upsert by Id creates the record that has none, each time it is sent.
    if (operation === 'upsert' && (value === undefined || value === null))
      return { ...row, repeatable: false };
    if (!isId(value))
      return { ...row, error: value === undefined ? missing('Id', operation) : malformedId(value) };
    return { ...row, keys: row.keys.concat(idKey(value, true)), keyText: value.slice(0, 15), keyField };
  }
  if (value === undefined || value === null || (typeof value === 'string' && value.trim() === ''))
    return { ...row, error: missing(field, operation) };
  const keys = row.keys.concat(upsertKeys(sobject, field, value));
  return { ...row, keys, keyText: textOf(value).trim(), keyField };
}

function checkSettings(request: WriteRequest): void {
  const { operation, sobject, externalIdField, fields } = request;
  if (!/^\w+$/.test(sobject))
    throw invalid(
      'INVALID_SOBJECT',
      say`"${sobject}" is not the API name of an sObject; set it in the node or in msg.sobject, for example Contact or Order__c`,
    );
  if (operation === 'upsert' && !/^\w+$/.test(externalIdField ?? '')) {
    throw invalid(
      'INVALID_EXTERNAL_ID_FIELD',
      say`"${externalIdField ?? ''}" is not the API name of a field; upsert needs an external id field, for example ExternalId__c`,
    );
  }
  if (
    operation === 'get' &&
    !(fields && fields.length > 0 && fields.every((field) => /^[\w.]+$/.test(field)))
  ) {
    throw invalid(
      'INVALID_FIELDS',
      say`get needs the API names of the fields to read; set them in the node or in msg.fields, for example Id, Email, Account.Name`,
    );
  }
}

function checkTogether(
  request: WriteRequest,
  rows: PreparedRow[],
  describes?: Pick<Describes, 'fields'>,
): void {
  const { operation } = request;
  if (rows.length > CALL_RECORDS) {
    throw invalid(
      'TOO_MANY_RECORDS',
      say`The message asks for all or none of ${rows.length} records, and Salesforce can do that for ${CALL_RECORDS} at most; nothing was written. Send fewer in one message, or untick "${labelOf('sfdc-composite', 'allOrNone')}"`,
    );
  }
  const types = rows.map((row) => row.endpoint.sobject);
  const chunks = types.filter((type, i) => type !== types[i - 1]).length;
  if (chunks > TYPE_CHUNKS) {
    throw invalid(
      'TOO_MANY_TYPES',
      say`The records change their type ${chunks} times, and Salesforce takes ${TYPE_CHUNKS} runs of one type in a message of all or none; nothing was written. Sort them by type`,
    );
  }
  const seen = new Map<string, PreparedRow[]>();
  for (const row of rows) {
    const name = row.keys.find((key) => key.write)?.name;
    if (name === undefined) continue;
    const others = seen.get(name) ?? [];
    const other = others.find((one) => isKnownTwin(one, row, describes));
    if (other) {
      throw invalid(
        'DUPLICATE_RECORD',
        say`Records ${other.index} and ${row.index} are the same record to Salesforce (${operation} by one id), which it refuses in a message of all or none; nothing was written. Merge them, or untick "${labelOf('sfdc-composite', 'allOrNone')}"`,
      );
    }
    others.push(row);
    seen.set(name, others);
  }
}

/** What may be two records is Salesforce's to tell. */
function isKnownTwin(one: PreparedRow, other: PreparedRow, describes?: Pick<Describes, 'fields'>): boolean {
  const { keyText = '', keyField = '', endpoint } = one;
  if (keyText === other.keyText) return true;
  const field = describes?.fields(endpoint.sobject)?.get(keyField);
  return isSameRecord(keyText, other.keyText ?? '', field) === true;
}

function referenceInText(records: number) {
  return invalid(
    'REFERENCE_IN_TEXT',
    say`A record holds the text "@{", which Salesforce takes for a reference where ${records} records are written all or none; nothing was written. Send at most ${COLLECTION_RECORDS} in such a message, or remove the text`,
  );
}

/** What is said of the row before is not said anew: of a message that is no list of records it is all of them. */
function reject(message: WriteMessage, index: number, error: RowError): void {
  const { records, results } = message;
  const [before] = results[index - 1]?.errors ?? [];
  const same = before?.statusCode === error.statusCode && before.message === error.message;
  results[index] = { id: null, success: false, errors: [same ? before : error], record: records[index] };
  message.open--;
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? say`an array` : typeof value;
}

function malformedId(value: unknown): RowError {
  return {
    statusCode: 'MALFORMED_ID',
    message: say`${(isRecord(value) ? undefined : stringifyJson(value)) ?? say`What was given`} is not a Salesforce id of 15 or 18 characters; the row was not sent`,
    fields: ['Id'],
  };
}

/** Two ids that differ may have become this one, and with them two records. */
function inexactId(field: string): RowError {
  return {
    statusCode: 'NOT_SENDABLE',
    message: say`${field} is a number beyond 2^53, and no exact id any more: hand it over as a text; the row was not sent`,
    fields: [field],
  };
}

function unsendableRow(fault: string): RowError {
  const [field = ''] = fault.split(/[ .]/, 1);
  return {
    statusCode: 'NOT_SENDABLE',
    message: say`${fault}, which JSON has no word for; the row was not sent`,
    fields: [field],
  };
}

function tooLargeRow(bytes: number): RowError {
  return {
    statusCode: 'REQUEST_TOO_LARGE',
    message: say`The record has ${megabytes(bytes)} MB, and Salesforce takes requests of ${megabytes(REQUEST_BYTES)} MB; the row was not sent`,
    fields: [],
  };
}

function missing(field: string, operation: string): RowError {
  return {
    statusCode: 'MISSING_ARGUMENT',
    message: say`${field} not specified; ${operation} needs it in every record, and the row was not sent`,
    fields: [field],
  };
}

function wrongType(type: string, sobject: string): RowError {
  return {
    statusCode: 'INVALID_TYPE',
    message: say`attributes.type is ${type}, and this is an upsert of ${sobject}; the row was not sent`,
    fields: [],
  };
}

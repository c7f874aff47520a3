import { fieldless } from '../../shared/json';
import { say } from '../../shared/say';
import type { Describes } from '../org/describes';
import { endpointOf, fieldOf, idKey, inexactKey, referenceKeys, textOf, upsertKeys } from './keys';
import { REQUEST_BYTES, invalid, isId, isRecord } from './limits';
import { measure, type Measured } from './measure';
import type { Endpoint, Key, Row, RowError, WriteRequest } from './operations';
import { inexactId, malformedId, missing, tooLargeRow, unsendableRow, wrongType } from './row-faults';

/** A row with what decides how it may travel; `error` where it can't. */
export interface PreparedRow extends Row {
  readonly endpoint: Endpoint;
  keys: Key[];
  repeatable: boolean;
  readonly bytes: number;
  readonly direct: boolean;
  error: RowError | undefined;
}

/** A record of the message as it will be sent. Throws FlowError where it is no record at all. */
export function prepare(
  request: WriteRequest,
  record: unknown,
  index: number,
  describes?: Pick<Describes, 'fields'>,
): PreparedRow {
  const { operation, sobject } = request;
  const measured = measure(record);
  // A value that JSON has no word for would arrive as null, unsaid.
  if (measured.fault !== undefined && isRecord(record)) {
    const row = newRow(index, undefined, endpointOf({ operation, sobject }), measured);
    return refused(row, unsendableRow(measured.fault));
  }
  const row =
    operation === 'get' || operation === 'delete'
      ? prepareId(request, record, index, measured)
      : prepareRecord(request, record, index, measured, describes);
  return !row.error && row.bytes > REQUEST_BYTES ? refused(row, tooLargeRow(row.bytes)) : row;
}

function prepareId(request: WriteRequest, record: unknown, index: number, measured: Measured): PreparedRow {
  const { operation, sobject, fields } = request;
  const id = typeof record === 'string' ? record : isRecord(record) ? fieldOf(record, 'id') : undefined;
  const row = newRow(index, id, endpointOf({ operation, sobject, fields }), measured);
  return isId(id)
    ? named(row, [idKey(id, operation === 'delete')], id.slice(0, 15))
    : refused(row, malformedId(id ?? record));
}

function prepareRecord(
  request: WriteRequest,
  record: unknown,
  index: number,
  measured: Measured,
  describes?: Pick<Describes, 'fields'>,
): PreparedRow {
  const { operation, sobject, externalIdField } = request;
  const what = isRecord(record) ? fieldless(record) : kindOf(record);
  if (!isRecord(record) || what !== undefined) {
    throw invalid(
      'INVALID_PAYLOAD',
      say`Record ${index} of the payload is ${what}; ${operation} needs objects of field values`,
    );
  }
  const given = isRecord(record.attributes) ? record.attributes : {};
  const type = typeof given.type === 'string' ? given.type : sobject;
  const own = operation === 'upsert' ? externalIdField : undefined;
  const body = { ...record, attributes: { ...given, type } };
  const row = newRow(index, body, endpointOf({ operation, sobject: type, externalIdField: own }), measured);
  row.keys = referenceKeys(record, type, describes);
  row.repeatable = operation !== 'create';
  const inexact = inexactKey(record, own);
  if (inexact !== undefined) return refused(row, inexactId(inexact));
  if (operation === 'create') return row;
  if (operation === 'upsert' && type.toLowerCase() !== sobject.toLowerCase())
    return refused(row, wrongType(type, sobject));

  const field = operation === 'update' ? 'Id' : (externalIdField ?? '');
  const keyField = field.toLowerCase();
  const value = fieldOf(record, field);
  if (keyField === 'id') {
    // An upsert by Id creates the record that has none, each time it is sent.
    if (operation === 'upsert' && (value === undefined || value === null)) {
      row.repeatable = false;
      return row;
    }
    if (isId(value)) return named(row, [idKey(value, true)], value.slice(0, 15), keyField);
    return refused(row, value === undefined ? missing('Id', operation) : malformedId(value));
  }
  if (value === undefined || value === null || (typeof value === 'string' && value.trim() === ''))
    return refused(row, missing(field, operation));
  return named(row, upsertKeys(sobject, field, value), textOf(value).trim(), keyField);
}

function newRow(index: number, body: unknown, endpoint: Endpoint, { bytes, direct }: Measured): PreparedRow {
  return { index, body, endpoint, keys: [], repeatable: true, bytes, direct, error: undefined };
}

function refused(row: PreparedRow, error: RowError): PreparedRow {
  row.error = error;
  return row;
}

/** It is this record's: by these keys, and by the text as it was given. */
function named(row: PreparedRow, keys: Key[], text: string, field?: string): PreparedRow {
  row.keys = row.keys.length === 0 ? keys : row.keys.concat(keys);
  row.key = keys.find(({ write }) => write)?.name;
  row.keyText = text;
  row.keyField = field;
  return row;
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? say`an array` : typeof value;
}

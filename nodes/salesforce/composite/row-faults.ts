import { stringifyJson } from '../../shared/json';
import { say } from '../../shared/say';
import { REQUEST_BYTES, isRecord, megabytes } from './limits';
import type { RowError } from './operations';

/** Why a row isn't sent, in the shape of what the org says of one. */

export function malformedId(value: unknown): RowError {
  return {
    statusCode: 'MALFORMED_ID',
    message: say`${(isRecord(value) ? undefined : stringifyJson(value)) ?? say`What was given`} is not a Salesforce id of 15 or 18 characters; the row was not sent`,
    fields: ['Id'],
  };
}

/** Two ids that differ may have become this one, and with them two records. */
export function inexactId(field: string): RowError {
  return {
    statusCode: 'NOT_SENDABLE',
    message: say`${field} is a number beyond 2^53, and no exact id any more: hand it over as a text; the row was not sent`,
    fields: [field],
  };
}

export function unsendableRow(fault: string): RowError {
  const [field = ''] = fault.split(/[ .]/, 1);
  return {
    statusCode: 'NOT_SENDABLE',
    message: say`${fault}, which JSON has no word for; the row was not sent`,
    fields: [field],
  };
}

export function tooLargeRow(bytes: number): RowError {
  return {
    statusCode: 'REQUEST_TOO_LARGE',
    message: say`The record has ${megabytes(bytes)} MB, and Salesforce takes requests of ${megabytes(REQUEST_BYTES)} MB; the row was not sent`,
    fields: [],
  };
}

export function missing(field: string, operation: string): RowError {
  return {
    statusCode: 'MISSING_ARGUMENT',
    message: say`${field} not specified; ${operation} needs it in every record, and the row was not sent`,
    fields: [field],
  };
}

export function wrongType(type: string, sobject: string): RowError {
  return {
    statusCode: 'INVALID_TYPE',
    message: say`attributes.type is ${type}, and this is an upsert of ${sobject}; the row was not sent`,
    fields: [],
  };
}

/** What the org says of rows that were right themselves in an allOrNone collection that failed. */
export function rolledBack(): RowError {
  const message = say`Record not sent because not all records were valid and the message asks for all or none`;
  return { statusCode: 'ALL_OR_NONE_OPERATION_ROLLED_BACK', message, fields: [] };
}

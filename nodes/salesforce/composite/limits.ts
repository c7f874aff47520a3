import { FlowError } from '../../shared/errors';
import type { FailureCode } from '../../shared/failure-codes';
import { say } from '../../shared/say';

/** What one request may hold, by Salesforce's documentation. */
export const COLLECTION_RECORDS = 200;
export const CALL_COLLECTIONS = 5;
export const CALL_RECORDS = COLLECTION_RECORDS * CALL_COLLECTIONS;
/** Runs of records of one type in a collection of mixed types. */
export const TYPE_CHUNKS = 10;
export const TREE_RECORDS = 200;
export const TREE_LEVELS = 5;
export const TREE_TYPES = 5;

/** Salesforce takes requests of 50 MB. */
export const REQUEST_BYTES = 50e6;
/** What goes into one call together: well below that, as texts grow by what JSON has to escape. */
export const CALL_BYTES = 20e6;

/** What can't be written whatever is tried. */
export function invalid(code: FailureCode, message: string): FlowError {
  return new FlowError(code, message, false);
}

/** `fault`: "Score__c is NaN". */
export function unsendable(fault: string): FlowError {
  return invalid(
    'NOT_SENDABLE',
    say`${fault}, which JSON has no word for; nothing was written. Correct the data`,
  );
}

export function tooLargeForARequest(bytes: number): FlowError {
  return invalid(
    'REQUEST_TOO_LARGE',
    say`What is to be written together has ${megabytes(bytes)} MB, and Salesforce takes requests of ${megabytes(REQUEST_BYTES)} MB; nothing was written. Send less of it in one message`,
  );
}

export function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** 15 characters that tell case apart, or 18 that needn't. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[a-zA-Z0-9]{15}([a-zA-Z0-9]{3})?$/.test(value);
}

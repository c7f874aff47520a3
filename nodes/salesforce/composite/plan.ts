import type { Describes } from '../org/describes';
import { checkOneRequest, checkTogether } from './all-or-none';
import { invalid } from './limits';
import {
  newWrite,
  type Row,
  type RowError,
  type Write,
  type WriteMessage,
  type WriteRequest,
} from './operations';
import { prepare, type PreparedRow } from './prepare';
import { rolledBack } from './row-faults';
import { planTrees } from './tree';
import { say } from '../../shared/say';

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
  const rows = records.map((record, index) => prepare(request, record, index, describes));
  const together = request.allOrNone && records.length > 1 && request.operation !== 'get';
  if (!together) {
    for (const { index, error } of rows) if (error) reject(message, index, error);
    return rows.filter(({ error }) => !error).map((row) => writeOf(message, [row], false));
  }
  const wrong = rows.find((row) => row.error)?.error;
  if (wrong) {
    for (const row of rows) reject(message, row.index, row.error ?? rolledBack());
    return [];
  }
  checkTogether(request, rows, describes);
  const one = writeOf(message, rows, true);
  checkOneRequest(one);
  return [one];
}

function writeOf(message: WriteMessage, rows: PreparedRow[], atomic: boolean): Write {
  const [first] = rows as [PreparedRow];
  const { endpoint } = first;
  if (rows.length === 1) {
    const { keys, repeatable, bytes, direct } = first;
    return newWrite({ message, endpoint, rows: [rowOf(first)], keys, atomic, repeatable, bytes, direct });
  }
  return newWrite({
    message,
    endpoint,
    rows: rows.map(rowOf),
    keys: rows.flatMap((row) => row.keys),
    atomic,
    repeatable: rows.every((row) => row.repeatable),
    bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    direct: rows.some((row) => row.direct),
  });
}

/** What is kept of it while it waits, which very many may. */
function rowOf({ index, body, key, keyText, keyField }: PreparedRow): Row {
  return { index, body, key, keyText, keyField };
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

/** What is said of the row before is not said anew: of a message that is no list of records it is all of them. */
function reject(message: WriteMessage, index: number, error: RowError): void {
  const { records, results } = message;
  const [before] = results[index - 1]?.errors ?? [];
  const same = before?.statusCode === error.statusCode && before.message === error.message;
  results[index] = { id: null, success: false, errors: [same ? before : error], record: records[index] };
  message.open--;
}

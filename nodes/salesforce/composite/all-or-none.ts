import { labelOf, say } from '../../shared/say';
import type { Describes } from '../org/describes';
import { isSameRecord } from './keys';
import {
  CALL_RECORDS,
  COLLECTION_RECORDS,
  REQUEST_BYTES,
  TYPE_CHUNKS,
  invalid,
  tooLargeForARequest,
} from './limits';
import type { Write, WriteRequest } from './operations';
import type { PreparedRow } from './prepare';

/** Rows that are to be written all or none: throws FlowError where Salesforce can't do that. */
export function checkTogether(
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

/** Throws FlowError where what is written together is more than a request takes. */
export function checkOneRequest({ bytes, direct, rows }: Write): void {
  if (bytes > REQUEST_BYTES) throw tooLargeForARequest(bytes);
  if (direct && rows.length > COLLECTION_RECORDS) throw referenceInText(rows.length);
}

function referenceInText(records: number) {
  return invalid(
    'REFERENCE_IN_TEXT',
    say`A record holds the text "@{", which Salesforce takes for a reference where ${records} records are written all or none; nothing was written. Send at most ${COLLECTION_RECORDS} in such a message, or remove the text`,
  );
}

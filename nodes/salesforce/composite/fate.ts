import {
  ROLLED_BACK,
  holds,
  holdsGovernorLimit,
  holdsLock,
  metBy,
  namesData,
  passes,
} from '../org/error-codes';
import { refusalOutage } from '../org/answer';
import type { OrgOutage } from '../org/outage';
import type { Endpoint, RowError, RowResult } from './operations';

/** What an answer means for the writes of one entry. In all but `final` nothing was written. */
export type RowOutcome =
  /** One result for each row sent, for good. */
  | { kind: 'final'; results: RowResult[] }
  /** For a reason that passes, or that nobody knows; the results say which, should it never pass. */
  | { kind: 'again'; results: RowResult[] }
  /** The rows of the collection were too many for the automation of the org. */
  | { kind: 'crowded'; results: RowResult[] }
  /** The org takes them for one record, which may be in a call only once. */
  | { kind: 'apart'; results: RowResult[] }
  /** The org writes nothing just now. */
  | { kind: 'held'; outage: OrgOutage };

/** Whose fault a row's error is: that of its data, or somebody else's. */
export type Fate = 'fault' | 'rolledBack' | 'held' | 'crowded' | 'apart' | 'again';

/** Of those that are nobody's fault, the first that is there decides. */
const FATES = ['held', 'crowded', 'apart', 'again'] as const;

export function fateOf(error: RowError, endpoint: Endpoint): Fate {
  const { statusCode, message } = error;
  if (ROLLED_BACK.has(statusCode)) return 'rolledBack';
  // Triggers and flows wrap what they have met, under codes of faults.
  const code = metBy(statusCode, message) ?? statusCode;
  if (holds(code)) return 'held';
  if (holdsLock(message)) return 'again';
  if (holdsGovernorLimit(message)) return 'crowded';
  if (statusCode === 'DUPLICATE_VALUE' && endpoint.operation === 'upsert') {
    if (/Duplicate external id specified/i.test(message)) return 'apart';
    if (isOwnKey(message, endpoint)) return 'again';
  }
  return isFault(error) ? 'fault' : 'again';
}

/** Why the org writes nothing. */
function outageOfRow({ statusCode, message }: RowError): OrgOutage | undefined {
  return refusalOutage(metBy(statusCode, message) ?? statusCode, `(${statusCode}: ${message})`);
}

/** Refused before they were sent. */
const OURS = new Set(['NOT_SENDABLE', 'REQUEST_TOO_LARGE']);

/** True where the error is evidence against the data of its row, by its code or by the fields that it names. */
export function isFault({ statusCode, message, fields }: RowError): boolean {
  if (ROLLED_BACK.has(statusCode) || holdsLock(message) || holdsGovernorLimit(message)) return false;
  if (metBy(statusCode, message) !== undefined) return false;
  return namesData(statusCode) || OURS.has(statusCode) || (fields.length > 0 && !passes(statusCode));
}

/** Somebody else has created the record at the same moment: sent again, the upsert finds and updates it. */
function isOwnKey(message: string, { externalIdField = '' }: Endpoint): boolean {
  const field = /duplicate value found: (\w+) duplicates value on record/i.exec(message)?.[1];
  return field?.toLowerCase() === externalIdField.toLowerCase();
}

/** What the errors mean for the rows that are written or refused as one. */
export function outcomeOfRows(results: RowResult[], endpoint: Endpoint): RowOutcome {
  if (results.every(({ success, errors }) => success && errors.length === 0))
    return { kind: 'final', results };
  const errors = results.flatMap((result) => result.errors);
  const fates = new Set(errors.map((error) => fateOf(error, endpoint)));
  const silent = results.some(({ success, errors }) => !success && errors.length === 0);
  if (fates.has('fault')) return { kind: 'final', results };
  const fate = FATES.find((one) => fates.has(one)) ?? (silent ? 'again' : undefined);
  if (fate === undefined) return { kind: 'final', results };
  const outage = fate === 'held' ? errors.map(outageOfRow).find((one) => one) : undefined;
  return outage ? { kind: 'held', outage } : { kind: fate === 'held' ? 'again' : fate, results };
}

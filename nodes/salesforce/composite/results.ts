import { FlowError } from '../../shared/errors';
import type { WriteMessage, RowError, RowResult, Write } from './operations';
import { isFault } from './fate';
import { ROLLED_BACK } from '../org/error-codes';
import { say } from '../../shared/say';

/** Gives the write's rows their results, which are the message's from then on; the record of each is that of the input, except for get. */
export function finish(write: Write, results: readonly RowResult[]): void {
  const { message, rows, endpoint } = write;
  rows.forEach((row, i) => {
    const result = results[i];
    if (!result || message.results[row.index]) return;
    if (endpoint.operation !== 'get') {
      result.record = message.records[row.index];
      if (row.superseded) result.superseded = row.superseded;
    }
    message.results[row.index] = result;
    message.open--;
  });
}

/** Each of the write's rows fails, for good, as the org says. */
export function refuse(write: Write, error: RowError): void {
  finish(
    write,
    write.rows.map(() => ({ id: null, success: false, errors: [error], record: null })),
  );
}

/** Gives up the write: each of its rows fails with the error, and the message with it. */
export function giveUp(write: Write, error: FlowError): void {
  write.message.failure = worse(write.message.failure, error);
  refuse(write, { statusCode: error.code, message: error.message, fields: [] });
}

function worse(known: FlowError | undefined, error: FlowError): FlowError {
  return known && !(known.retryable && !error.retryable) ? known : error;
}

/**
 * The results of a message that is over, in input order. Throws where rows were given up: then what has become of
 * each row stands in `details`, and the message may be repeated only if that can't double a write.
 */
export function resultsOf({ request, results, failure }: WriteMessage): RowResult[] {
  const rows = results as RowResult[];
  if (!failure) return rows;
  const { code, message, retryable, cause } = failure;
  const written = rows.filter((row) => row.success).length;
  const doubles = written > 0 && (request.operation === 'create' || request.operation === 'tree');
  const sentence =
    written === 0 ? message : say`${message}. ${written} of ${rows.length} records were written before`;
  throw new FlowError(code, sentence, retryable && !doubles, { details: rows, cause });
}

/** Characters; `details` have the whole of it. */
const LONGEST_REASON = 2_000;

/**
 * The error of a message of which rows failed for good, where nobody else takes care of them. Only where nothing
 * was written, and nothing but time is missing, may the message be repeated.
 */
export function rowsFailed(operation: string, sobject: string, results: readonly RowResult[]): FlowError {
  const failed = results.filter(({ success }) => !success);
  const named = ({ success, errors }: RowResult): RowError | undefined =>
    success ? undefined : errors.find(({ statusCode }) => !ROLLED_BACK.has(statusCode));
  let index = results.findIndex((row) => named(row) !== undefined);
  if (index < 0) index = results.findIndex(({ success, errors }) => !success && errors.length > 0);
  const row = results[index];
  const error = row && (named(row) ?? row.errors[0]);
  const passing = !failed.some((one) => one.errors.some(isFault));
  const fields = error?.fields?.length ? ` [${error.fields.join(', ')}]` : '';
  const reason = `${error?.message}${fields} (${error?.statusCode})`.slice(0, LONGEST_REASON);
  return new FlowError(
    error?.statusCode ?? 'ROWS_FAILED',
    // The reason first: whoever shows it cuts the end.
    say`${reason}, record ${row && index}: ${failed.length} of ${results.length} records failed in ${operation} of ${sobject}. Correct the data, or wire output 2 to handle such records`,
    passing && failed.length === results.length,
    { details: results },
  );
}

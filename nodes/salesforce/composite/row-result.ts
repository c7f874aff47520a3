import { messageOf } from '../../shared/errors';
import { say } from '../../shared/say';
import { namesOf } from '../org/answer';
import { isRecord } from './limits';
import type { RowError, RowResult, Write } from './operations';

/** What the org says of one row, which was sent as `body`. */
export function resultOf(write: Write, body: unknown, answer: unknown): RowResult {
  if (write.endpoint.operation === 'get') {
    if (isRecord(answer))
      return { id: textOf(answer.Id) ?? textOf(body), success: true, errors: [], record: answer };
    const error = {
      statusCode: 'NOT_FOUND',
      message: say`There is no such record, or the user may not see it`,
      fields: ['Id'],
    };
    return { id: textOf(body), success: false, errors: [error], record: null };
  }
  const row = isRecord(answer) ? answer : {};
  const errors = rowErrorsOf(row.errors);
  const id =
    textOf(row.id) ??
    textOf(write.endpoint.operation === 'delete' ? body : isRecord(body) ? (body.Id ?? body.id) : null);
  if (row.success === true) {
    return {
      id,
      success: true,
      ...(typeof row.created === 'boolean' && { created: row.created }),
      errors: [],
      record: null,
    };
  }
  if (deletedBefore(write, errors)) return { id, success: true, errors: [], record: null };
  return { id, success: false, errors, record: null };
}

/** A delete that may have been carried out before finds its record gone: that is what was wanted. */
function deletedBefore(write: Write, errors: RowError[]): boolean {
  const repeated = write.losses > 0 || write.message.request.repeated === true;
  return (
    write.endpoint.operation === 'delete' &&
    repeated &&
    errors.length > 0 &&
    errors.every((error) => error.statusCode === 'ENTITY_IS_DELETED')
  );
}

/** Whatever stands in the place of a row's errors; what is none is left out, and what has no text is told as it is. */
export function rowErrorsOf(errors: unknown): RowError[] {
  return (Array.isArray(errors) ? errors.filter(isRecord) : []).map(
    ({ statusCode, message, fields, ...more }) => ({
      statusCode: textOf(statusCode) ?? 'UNKNOWN_ERROR',
      message: textOf(message) ?? (message === undefined ? '' : messageOf(message)),
      fields: namesOf(fields),
      ...more,
    }),
  );
}

/** An id, or any other text that says something. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

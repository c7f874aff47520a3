/** What the org says when it refuses: a whole request, or one row of it. */

/** One entry of a top-level REST error body. */
export interface ApiErrorBody {
  message: string;
  errorCode: string;
  fields?: string[];
}

/** A refused request: thrown by handlers, answered as `[{message, errorCode}]` with this status. */
export class ApiError extends Error {
  readonly body: unknown;

  constructor(
    readonly status: number,
    readonly errorCode: string,
    message: string,
    fields?: string[],
  ) {
    super(message);
    const entry: ApiErrorBody = fields ? { message, errorCode, fields } : { message, errorCode };
    this.body = [entry];
  }
}

/** One error of a row: `statusCode` here is what `errorCode` is at the top level. */
export interface RowError {
  statusCode: string;
  message: string;
  fields: string[];
  [details: string]: unknown;
}

export function rowError(statusCode: string, message: string, fields: string[] = []): RowError {
  return { statusCode, message, fields };
}

export const notFound = (): ApiError =>
  new ApiError(404, 'NOT_FOUND', 'The requested resource does not exist');

export const methodNotAllowed = (method: string, allowed: string): ApiError =>
  new ApiError(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${method}' not allowed. Allowed are ${allowed}`);

/** Row errors that are answered with another status than 400 when the row is the whole request. */
const STATUS: Record<string, number> = {
  ENTITY_IS_DELETED: 404,
  INVALID_CROSS_REFERENCE_KEY: 404,
  NOT_FOUND: 404,
};

/** The answer of single-record REST to a row that failed. */
export function fromRow(errors: readonly RowError[]): ApiError {
  const [first] = errors;
  const { statusCode, message, fields } = first ?? rowError('UNKNOWN_EXCEPTION', 'unknown');
  return new ApiError(STATUS[statusCode] ?? 400, statusCode, message, fields);
}

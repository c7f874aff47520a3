import type { Secrets } from '../../shared/secrets';

/**
 * The body of an answer without the secrets that the org, or what stands before it, echoes in its errors. Records are
 * data: what is read is not changed, whatever it holds.
 */
export function strikeErrors(
  secrets: Secrets,
  status: number,
  text: string,
  parse: (text: string) => unknown,
): unknown {
  if (status >= 300) return parse(secrets.strike(text));
  return /"(statusCode|errorCode)"/.test(text) ? inRows(secrets, parse(text)) : parse(text);
}

/** A row's error, a subrequest's: {statusCode or errorCode, message, …}. */
function inRows(secrets: Secrets, value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > 16) return value;
  if ('message' in value && ('statusCode' in value || 'errorCode' in value)) return secrets.inValue(value);
  for (const [name, each] of Object.entries(value)) {
    const struck = inRows(secrets, each, depth + 1);
    if (struck !== each) (value as Record<string, unknown>)[name] = struck;
  }
  return value;
}

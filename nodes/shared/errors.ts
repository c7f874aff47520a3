import type { FailureCode } from './failure-codes';

/**
 * An error a user can act on: `message` says in one sentence what happened, to what, and what to do next.
 * `retryable: false` means that repeating the same message can't help (or could double a write), so
 * jetstream-in sends it to the dead letter at once; anything else is retried with backoff. The message is one line
 * of at most 10,000 signs, whatever it quotes.
 */
class Failure extends Error {
  override readonly name = 'FlowError';

  constructor(
    readonly code: string,
    message: string,
    readonly retryable: boolean = true,
    options?: FailureOptions,
  ) {
    super(oneLine(message), { cause: options?.cause });
    if (options?.details !== undefined) this.details = options.details;
  }

  /** Serialisable facts for whoever catches the error, e.g. the rows that Salesforce refused. */
  readonly details?: unknown;
}

interface FailureOptions {
  cause?: unknown;
  details?: unknown;
}

/** A code that stands in the source is ours, and must be declared; one that comes at run time is somebody else's. */
type Code<C extends string> = string extends C ? C : C extends FailureCode ? C : never;

export type FlowError = Failure;
export const FlowError = Failure as new <C extends string = string>(
  code: C & Code<C>,
  message: string,
  retryable?: boolean,
  options?: FailureOptions,
) => Failure;

/** Characters of a message; nobody reads more of one. */
const LONGEST = 10_000;
/** Values within one that is told as JSON. */
const MOST_PARTS = 1_000;
/** What can't be told. */
const NAMELESS = '[object Object]';

/** What a thrown value says, in one line, whatever was thrown. Never throws itself. */
export function messageOf(thrown: unknown): string {
  const message = propertyOf(thrown, 'message');
  if (message !== undefined && message !== '') return oneLine(textOf(message));
  return oneLine(textOf(isError(thrown) ? (propertyOf(thrown, 'name') ?? 'Error') : thrown));
}

/** The `code` of a thrown value, or `fallback`. */
export function codeOf(thrown: unknown, fallback = 'ERROR'): string {
  const code = propertyOf(thrown, 'code');
  return typeof code === 'string' || typeof code === 'number' ? oneLine(String(code)) : fallback;
}

/** False only where the thrown value says so itself: whatever doesn't know is worth another try. */
export function isRetryable(thrown: unknown): boolean {
  return propertyOf(thrown, 'retryable') !== false;
}

/** True where the thrown value says that something out of reach is at fault, and no message: `outage: true`. */
export function isOutage(thrown: unknown): boolean {
  return propertyOf(thrown, 'outage') === true;
}

/** Whether it is one of ours; nobody else's code means what ours do. */
export function isFlowError(thrown: unknown): thrown is FlowError {
  return isA(thrown, Failure);
}

/** What was thrown, as the runtime can take it: an Error as it is, anything else in an Error with its words. */
export function errorOf(thrown: unknown): Error {
  if (isError(thrown) && typeof propertyOf(thrown, 'message') === 'string') return thrown;
  return new FlowError(codeOf(thrown), messageOf(thrown), isRetryable(thrown));
}

export function isError(thrown: unknown): thrown is Error {
  return isA(thrown, Error);
}

/** As instanceof, which throws for a proxy that is revoked. */
function isA<T>(thrown: unknown, type: abstract new (...args: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}

/** Undefined also where it can't be read: getters and proxies may throw. */
function propertyOf(thrown: unknown, name: string): unknown {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  try {
    return Reflect.get(thrown, name) as unknown;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    if (typeof value !== 'object' || value === null) return String(value);
    let parts = 0;
    const json = JSON.stringify(value, (_name, part: unknown) => {
      if (++parts > MOST_PARTS) throw new RangeError('too much to tell');
      return part;
    }) as string | undefined;
    return json ?? NAMELESS;
  } catch {
    // Circular, too deep, too much, or a proxy that refuses.
    return NAMELESS;
  }
}

/** Signs that would end a line of a log, hide a part of it, or be an order to the terminal that shows it. */
const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text in one line that can be shown anywhere: signs that aren't letters are written as JSON writes them. */
export function oneLine(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return cut.replace(
    UNSHOWN,
    (sign) => ESCAPES[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

import type { FailureCode } from './failure-codes';

/**
 * An error a user can act on: `message` says in one sentence what happened, to what, and what to do next.
 * `retryable: false` means that repeating the same message can't help (or could double a write), so
 * jetstream-in sends it to the dead letter at once; anything else is retried with backoff.
 */
class Failure extends Error {
  override readonly name = 'FlowError';

  constructor(
    readonly code: string,
    message: string,
    readonly retryable: boolean = true,
    options?: FailureOptions,
  ) {
    super(message, { cause: options?.cause });
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

/** What a thrown value says, whatever was thrown. Never throws itself. */
export function messageOf(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message || thrown.name);
    if (typeof thrown === 'string') return thrown;
    if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) return String(thrown.message);
    return typeof thrown === 'bigint' ? String(thrown) : (JSON.stringify(thrown) ?? String(thrown));
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

/** The `code` of a thrown value, or `fallback`. */
export function codeOf(thrown: unknown, fallback = 'ERROR'): string {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown) {
    const { code } = thrown;
    if (typeof code === 'string' || typeof code === 'number') return String(code);
  }
  return fallback;
}

/** False only where the thrown value says so itself: whatever doesn't know is worth another try. */
export function isRetryable(thrown: unknown): boolean {
  return !(
    typeof thrown === 'object' &&
    thrown !== null &&
    'retryable' in thrown &&
    thrown.retryable === false
  );
}

/** True where the thrown value says that something out of reach is at fault, and no message: `outage: true`. */
export function isOutage(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && 'outage' in thrown && thrown.outage === true;
}

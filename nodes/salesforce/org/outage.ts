import { FlowError } from '../../shared/errors';

/**
 * Why the org can't be used just now: no message's fault. `unreachable`: network or server errors; `login`: the
 * org refuses to log us in; `limit`: the org's own request limit is spent; `budget`: our share of it is.
 */
export type OutageReason = 'unreachable' | 'login' | 'limit' | 'budget';

/** Thrown when a request failed for the org's reasons. Always retryable. */
export class OrgOutage extends FlowError {
  /** So that it is no try of the message. */
  readonly outage = true;
  /** Milliseconds for which whoever answered wants to be left alone. */
  readonly wait: number;

  constructor(
    readonly reason: OutageReason,
    code: string,
    message: string,
    /** True when the request may have been carried out although its answer never came. */
    readonly sent: boolean,
    options: { cause?: unknown; details?: unknown; wait?: number | undefined } = {},
  ) {
    super(code, message, true, options);
    this.wait = options.wait ?? 0;
  }
}

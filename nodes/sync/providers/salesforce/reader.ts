import { OrgOutage } from '../../../salesforce/org/outage';
import { outageOf, restError, type OrgAnswer } from '../../../salesforce/org/answer';
import { namesData } from '../../../salesforce/org/error-codes';
import type { OrgRequest, OrgSession } from '../../../salesforce/org/session';
import { now } from '../../../shared/async/clock';
import { FlowError } from '../../../shared/errors';
import { onAbort } from '../../../shared/async/signals';
import { say } from '../../../shared/say';

/** An org that answers others but fails so often on one request is not away; the request is at fault. */
const LOSSES = 4;

/**
 * Reads from an org. A request waits while the org is out of reach, or its limit or our budget of API calls is
 * spent, and is repeated when the org is back: reading twice harms nobody.
 */
export class OrgReader {
  /** Milliseconds by which the org's clock is ahead of ours, by the Date of its last answer. */
  private ahead = 0;
  private answeredAt = -Infinity;
  /** Requests that were sent. */
  calls = 0;

  constructor(readonly session: OrgSession) {}

  /** Epoch ms by the org's clock, whose seconds all its times are made of. */
  now(): number {
    return Date.now() + this.ahead;
  }

  /** Milliseconds since the org last told its time. */
  get heard(): number {
    return now() - this.answeredAt;
  }

  async get<T>(path: string, signal: AbortSignal, request: OrgRequest = {}): Promise<T> {
    return (await this.ask('GET', path, signal, request)).body as T;
  }

  /**
   * A 2xx answer. Throws FlowError with the org's own code, `retryable: false` where asking again can't help;
   * CLOSED when `signal` aborts.
   */
  async ask(method: string, path: string, signal: AbortSignal, request: OrgRequest = {}): Promise<OrgAnswer> {
    const { session } = this;
    for (let losses = 0; ;) {
      await this.usable(signal);
      let outage: OrgOutage | undefined;
      this.calls++;
      try {
        const answer = await abortable(session.request(method, path, request), signal);
        outage = outageOf(answer, false);
        if (!outage) {
          session.availability.worked();
          this.observeClock(answer);
          return successful(answer, method, path);
        }
      } catch (error) {
        if (!(error instanceof OrgOutage)) throw error;
        outage = error;
      }
      // The org is there, but whoever asked has to ask for less.
      if (outage.code === 'ANSWER_TOO_LARGE')
        throw new FlowError('ANSWER_TOO_LARGE', `${method} ${path.slice(0, 200)}: ${outage.message}`);
      if (outage.reason === 'unreachable' && ++losses === LOSSES)
        throw new FlowError(
          outage.code,
          say`${method} ${path.slice(0, 200)} failed ${LOSSES} times: ${outage.message}`,
        );
      session.availability.begin(outage);
    }
  }

  /** Until the org can be used and a call is left in the budget. */
  private async usable(signal: AbortSignal): Promise<void> {
    const { availability, budget } = this.session;
    for (;;) {
      if (signal.aborted) throw closed();
      if (!availability.current && !budget.spent(this.session.underWay)) return;
      if (!availability.current) availability.begin(this.session.budgetOutage());
      if (!availability.current) throw closed();
      let stop: () => void = () => undefined;
      const changed = new Promise<void>((resolve) => (stop = this.session.onChange(resolve)));
      await abortable(changed, signal).finally(stop);
    }
  }

  /** Behind rather than ahead by as long as the answer took. */
  private observeClock({ headers }: OrgAnswer): void {
    const at = Date.parse(String(headers.date));
    if (Number.isNaN(at)) return;
    this.ahead = at - Date.now();
    this.answeredAt = now();
  }
}

function successful(answer: OrgAnswer, method: string, path: string): OrgAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const { errorCode, message } = restError(answer);
  throw new FlowError(
    errorCode,
    say`The org refused ${method} ${path.slice(0, 200)} (${answer.status} ${errorCode}): ${message.trim()}`,
    !namesData(errorCode),
  );
}

/** The session's requests can't be called back; whoever is stopped just doesn't wait for them. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(closed());
    if (signal.aborted) aborted();
    promise.finally(onAbort(signal, aborted)).then(resolve, reject);
  });
}

export function closed(): FlowError {
  return new FlowError('CLOSED', say`The sync was stopped while it waited for the org`);
}

import { pause } from '../../shared/async/pause';
import { messageOf } from '../../shared/errors';
import { OrgOutage, type OutageReason } from './outage';

/** The org is not to be used until a probe says that it is back. Times are epoch milliseconds. */
export interface Unavailable {
  reason: OutageReason;
  code: string;
  /** The sentence of the error that began it. */
  message: string;
  since: number;
  nextProbe: number;
}

/** First pause and longest pause between probes, in milliseconds. Each pause is twice the one before. */
export type ProbePauses = Record<OutageReason, [first: number, longest: number]>;

export const PROBE_PAUSES: ProbePauses = {
  unreachable: [1_000, 60_000],
  // A wrong password tried too often locks the user out.
  login: [5_000, 600_000],
  // Every probe is one more call on an org that has none left.
  limit: [5_000, 900_000],
  budget: [30_000, 900_000],
};

/** Milliseconds that are waited on somebody's word, at most: a portal may say anything. */
const LONGEST_WAIT = 15 * 60_000;

/**
 * One org's state of "not now", shared by all its nodes: whoever sees an outage begins it, then one probe at a
 * time goes out with growing pauses, and everybody waits for the same one. The pauses keep growing while the
 * org lets probes through but not the work; `worked` starts them anew.
 */
export class Availability {
  current: Unavailable | undefined;
  private failures = 0;
  private readonly closing = new AbortController();

  constructor(
    /** Resolves when the org can be used again, throws OrgOutage (with the new reason) when it can't. */
    private readonly probe: () => Promise<void>,
    /** Told whenever an outage begins, changes or ends. */
    private readonly changed: () => void,
    private readonly pauses: ProbePauses = PROBE_PAUSES,
  ) {}

  begin(outage: OrgOutage): void {
    if (!this.current && !this.closing.signal.aborted) void this.wait(outage, Date.now());
  }

  /** A request was carried out: the org is well. */
  worked(): void {
    if (!this.current) this.failures = 0;
  }

  close(): void {
    this.closing.abort();
  }

  /** Probes until the org is back, or nobody needs it any more. */
  private async wait(outage: OrgOutage, since: number): Promise<void> {
    const { signal } = this.closing;
    for (let why: OrgOutage | undefined = outage; why;) {
      const { reason, code, message } = why;
      const ms = Math.max(this.nextPause(reason), Math.min(LONGEST_WAIT, why.wait));
      this.current = { reason, code, message, since, nextProbe: Date.now() + ms };
      this.changed();
      await pause(ms, signal);
      if (!signal.aborted) why = await this.probe().then(() => undefined, asOutage);
      if (signal.aborted) return;
    }
    this.current = undefined;
    this.changed();
  }

  private nextPause(reason: OutageReason): number {
    const [first, longest] = this.pauses[reason];
    const ms = Math.min(longest, first * 2 ** this.failures) * (0.8 + 0.4 * Math.random());
    this.failures = Math.min(this.failures + 1, 30);
    return ms;
  }
}

function asOutage(error: unknown): OrgOutage {
  return error instanceof OrgOutage ? error : new OrgOutage('unreachable', 'ERROR', messageOf(error), false);
}

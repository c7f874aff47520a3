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

/**
 * One org's state of "not now", shared by all its nodes: whoever sees an outage begins it, then one probe at a
 * time goes out with growing pauses, and everybody waits for the same one. The pauses keep growing while the
 * org lets probes through but not the work; `worked` starts them anew.
 */
export class Availability {
  current: Unavailable | undefined;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    /** Resolves when the org can be used again, throws OrgOutage (with the new reason) when it can't. */
    private readonly probe: () => Promise<void>,
    /** Told whenever an outage begins, changes or ends. */
    private readonly changed: () => void,
    private readonly pauses: ProbePauses = PROBE_PAUSES,
  ) {}

  begin(outage: OrgOutage): void {
    if (this.current || this.closed) return;
    this.schedule(outage, Date.now());
  }

  /** A request was carried out: the org is well. */
  worked(): void {
    if (!this.current) this.failures = 0;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private schedule(outage: OrgOutage, since: number): void {
    const [first, longest] = this.pauses[outage.reason];
    const pause = Math.min(longest, first * 2 ** this.failures) * (0.8 + 0.4 * Math.random());
    this.failures = Math.min(this.failures + 1, 30);
    const { reason, code, message } = outage;
    this.current = { reason, code, message, since, nextProbe: Date.now() + pause };
    this.timer = setTimeout(() => void this.tryAgain(since), pause);
    this.changed();
  }

  private async tryAgain(since: number): Promise<void> {
    try {
      await this.probe();
      this.current = undefined;
      if (!this.closed) this.changed();
    } catch (error) {
      if (!this.closed) this.schedule(asOutage(error), since);
    }
  }
}

function asOutage(error: unknown): OrgOutage {
  return error instanceof OrgOutage ? error : new OrgOutage('unreachable', 'ERROR', messageOf(error), false);
}

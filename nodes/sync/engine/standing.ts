import { codeOf, isRetryable, messageOf, type FlowError } from '../../shared/errors';
import type { Checkpoint } from './checkpoint';
import { Rate, type Phase, type Progress, type Trouble } from './progress';
import type { Collection, Provider } from './provider';
import type { Written } from './record-writer';
import { say } from '../../shared/say';

export interface StandingOptions {
  syncId: string;
  collection: string;
  provider: Provider;
  progress: (progress: Progress) => void;
  log: (text: string) => void;
  error: (text: string) => void;
}

/** How a collection is getting on, and what of it is said: a failure once, until something has worked. */
export class Standing {
  /** From when the changes are that are in the stream, epoch ms. */
  asOf: number | undefined;
  /** Failures since something has worked. */
  private failures = 0;
  private phase: Phase = 'waiting';
  private problem: Trouble | undefined;
  /** When the first of these failures was. */
  private since = 0;
  /** What the collection last said was in its way. */
  private hindrance: string | undefined;
  /** The code of the failure that was said last, until something has worked. */
  private said: string | undefined;
  private readonly rate = new Rate();
  private published = 0;
  private refused = 0;
  private collection: Collection | undefined;
  /** Calls of the collection as it was opened before. */
  private calls = 0;

  constructor(
    private readonly options: StandingOptions,
    private readonly checkpoint: () => Checkpoint | undefined,
  ) {}

  get now(): Progress {
    const { syncId, collection, provider } = this.options;
    const { unavailable } = provider;
    const calls = this.calls + (this.collection?.apiCalls ?? 0);
    const problem = this.problem ?? (unavailable && troubleOf(unavailable)) ?? this.collection?.problem;
    const { done = 0, total = null } = this.checkpoint() ?? {};
    return {
      sync_id: syncId,
      collection,
      phase: unavailable && this.phase !== 'failed' ? 'waiting' : this.phase,
      done,
      total,
      rate: this.rate.perSecond,
      lag: this.phase === 'live' && this.asOf !== undefined ? Math.max(0, Date.now() - this.asOf) : null,
      published: this.published,
      refused: this.refused + (this.collection?.unidentified ?? 0),
      ...(calls > 0 && { calls }),
      ...(problem && { error: problem }),
    };
  }

  report(): void {
    this.options.progress(this.now);
  }

  opened(collection: Collection): void {
    this.collection = collection;
  }

  closed({ apiCalls = 0 }: Collection): void {
    this.calls += apiCalls;
    this.collection = undefined;
  }

  enter(phase: Phase): void {
    if (this.phase === phase && !this.problem) return;
    this.problem = undefined;
    this.phase = phase;
    this.report();
  }

  count(records: number, { published, refused }: Written): void {
    this.rate.add(records);
    this.published += published;
    this.refused += refused;
  }

  refuse(id: string, { message }: FlowError): void {
    this.options.error(say`${this.options.collection} ${id} is not in the stream: ${message}`);
  }

  /** After a look at changes: reports what is new, and says once what is in the way of the collection. */
  looked(published: number, { problem }: Collection): void {
    const changed = problem?.message !== this.hindrance;
    if (published > 0 || changed) this.report();
    if (problem && !problem.told && changed) this.options.error(problem.message);
    this.hindrance = problem?.message;
  }

  /** Whoever is on the way again has little to wait for after the next failure. */
  worked(): void {
    this.failures = 0;
    if (this.said !== undefined) this.options.log(say`${this.options.collection} goes on`);
    this.said = undefined;
  }

  /** Gives how many failures there were before, since something has worked. */
  failed(error: unknown): number {
    const problem = { code: codeOf(error), message: messageOf(error) };
    // Its text can name what differs from try to try.
    if (this.said !== problem.code) this.options.error(`${this.options.collection}: ${problem.message}`);
    if (this.failures === 0) this.since = Date.now();
    this.said = problem.code;
    this.problem = { ...problem, since: this.since };
    this.phase = isRetryable(error) ? 'waiting' : 'failed';
    this.report();
    return this.failures++;
  }
}

/** Of what may hold more. */
function troubleOf({ code, message, since, reason, told }: Trouble): Trouble {
  return {
    ...{ code, message },
    ...(since !== undefined && { since }),
    ...(reason !== undefined && { reason }),
    ...(told && { told }),
  };
}

import { FlowError, messageOf } from '../shared/errors';
import { Batcher, type Call, type Collection } from './batcher';
import { answersOf, requestOf, type WriteHeaders } from './collections';
import { finish, giveUp, resultsOf } from './job';
import { JobOrder } from './job-order';
import type { Job, RowError, RowResult, Unit, WriteRequest } from './operations';
import { OrgOutage } from './outage';
import { judge, type Judgement, type Verdict } from './outcome';
import { plan } from './plan';
import type { OrgSession } from './session';
import { leaveSuperseded, writtenRecords, type WrittenRecords } from './written';

export interface WriterOptions extends WriteHeaders {
  /** Records of an API call at most (1,000). */
  records: number;
  /** API calls at once. */
  maxRequests: number;
  /** Milliseconds that an idle writer waits for more messages. */
  linger: number;
  coalesce: boolean;
  /** While the org can't be used, messages wait (hold) or fail at once, retryable (fail). */
  onOutage: 'hold' | 'fail';
  /** Row retries: first and longest pause in milliseconds, and how many; for tests. */
  retry?: { first: number; longest: number; times: number };
}

export interface WriterState {
  /** API calls under way and the records in them. */
  calls: number;
  records: number;
  /** Units that wait to be sent. */
  waiting: number;
}

/** A lock is usually gone within seconds; after about a minute of trying the row fails. */
const ROW_RETRY = { first: 250, longest: 20_000, times: 8 };
/**
 * A call whose answer was lost twice is taken apart to find who spoils it: 1,000 records are halved ten times until
 * each is alone. Nobody is sent more often than this.
 */
const LOSSES_BEFORE_SPLIT = 2;
const MOST_LOSSES = 12;

/** What a writer needs of the session with its org. */
export type WritableOrg = Pick<
  OrgSession,
  'budget' | 'budgetOutage' | 'dataPath' | 'hold' | 'onChange' | 'organizationId' | 'request' | 'underWay'
>;

interface Waiting {
  resolve: (results: RowResult[]) => void;
  reject: (error: unknown) => void;
  pause: () => () => void;
  resume?: () => void;
}

/**
 * Writes the messages of one node into the org with as few API calls as waiting allows: an idle writer sends at
 * once; while a call is under way messages gather, and a second call starts beside it only when it is full.
 */
export class Writer {
  private readonly batcher: Batcher;
  private readonly calls = new Map<Call, Promise<void>>();
  private readonly jobs = new Map<Job, Waiting>();
  private readonly order = new JobOrder();
  /** Messages among those that wait that were delivered before. */
  private repeated = 0;
  private readonly retry: NonNullable<WriterOptions['retry']>;
  private readonly stopListening: () => void;
  private timer: NodeJS.Timeout | undefined;
  private tick: NodeJS.Immediate | undefined;
  private lingerUntil = 0;
  private groups = 0;
  private closing = false;

  constructor(
    private readonly org: WritableOrg,
    private readonly options: WriterOptions,
    /** Told after anything that `state` shows has changed. */
    private readonly changed: () => void = () => undefined,
  ) {
    this.batcher = new Batcher(options);
    this.retry = options.retry ?? ROW_RETRY;
    this.stopListening = org.onChange(() => this.holdChanged());
  }

  get state(): WriterState {
    const records = [...this.calls.keys()].reduce((sum, call) => sum + call.records, 0);
    return { calls: this.calls.size, records, waiting: this.batcher.waiting };
  }

  /**
   * Writes one message: one result for each record of the payload, in order, failed rows among them. Rejects with
   * FlowError when the message as a whole can't be written, or rows of it were given up (`details` holds what
   * became of each). `pause` stops the processing clock of the message while the org is out of reach.
   */
  write(request: WriteRequest, pause: () => () => void): Promise<RowResult[]> {
    return new Promise((resolve, reject) => {
      if (this.closing) throw closed();
      const { unavailable } = this;
      if (unavailable && this.options.onOutage === 'fail') throw unavailable;
      const { job, units } = plan(request);
      const waiting: Waiting = { resolve, reject, pause };
      this.jobs.set(job, waiting);
      if (unavailable) waiting.resume = pause();
      if (this.batcher.waiting === 0) this.lingerUntil = performance.now() + this.options.linger;
      this.batcher.add(units);
      this.order.add(job, units);
      if (request.repeated) this.repeated++;
      this.settle([job]);
      this.schedulePump();
    });
  }

  /**
   * Sends nothing more. Calls under way have `limit` milliseconds to finish; then, and for what was not begun,
   * the messages fail so that their consumer delivers them again where that can't double a write.
   */
  async close(limit: number): Promise<void> {
    this.closing = true;
    this.stopListening();
    clearTimeout(this.timer);
    clearImmediate(this.tick);
    this.giveUpAll(this.batcher.drain(), closed());
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, limit)));
    await Promise.race([Promise.all(this.calls.values()), timeout]);
    clearTimeout(timer);
    for (const call of this.calls.keys()) {
      for (const unit of unitsOf(call))
        giveUp(unit, unit.repeatable ? closed() : ambiguous(unit, 'the node was closed'));
    }
    this.settle([...this.jobs.keys()]);
  }

  /** Messages of the same moment go together. */
  private schedulePump(): void {
    this.tick ??= setImmediate(() => {
      this.tick = undefined;
      this.pump();
    });
  }

  private pump(): void {
    clearTimeout(this.timer);
    // One time for the whole of it: what isn't ready for `take` must be found by `nextReady`.
    const now = performance.now();
    this.leaveSuperseded();
    while (!this.closing && !this.org.hold.current && this.calls.size < this.options.maxRequests) {
      if (this.batcher.waiting === 0) break;
      if (this.org.budget.spent(this.org.underWay)) return this.org.hold.begin(this.org.budgetOutage());
      const call = this.batcher.take(now, this.calls.size > 0 || now < this.lingerUntil);
      if (!call) break;
      this.calls.set(call, this.run(call));
    }
    this.changed();
    if (this.closing || this.calls.size > 0 || this.batcher.waiting === 0 || this.org.hold.current) return;
    const ready = now < this.lingerUntil ? this.lingerUntil : this.batcher.nextReady(now);
    if (ready !== undefined) this.timer = setTimeout(() => this.pump(), Math.ceil(ready - now));
  }

  /** What newer messages have written in the meantime isn't written again by one that came back. */
  private leaveSuperseded(): void {
    const { written } = this;
    if (this.repeated === 0 || !written) return;
    const jobs: Job[] = [];
    this.batcher.remove((unit) => {
      if (!unit.job.request.repeated) return false;
      jobs.push(unit.job);
      return leaveSuperseded(unit, written);
    });
    this.settle(jobs);
  }

  private get written(): WrittenRecords | undefined {
    const { organizationId } = this.org;
    return organizationId === undefined ? undefined : writtenRecords(organizationId);
  }

  private async run(call: Call): Promise<void> {
    const begun = performance.now();
    const jobs = unitsOf(call).map((unit) => unit.job);
    let answered = false;
    try {
      const { method, path, body, headers } = requestOf(call, this.org.dataPath, this.options);
      const answer = await this.org.request(method, path, { body, headers });
      answered = true;
      const judgements = answersOf(call, answer).map((part, i) =>
        judge(call.collections[i] as Collection, part),
      );
      judgements.forEach((judgement, i) => this.judged(call.collections[i] as Collection, judgement));
    } catch (error) {
      this.callFailed(call, error, answered);
    }
    this.calls.delete(call);
    this.batcher.finished(call, performance.now() - begun);
    this.settle(jobs);
    this.schedulePump();
  }

  private callFailed(call: Call, error: unknown, answered: boolean): void {
    const units = unitsOf(call);
    const outage = error instanceof OrgOutage ? error : answered ? unreadable(error) : undefined;
    if (!outage) {
      // A value that can't be sent (a BigInt, say) is the fault of its own message, and nothing was sent.
      if (units.length > 1) return this.sendApart(units);
      return this.giveUpAll(units, callImpossible(error));
    }
    if (outage.sent) this.lost(units, outage, true);
    else this.putBack(units, outage);
    this.org.hold.begin(outage);
  }

  private judged(collection: Collection, judgement: Judgement): void {
    const units = collection.entries.flatMap((entry) => entry.units);
    switch (judgement.kind) {
      case 'rows':
        this.org.hold.worked();
        collection.entries.forEach((entry, i) => this.apply(entry.units, judgement.verdicts[i] as Verdict));
        return;
      case 'outage':
        this.putBack(units, judgement.outage);
        return this.org.hold.begin(judgement.outage);
      case 'lost': {
        const { statusCode, message } = judgement.error;
        const outage =
          judgement.outage ??
          new OrgOutage('unreachable', statusCode, `The org failed (${statusCode}: ${message})`, true);
        this.lost(units, outage, judgement.outage === undefined);
        return this.org.hold.begin(outage);
      }
      case 'refused':
        if (judgement.shared && units.length > 1) return this.sendApart(units);
        for (const unit of units) finish(unit, refusedRows(unit, judgement.error));
    }
  }

  private apply(units: Unit[], verdict: Verdict): void {
    const [first] = units;
    // Which of the messages that were merged into one row is at fault, each has to find out by itself.
    if (verdict.kind === 'final' && units.length > 1 && !verdict.results.every(({ success }) => success))
      return this.sendApart(units);
    if (verdict.kind === 'final' || (first && first.refusals >= this.retry.times)) {
      for (const unit of units) {
        unit.rows.forEach((row, i) => {
          const result = verdict.results[i];
          if (result?.success) this.written?.add(unit, row, result.id);
        });
        finish(unit, verdict.results);
      }
      return;
    }
    const pause =
      Math.min(this.retry.longest, this.retry.first * 2 ** (first?.refusals ?? 0)) * (0.5 + Math.random());
    for (const unit of units) {
      unit.refusals++;
      unit.notBefore = performance.now() + pause;
    }
    this.putBack(units);
  }

  /** Repeats what may be repeated; `counts` where the org may well be alive and choke on just this call. */
  private lost(units: Unit[], outage: OrgOutage, counts: boolean): void {
    const again: Unit[] = [];
    for (const unit of units) {
      if (counts || unit.losses === 0) unit.losses++;
      if (!unit.repeatable) giveUp(unit, ambiguous(unit, outage.message));
      else if (unit.losses >= MOST_LOSSES) giveUp(unit, failedRepeatedly(unit, outage));
      else again.push(unit);
    }
    // Should the next answer be lost too, then few creates with it.
    if (again.length < units.length) this.batcher.shrink();
    if (again.some((unit) => unit.losses >= LOSSES_BEFORE_SPLIT)) this.group(again);
    this.putBack(again, outage);
  }

  /** Sends two halves apart from each other, so that in the end only the one that spoils a call fails. */
  private group(units: Unit[]): void {
    const half = Math.ceil(units.length / 2);
    for (const part of [units.slice(0, half), units.slice(half)]) {
      this.groups++;
      for (const unit of part) unit.group = this.groups;
    }
  }

  private sendApart(units: Unit[]): void {
    this.group(units);
    this.putBack(units);
  }

  /** They wait to be sent again, unless the node is closing, or doesn't wait for an org that can't be used. */
  private putBack(units: Unit[], outage: FlowError | undefined = this.unavailable): void {
    if (this.closing) this.giveUpAll(units, closed());
    else if (outage && this.options.onOutage === 'fail') this.giveUpAll(units, outage);
    else this.batcher.putBack(units);
  }

  /** Why the org can't be used just now. */
  private get unavailable(): FlowError | undefined {
    const { current } = this.org.hold;
    return current && new FlowError(current.code, current.message, true);
  }

  private giveUpAll(units: Unit[], error: FlowError): void {
    for (const unit of units) giveUp(unit, error);
    this.settle(units.map((unit) => unit.job));
  }

  private settle(jobs: Job[]): void {
    const queue = new Set(jobs);
    for (const job of queue) {
      const waiting = job.open === 0 ? this.jobs.get(job) : undefined;
      if (!waiting || !this.order.isFirst(job)) continue;
      this.jobs.delete(job);
      if (job.request.repeated) this.repeated--;
      for (const later of this.order.remove(job)) {
        // A Set goes round once more for what is added anew.
        queue.delete(later);
        queue.add(later);
      }
      waiting.resume?.();
      try {
        waiting.resolve(resultsOf(job));
      } catch (error) {
        waiting.reject(error);
      }
    }
  }

  private holdChanged(): void {
    const { unavailable } = this;
    if (!unavailable) {
      for (const waiting of this.jobs.values()) {
        waiting.resume?.();
        waiting.resume = undefined;
      }
      return this.schedulePump();
    }
    if (this.options.onOutage === 'fail') this.giveUpAll(this.batcher.drain(), unavailable);
    else for (const waiting of this.jobs.values()) waiting.resume ??= waiting.pause();
    this.changed();
  }
}

function unitsOf(call: Call): Unit[] {
  return call.collections.flatMap((collection) => collection.entries.flatMap((entry) => entry.units));
}

function refusedRows(unit: Unit, error: RowError): RowResult[] {
  return unit.rows.map(() => ({ id: null, success: false, errors: [error], record: null }));
}

function ambiguous(unit: Unit, why: string): FlowError {
  const { operation, sobject } = unit.lane;
  return new FlowError(
    'AMBIGUOUS_WRITE',
    `The answer to a ${operation} of ${sobject} was lost (${why}): the records may be in the org or not. It is not repeated, as that could create them twice; look in the org, then send what is missing`,
    false,
  );
}

function failedRepeatedly(unit: Unit, outage: OrgOutage): FlowError {
  return new FlowError(
    'ORG_FAILED_REPEATEDLY',
    `The org answers, but failed ${unit.losses} times on this message: ${outage.message}`,
    true,
  );
}

function unreadable(error: unknown): OrgOutage {
  const why = `The answer of the org can't be read: ${messageOf(error)}`;
  return new OrgOutage('unreachable', 'UNREADABLE_ANSWER', why, true);
}

function callImpossible(error: unknown): FlowError {
  return new FlowError('INTERNAL', `The call could not be made: ${messageOf(error)}`, false, {
    cause: error,
  });
}

function closed(): FlowError {
  return new FlowError(
    'NODE_CLOSED',
    'The node was closed before the message was written; it is to be delivered again',
    true,
  );
}

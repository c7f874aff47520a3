import { FlowError, messageOf } from '../../shared/errors';
import { Batcher, type Call, type Collection } from './batcher';
import { answersOf, requestOf, type WriteHeaders } from './requests';
import { finish, giveUp, resultsOf } from './results';
import { MessageOrder } from './order';
import type { WriteMessage, RowError, RowResult, Write, WriteRequest } from './operations';
import { OrgOutage } from '../org/outage';
import { outcomeOf, type CollectionOutcome, type RowOutcome } from './outcome';
import { plan } from './plan';
import type { OrgSession } from '../org/session';
import { leaveSuperseded, writtenRecords, type WrittenRecords } from './superseded';

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
  /** Writes that wait to be sent. */
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
  | 'availability'
  | 'budget'
  | 'budgetOutage'
  | 'dataPath'
  | 'onChange'
  | 'organizationId'
  | 'request'
  | 'underWay'
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
  private readonly messages = new Map<WriteMessage, Waiting>();
  private readonly order = new MessageOrder();
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
    this.stopListening = org.onChange(() => this.availabilityChanged());
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
      const { message, writes } = plan(request);
      const waiting: Waiting = { resolve, reject, pause };
      this.messages.set(message, waiting);
      if (unavailable) waiting.resume = pause();
      if (this.batcher.waiting === 0) this.lingerUntil = performance.now() + this.options.linger;
      this.batcher.add(writes);
      this.order.add(message, writes);
      if (request.repeated) this.repeated++;
      this.settle([message]);
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
      for (const write of writesOf(call))
        giveUp(write, write.repeatable ? closed() : ambiguous(write, 'the node was closed'));
    }
    this.settle([...this.messages.keys()]);
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
    while (!this.closing && !this.org.availability.current && this.calls.size < this.options.maxRequests) {
      if (this.batcher.waiting === 0) break;
      if (this.org.budget.spent(this.org.underWay))
        return this.org.availability.begin(this.org.budgetOutage());
      const call = this.batcher.take(now, this.calls.size > 0 || now < this.lingerUntil);
      if (!call) break;
      this.calls.set(call, this.run(call));
    }
    this.changed();
    if (this.closing || this.calls.size > 0 || this.batcher.waiting === 0 || this.org.availability.current)
      return;
    const ready = now < this.lingerUntil ? this.lingerUntil : this.batcher.nextReady(now);
    if (ready !== undefined) this.timer = setTimeout(() => this.pump(), Math.ceil(ready - now));
  }

  /** What newer messages have written in the meantime isn't written again by one that came back. */
  private leaveSuperseded(): void {
    const { written } = this;
    if (this.repeated === 0 || !written) return;
    const messages: WriteMessage[] = [];
    this.batcher.remove((write) => {
      if (!write.message.request.repeated) return false;
      messages.push(write.message);
      return leaveSuperseded(write, written);
    });
    this.settle(messages);
  }

  private get written(): WrittenRecords | undefined {
    const { organizationId } = this.org;
    return organizationId === undefined ? undefined : writtenRecords(organizationId);
  }

  private async run(call: Call): Promise<void> {
    const begun = performance.now();
    const messages = writesOf(call).map((write) => write.message);
    let answered = false;
    try {
      const { method, path, body, headers } = requestOf(call, this.org.dataPath, this.options);
      const answer = await this.org.request(method, path, { body, headers });
      answered = true;
      const outcomes = answersOf(call, answer).map((part, i) =>
        outcomeOf(call.collections[i] as Collection, part),
      );
      outcomes.forEach((outcome, i) => this.judged(call.collections[i] as Collection, outcome));
    } catch (error) {
      this.callFailed(call, error, answered);
    }
    this.calls.delete(call);
    this.batcher.finished(call, performance.now() - begun);
    this.settle(messages);
    this.schedulePump();
  }

  private callFailed(call: Call, error: unknown, answered: boolean): void {
    const writes = writesOf(call);
    const outage = error instanceof OrgOutage ? error : answered ? unreadable(error) : undefined;
    if (!outage) {
      // A value that can't be sent (a BigInt, say) is the fault of its own message, and nothing was sent.
      if (writes.length > 1) return this.sendApart(writes);
      return this.giveUpAll(writes, callImpossible(error));
    }
    if (outage.sent) this.lost(writes, outage, true);
    else this.putBack(writes, outage);
    this.org.availability.begin(outage);
  }

  private judged(collection: Collection, outcome: CollectionOutcome): void {
    const writes = collection.entries.flatMap((entry) => entry.writes);
    switch (outcome.kind) {
      case 'rows':
        this.org.availability.worked();
        collection.entries.forEach((entry, i) => this.apply(entry.writes, outcome.outcomes[i] as RowOutcome));
        return;
      case 'outage':
        this.putBack(writes, outcome.outage);
        return this.org.availability.begin(outcome.outage);
      case 'lost': {
        const { statusCode, message } = outcome.error;
        const outage =
          outcome.outage ??
          new OrgOutage('unreachable', statusCode, `The org failed (${statusCode}: ${message})`, true);
        this.lost(writes, outage, outcome.outage === undefined);
        return this.org.availability.begin(outage);
      }
      case 'refused':
        if (outcome.shared && writes.length > 1) return this.sendApart(writes);
        for (const write of writes) finish(write, refusedRows(write, outcome.error));
    }
  }

  private apply(writes: Write[], outcome: RowOutcome): void {
    const [first] = writes;
    // Which of the messages that were merged into one row is at fault, each has to find out by itself.
    if (outcome.kind === 'final' && writes.length > 1 && !outcome.results.every(({ success }) => success))
      return this.sendApart(writes);
    if (outcome.kind === 'final' || (first && first.refusals >= this.retry.times)) {
      for (const write of writes) {
        write.rows.forEach((row, i) => {
          const result = outcome.results[i];
          if (result?.success) this.written?.add(write, row, result.id);
        });
        finish(write, outcome.results);
      }
      return;
    }
    const pause =
      Math.min(this.retry.longest, this.retry.first * 2 ** (first?.refusals ?? 0)) * (0.5 + Math.random());
    for (const write of writes) {
      write.refusals++;
      write.notBefore = performance.now() + pause;
    }
    this.putBack(writes);
  }

  /** Repeats what may be repeated; `counts` where the org may well be alive and choke on just this call. */
  private lost(writes: Write[], outage: OrgOutage, counts: boolean): void {
    const again: Write[] = [];
    for (const write of writes) {
      if (counts || write.losses === 0) write.losses++;
      if (!write.repeatable) giveUp(write, ambiguous(write, outage.message));
      else if (write.losses >= MOST_LOSSES) giveUp(write, failedRepeatedly(write, outage));
      else again.push(write);
    }
    // Should the next answer be lost too, then few creates with it.
    if (again.length < writes.length) this.batcher.shrink();
    if (again.some((write) => write.losses >= LOSSES_BEFORE_SPLIT)) this.group(again);
    this.putBack(again, outage);
  }

  /** Sends two halves apart from each other, so that in the end only the one that spoils a call fails. */
  private group(writes: Write[]): void {
    const half = Math.ceil(writes.length / 2);
    for (const part of [writes.slice(0, half), writes.slice(half)]) {
      this.groups++;
      for (const write of part) write.group = this.groups;
    }
  }

  private sendApart(writes: Write[]): void {
    this.group(writes);
    this.putBack(writes);
  }

  /** They wait to be sent again, unless the node is closing, or doesn't wait for an org that can't be used. */
  private putBack(writes: Write[], outage: FlowError | undefined = this.unavailable): void {
    if (this.closing) this.giveUpAll(writes, closed());
    else if (outage && this.options.onOutage === 'fail') this.giveUpAll(writes, outage);
    else this.batcher.putBack(writes);
  }

  /** Why the org can't be used just now. */
  private get unavailable(): FlowError | undefined {
    const { current } = this.org.availability;
    return current && new FlowError(current.code, current.message, true);
  }

  private giveUpAll(writes: Write[], error: FlowError): void {
    for (const write of writes) giveUp(write, error);
    this.settle(writes.map((write) => write.message));
  }

  private settle(messages: WriteMessage[]): void {
    const queue = new Set(messages);
    for (const message of queue) {
      const waiting = message.open === 0 ? this.messages.get(message) : undefined;
      if (!waiting || !this.order.isFirst(message)) continue;
      this.messages.delete(message);
      if (message.request.repeated) this.repeated--;
      for (const later of this.order.remove(message)) {
        // A Set goes round once more for what is added anew.
        queue.delete(later);
        queue.add(later);
      }
      waiting.resume?.();
      try {
        waiting.resolve(resultsOf(message));
      } catch (error) {
        waiting.reject(error);
      }
    }
  }

  private availabilityChanged(): void {
    const { unavailable } = this;
    if (!unavailable) {
      for (const waiting of this.messages.values()) {
        waiting.resume?.();
        waiting.resume = undefined;
      }
      return this.schedulePump();
    }
    if (this.options.onOutage === 'fail') this.giveUpAll(this.batcher.drain(), unavailable);
    else for (const waiting of this.messages.values()) waiting.resume ??= waiting.pause();
    this.changed();
  }
}

function writesOf(call: Call): Write[] {
  return call.collections.flatMap((collection) => collection.entries.flatMap((entry) => entry.writes));
}

function refusedRows(write: Write, error: RowError): RowResult[] {
  return write.rows.map(() => ({ id: null, success: false, errors: [error], record: null }));
}

function ambiguous(write: Write, why: string): FlowError {
  const { operation, sobject } = write.endpoint;
  return new FlowError(
    'AMBIGUOUS_WRITE',
    `The answer to a ${operation} of ${sobject} was lost (${why}): the records may be in the org or not. It is not repeated, as that could create them twice; look in the org, then send what is missing`,
    false,
  );
}

function failedRepeatedly(write: Write, outage: OrgOutage): FlowError {
  return new FlowError(
    'ORG_FAILED_REPEATEDLY',
    `The org answers, but failed ${write.losses} times on this message: ${outage.message}`,
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

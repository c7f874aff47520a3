import { FlowError, messageOf } from '../../shared/errors';
import { isTurnLost, turnLost } from '../../shared/flow/delivery';
import { Batcher } from './batcher';
import type { BulkOrg } from './bulk/desk';
import type { RowAnswer } from './bulk/job';
import { BulkLane, type BulkQueue, type BulkState } from './bulk/lane';
import { writesIn, writesOf, type Call, type Collection, type Entry } from './call';
import { isSameRecord } from './keys';
import { CALL_RECORDS } from './limits';
import type { RowError, RowResult, Write, WriteMessage, WriteRequest } from './operations';
import { MessageOrder } from './order';
import { outcomeOf, outcomeOfRow, type CollectionOutcome, type RowOutcome } from './outcome';
import { plan } from './plan';
import { answersOf, requestOf, type WriteHeaders } from './requests';
import { finish, giveUp, refuse, resultsOf } from './results';
import { leaveSuperseded, writtenRecords, type SameRecord, type WrittenRecords } from './superseded';
import { Dispatcher, closed, type Carrier, type DispatcherOptions } from '../org/dispatcher';
import { OrgOutage } from '../org/outage';
import type { Retry } from '../org/repeats';
import type { OrgSession } from '../org/session';
import { distinct } from '../../shared/tracing/context';
import { inTraces } from '../../shared/tracing/current';
import type { Tracer } from '../../shared/tracing/tracer';
import { say } from '../../shared/say';

export interface WriterOptions extends WriteHeaders, Pick<DispatcherOptions, 'maxRequests' | 'onOutage'> {
  /** Records of an API call at most (1,000). */
  records: number;
  /** Milliseconds that an idle writer waits for more messages. */
  linger: number;
  coalesce: boolean;
  /** Rows of one object and operation from which on they go as a Bulk job; 0, and unless told: never. */
  bulkFrom?: number;
  /** Milliseconds to the first look at a job at least; for tests. */
  bulkSoonest?: number;
  log?: (level: 'info' | 'warn', text: string) => void;
  /** Makes a span of each API call. */
  tracer?: Tracer | undefined;
  /** Other pauses for rows that are refused for a reason that passes; for tests. */
  retry?: Omit<Retry, 'spread'>;
}

export interface WriterState {
  /** API calls under way and the records in them. */
  calls: number;
  records: number;
  /** Writes that wait to be sent. */
  waiting: number;
  bulk?: BulkState;
}

/** A lock is usually gone within seconds; after about a minute of trying the row fails. */
const RETRY: Retry = { first: 250, longest: 20_000, times: 8, spread: 0.5 };

/** What a writer needs of the session with its org. */
export type WritableOrg = Pick<
  OrgSession,
  | 'availability'
  | 'budget'
  | 'budgetOutage'
  | 'dataPath'
  | 'describes'
  | 'onChange'
  | 'organizationId'
  | 'request'
  | 'underWay'
> &
  BulkOrg;

/** Writes the records of one node's messages into the org: says what each answer means for each of them. */
export class Writer implements Carrier<WriteMessage, Write, Call> {
  private readonly batcher: Batcher;
  private readonly dispatcher: Dispatcher<WriteMessage, Write, Call, RowResult[]>;
  private readonly bulk: BulkLane | undefined;
  private readonly order = new MessageOrder();
  /** Messages without an answer that were delivered before. */
  private readonly repeated = new Set<WriteMessage>();

  constructor(
    private readonly org: WritableOrg,
    private readonly options: WriterOptions,
    /** Told after anything that `state` shows has changed. */
    changed: () => void = () => undefined,
  ) {
    const { maxRequests, onOutage, retry, bulkFrom = 0, bulkSoonest, allowDuplicateSave, log } = options;
    this.batcher = new Batcher(options);
    const dispatching = { maxRequests, onOutage, largest: CALL_RECORDS, retry: { ...RETRY, ...retry } };
    this.dispatcher = new Dispatcher(org, this.batcher, this, dispatching, changed);
    // A job is not told to save in spite of duplicate rules, and doesn't fail because the org is away.
    if (bulkFrom > 0 && !allowDuplicateSave && onOutage === 'hold')
      this.bulk = new BulkLane(org, this.bulkQueue(), {
        from: bulkFrom,
        log: log ?? (() => undefined),
        soonest: bulkSoonest,
        tracer: options.tracer,
      });
  }

  get state(): WriterState {
    const calls = this.dispatcher.underWay;
    const records = calls.reduce((sum, call) => sum + call.records, 0);
    const { waiting } = this.batcher;
    return { calls: calls.length, records, waiting, ...(this.bulk && { bulk: this.bulk.state }) };
  }

  /** Records that are better held here than left with their source, beside those of requests. */
  get room(): number {
    return this.bulk?.room ?? 0;
  }

  /**
   * Writes one message: one result for each record of the payload, in order, failed rows among them. Rejects with
   * FlowError when the message as a whole can't be written, or rows of it were given up (`details` holds what
   * became of each), or with TURN_LOST when `hold` is over. `pause` stops the processing clock of the message while the org is out of reach.
   */
  write(request: WriteRequest, pause: () => () => void): Promise<RowResult[]> {
    const enqueue = (): WriteMessage => {
      const { message, writes } = plan(request, this.org.describes);
      this.bulk?.arrived(writes, request.pending);
      this.batcher.add(writes);
      this.order.add(message, writes);
      if (request.repeated) this.repeated.add(message);
      return message;
    };
    return this.dispatcher.accept(pause, enqueue, request.hold);
  }

  /**
   * Sends nothing more. Calls under way have `limit` milliseconds to finish; then, and for what was not begun,
   * the messages fail so that their consumer delivers them again where that can't double a write.
   */
  async close(limit: number): Promise<void> {
    const [calls] = await Promise.all([this.dispatcher.close(limit), this.bulk?.close(limit)]);
    for (const call of calls) {
      const [repeatable, others] = byRepeatable(writesOf(call));
      this.giveUp(repeatable, closed());
      this.giveUpAmbiguous(others, say`the node was closed`);
    }
  }

  /** False without anything to send, or without a budget for it, or before it is known what is superseded. */
  mayBegin(): boolean {
    if (this.batcher.waiting === 0) return false;
    if (!this.org.budget.spent(this.org.underWay)) {
      if (this.bulk?.holds()) return false;
      return this.leaveSuperseded() && (!this.bulk || this.bulk.decide()) && this.batcher.waiting > 0;
    }
    this.org.availability.begin(this.org.budgetOutage());
    return false;
  }

  /**
   * What newer messages have written in the meantime isn't written again by one that came back. False while the org is
   * asked whether two external ids are one record; where it doesn't tell, they are two.
   */
  private leaveSuperseded(): boolean {
    const { written } = this;
    if (this.repeated.size === 0 || !written) return true;
    let asking: Promise<void> | undefined;
    const isSame: SameRecord = ({ endpoint }, { keyText = '', keyField = '' }, text) => {
      const field = this.org.describes.fields(endpoint.sobject)?.get(keyField);
      const same = isSameRecord(keyText, text, field);
      if (same === undefined) asking ??= this.org.describes.settling(endpoint.sobject);
      return same === true;
    };
    this.batcher.remove(
      (write) => write.message.request.repeated === true && leaveSuperseded(write, written, isSame),
    );
    this.settle(this.repeated);
    void asking?.then(() => this.dispatcher.wake());
    return asking === undefined;
  }

  private get written(): WrittenRecords | undefined {
    const { organizationId } = this.org;
    return organizationId === undefined ? undefined : writtenRecords(organizationId);
  }

  /** Sends the call, and gives each write its results, or back. */
  async send(call: Call): Promise<void> {
    const begun = performance.now();
    let answered = false;
    try {
      const { method, path, body, headers } = requestOf(call, this.org.dataPath, this.options);
      const before = (): void => this.mustHold(writesOf(call));
      const answer = await this.inTraces(call, () =>
        this.org.request(method, path, { body, headers, before }),
      );
      answered = true;
      const outcomes = answersOf(call, answer).map((part, i) =>
        outcomeOf(call.collections[i] as Collection, part),
      );
      outcomes.forEach((outcome, i) => this.settleCollection(call.collections[i] as Collection, outcome));
    } catch (error) {
      this.callFailed(writesOf(call), error, answered);
    }
    this.batcher.finished(call, performance.now() - begun);
    this.dispatcher.over(call);
    this.settle(writesOf(call).map((write) => write.message));
  }

  /** Throws where another instance may have any of them by now: it is asked right before they are sent. */
  private mustHold(writes: readonly Write[]): void {
    if (!this.dispatcher.isHeld(writes)) throw turnLost();
  }

  /** One message's call is part of its trace; one of several is linked to each. */
  private inTraces<T>(call: Call, work: () => T): T {
    const origins = () => distinct(writesOf(call).map(({ message }) => message.request.trace));
    return inTraces(this.options.tracer, origins, { 'salesforce.records': call.records }, work);
  }

  private callFailed(writes: Write[], error: unknown, answered: boolean): void {
    // Those that are still held go out again; the others are left as soon as the dispatcher looks.
    if (isTurnLost(error)) return this.dispatcher.putBack(writes);
    const outage = error instanceof OrgOutage ? error : answered ? unreadable(error) : undefined;
    if (!outage) {
      // A value that can't be sent (a BigInt, say) is the fault of its own message, and nothing was sent.
      if (writes.length > 1) return this.dispatcher.sendApart(writes);
      return this.giveUp(writes, callImpossible(error));
    }
    this.outage(writes, outage, outage.sent);
  }

  private settleCollection(collection: Collection, outcome: CollectionOutcome): void {
    const writes = writesIn(collection.entries);
    switch (outcome.kind) {
      case 'rows':
        return this.settleEntries(collection, outcome.outcomes);
      case 'outage':
        return this.outage(writes, outcome.outage, outcome.counts);
      case 'unexplained':
        return this.unexplained(writes, outcome.error);
      case 'refused':
        if (outcome.shared && writes.length > 1) return this.dispatcher.sendApart(writes);
        return this.refuseEntries(collection.entries, outcome.at ?? collection.entries, outcome.error);
    }
  }

  /** Those at fault fail; the others of the call are sent again. */
  private refuseEntries(entries: readonly Entry[], atFault: readonly Entry[], error: RowError): void {
    for (const { writes } of atFault) {
      // Which of the messages that were merged is at fault, each has to find out by itself.
      if (writes.length > 1) this.dispatcher.sendApart(writes);
      else for (const write of writes) refuse(write, error);
    }
    this.dispatcher.putBack(writesIn(entries.filter((entry) => !atFault.includes(entry))));
  }

  private settleEntries(collection: Collection, outcomes: readonly RowOutcome[]): void {
    const apart: Write[] = [];
    const crowded: Write[] = [];
    const held: Write[] = [];
    let outage: OrgOutage | undefined;
    // Alone, or with others of all or none, a row can't be in a smaller collection.
    const divisible = !collection.atomic && collection.records > 1;
    collection.entries.forEach(({ writes }, i) => {
      const outcome = outcomes[i] as RowOutcome;
      if (outcome.kind === 'held') {
        outage ??= outcome.outage;
        held.push(...writes);
      } else if (outcome.kind === 'crowded' && divisible) crowded.push(...writes);
      else if (outcome.kind === 'apart' && divisible) apart.push(...writes);
      else this.settleRows(writes, outcome);
    });
    if (crowded.length > 0) {
      this.batcher.crowded(collection);
      this.dispatcher.putBack(crowded);
    }
    if (apart.length > 0) this.dispatcher.sendApart(apart);
    if (outage) this.outage(held, outage, false);
    else this.org.availability.worked();
  }

  /**
   * The org refuses the call for no reason that tells of a record: again after a pause, and if that doesn't help, in
   * halves; one alone fails in the end, to be tried again later.
   */
  private unexplained(writes: Write[], error: RowError): void {
    const [write] = writes;
    if (writes.length > 1 && writes.some(({ refusals }) => refusals > 0))
      return this.dispatcher.retryApart(writes);
    if (writes.length > 1 || (write && !this.dispatcher.isExhausted(write)))
      return this.dispatcher.retryLater(writes);
    for (const write of writes) refuse(write, error);
  }

  /** The writes of one entry: one, or several that were merged into one row. */
  private settleRows(writes: Write[], { kind, results }: Exclude<RowOutcome, { kind: 'held' }>): void {
    const exhausted = writes.some((write) => this.dispatcher.isExhausted(write));
    if (kind !== 'final' && !exhausted) return this.dispatcher.retryLater(writes);
    // Which of the messages that were merged is at fault, each has to find out by itself.
    if (kind === 'final' && writes.length > 1 && !results.every(({ success }) => success))
      return this.dispatcher.sendApart(writes);
    for (const write of writes) {
      write.rows.forEach((row, i) => {
        const result = results[i];
        if (result?.success) this.written?.add(write, row, result.id);
      });
      // Each message has results of its own.
      finish(write, writes.length > 1 ? results.map((result) => ({ ...result })) : results);
    }
  }

  private bulkQueue(): BulkQueue {
    const { batcher, dispatcher } = this;
    return {
      get waiting() {
        return batcher.waiting;
      },
      waitingForBulk: () => batcher.waitingForBulk(),
      takeForBulk: (endpoint, most) => batcher.takeForBulk(endpoint, most),
      putBack: (writes) => {
        dispatcher.putBack(writes);
        batcher.release(writes);
        this.settle(writes.map(({ message }) => message));
      },
      mustHold: (writes) => this.mustHold(writes),
      settleRows: (rows) => this.settleJobRows(rows),
      giveUpClosed: (writes) => this.giveUp(writes, closed()),
      pause: (writes) => dispatcher.pause(writes.map(({ message }) => message)),
      wake: () => dispatcher.wake(),
    };
  }

  /** What a job says of its rows. Those that it doesn't decide are written again, without a job. */
  private settleJobRows(rows: readonly (readonly [Write, RowAnswer | undefined])[]): void {
    const again: Write[] = [];
    for (const [write, answer] of rows) {
      write.bulk = false;
      if (!answer) {
        write.losses ||= 1;
        again.push(write);
        continue;
      }
      const outcome = outcomeOfRow(write, answer);
      if (outcome.kind === 'held') this.outage([write], outcome.outage, false);
      else if (outcome.kind === 'crowded' || outcome.kind === 'apart' || isOfTables(outcome))
        again.push(write);
      else this.settleRows([write], outcome);
    }
    this.org.availability.worked();
    const writes = rows.map(([write]) => write);
    if (again.length > 0) this.dispatcher.putBack(again);
    this.batcher.release(writes);
    this.settle(writes.map(({ message }) => message));
  }

  /** The writes wait for the org; of those that it may have carried out, only what may be repeated. */
  private outage(writes: Write[], outage: OrgOutage, counts: boolean): void {
    if (outage.sent) {
      const [repeatable, others] = byRepeatable(writes);
      // Should the next answer be lost too, then few creates with it.
      if (others.length > 0) this.batcher.shrink();
      this.giveUpAmbiguous(others, outage.message);
      this.dispatcher.lost(repeatable, outage, counts);
    } else this.dispatcher.putBack(writes, outage);
    this.org.availability.begin(outage);
  }

  /** The writes fail, and their messages with them. */
  giveUp(writes: readonly Write[], error: FlowError): void {
    for (const write of writes) giveUp(write, error);
    this.settle(writes.map((write) => write.message));
  }

  private giveUpAmbiguous(writes: readonly Write[], why: string): void {
    for (const write of writes) this.giveUp([write], ambiguous(write, why));
  }

  /** Answers the messages that are over, in their order. */
  settle(messages: Iterable<WriteMessage>): void {
    for (const message of this.order.answerable(messages)) {
      this.repeated.delete(message);
      this.dispatcher.answer(message, () => resultsOf(message));
    }
  }
}

/** A value, or a field, that a table may write in another way than JSON: JSON has the last word. */
function isOfTables({ kind, results }: Exclude<RowOutcome, { kind: 'held' }>): boolean {
  const errors = results.flatMap((result) => result.errors);
  return kind === 'final' && errors.some(({ statusCode }) => /^(INVALID|MALFORMED)_/.test(statusCode));
}

/** Those whose second write leaves the org as the first did, and those that it would double. */
function byRepeatable(writes: readonly Write[]): [repeatable: Write[], others: Write[]] {
  return [writes.filter((write) => write.repeatable), writes.filter((write) => !write.repeatable)];
}

function ambiguous(write: Write, why: string): FlowError {
  const { operation, sobject } = write.endpoint;
  return new FlowError(
    'AMBIGUOUS_WRITE',
    say`The answer to a ${operation} of ${sobject} was lost (${why}): the records may be in the org or not. It is not repeated, as that could create them twice; look in the org, then send what is missing`,
    false,
  );
}

function unreadable(error: unknown): OrgOutage {
  const why = say`The answer of the org can't be read: ${messageOf(error)}`;
  return new OrgOutage('unreachable', 'UNREADABLE_ANSWER', why, true);
}

function callImpossible(error: unknown): FlowError {
  return new FlowError('INTERNAL', say`The call could not be made: ${messageOf(error)}`, false, {
    cause: error,
  });
}

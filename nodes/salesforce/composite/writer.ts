import type { FlowError } from '../../shared/errors';
import { turnLost } from '../../shared/flow/delivery';
import { Batcher } from './batcher';
import type { BulkOrg } from './bulk/desk';
import { BulkLane, type BulkQueue, type BulkState } from './bulk/lane';
import { writesOf, type Call, type Collection } from './call';
import { isSameRecord } from './keys';
import { CALL_RECORDS } from './limits';
import type { RowResult, Write, WriteMessage, WriteRequest } from './operations';
import { outcomeOf } from './outcome';
import { plan } from './plan';
import { answersOf, requestOf, type WriteHeaders } from './requests';
import { leaveSuperseded, type SameRecord } from './superseded';
import { WriteSettlement } from './write-settlement';
import { Dispatcher, closed, type Carrier, type DispatcherOptions } from '../org/dispatcher';
import type { Retry } from '../org/repeats';
import type { OrgSession } from '../org/session';
import { distinct } from '../../shared/tracing/context';
import { inTraces } from '../../shared/tracing/current';
import type { Tracer } from '../../shared/tracing/tracer';

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

/** Writes the records of one node's messages into the org: decides what goes when, and carries it there. */
export class Writer implements Carrier<WriteMessage, Write, Call> {
  private readonly batcher: Batcher;
  private readonly dispatcher: Dispatcher<WriteMessage, Write, Call, RowResult[]>;
  private readonly bulk: BulkLane | undefined;
  private readonly settlement: WriteSettlement;

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
    this.settlement = new WriteSettlement(org, this.batcher, this.dispatcher);
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
      this.settlement.accepted(message, writes);
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
    for (const call of calls) this.settlement.cutOff(call);
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
    const { repeated, written } = this.settlement;
    if (repeated.size === 0 || !written) return true;
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
    this.settle(repeated);
    void asking?.then(() => this.dispatcher.wake());
    return asking === undefined;
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
      outcomes.forEach((outcome, i) =>
        this.settlement.settleCollection(call.collections[i] as Collection, outcome),
      );
    } catch (error) {
      this.settlement.callFailed(writesOf(call), error, answered);
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
      settleRows: (rows) => this.settlement.settleJobRows(rows),
      giveUpClosed: (writes) => this.giveUp(writes, closed()),
      pause: (writes) => dispatcher.pause(writes.map(({ message }) => message)),
      wake: () => dispatcher.wake(),
    };
  }

  giveUp(writes: readonly Write[], error: FlowError): void {
    this.settlement.giveUp(writes, error);
  }

  settle(messages: Iterable<WriteMessage>): void {
    this.settlement.settle(messages);
  }
}

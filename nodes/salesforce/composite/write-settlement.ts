import { FlowError, messageOf } from '../../shared/errors';
import { isTurnLost } from '../../shared/flow/delivery';
import { say } from '../../shared/say';
import { closed, type Dispatcher } from '../org/dispatcher';
import { OrgOutage } from '../org/outage';
import type { OrgSession } from '../org/session';
import type { Batcher } from './batcher';
import type { RowAnswer } from './bulk/job';
import { writesIn, writesOf, type Call, type Collection, type Entry } from './call';
import type { RowOutcome } from './fate';
import type { RowError, RowResult, Write, WriteMessage } from './operations';
import { MessageOrder } from './order';
import { outcomeOfRow, type CollectionOutcome } from './outcome';
import { finish, giveUp, refuse, resultsOf } from './results';
import { writtenRecords, type WrittenRecords } from './superseded';

/**
 * What becomes of a writer's writes by what the org answers: each has its result, or waits to be sent again, or is
 * given up. Answers each message when it is over, those that write one record in the order in which they came.
 */
export class WriteSettlement {
  private readonly order = new MessageOrder();
  /** Messages without an answer that were delivered before. */
  readonly repeated = new Set<WriteMessage>();

  constructor(
    private readonly org: Pick<OrgSession, 'availability' | 'organizationId'>,
    private readonly batcher: Batcher,
    private readonly dispatcher: Dispatcher<WriteMessage, Write, Call, RowResult[]>,
  ) {}

  /** The message has come, with these writes. */
  accepted(message: WriteMessage, writes: readonly Write[]): void {
    this.order.add(message, writes);
    if (message.request.repeated) this.repeated.add(message);
  }

  /** What is known of the records of the org; undefined before it is known which org it is. */
  get written(): WrittenRecords | undefined {
    const { organizationId } = this.org;
    return organizationId === undefined ? undefined : writtenRecords(organizationId);
  }

  /** The node is closed before the call has an answer. */
  cutOff(call: Call): void {
    const [repeatable, others] = byRepeatable(writesOf(call));
    this.giveUp(repeatable, closed());
    this.giveUpAmbiguous(others, say`the node was closed`);
  }

  /** The call has no answer (`answered`: none that can be read). */
  callFailed(writes: Write[], error: unknown, answered: boolean): void {
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

  /** What the org says of a collection. */
  settleCollection(collection: Collection, outcome: CollectionOutcome): void {
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

  /** What a job says of its rows. Those that it doesn't decide are written again, without a job. */
  settleJobRows(rows: readonly (readonly [Write, RowAnswer | undefined])[]): void {
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

  /** The writes may have been carried out or not, and can't be repeated. */
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

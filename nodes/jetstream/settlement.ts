import type { Command, DeliveryOwner, Failure } from '../shared/delivery';
import { formatDuration } from '../shared/duration';
import { FlowError, codeOf, isRetryable, messageOf } from '../shared/errors';
import type { Acks } from './acks';
import { deliveryInfo, type DeliveryInfo } from './message';
import { RecentMap } from '../shared/recent';
import type { Msg } from './nats';

/** What happens to a message that fails. Milliseconds; `maxDeliver` -1 is no limit. */
export interface SettlementSettings {
  ackWait: number;
  maxDeliver: number;
  backoff: number[];
  processingLimit: number;
}

export interface SettlementHost {
  acks: Pick<Acks, 'ack' | 'term' | 'nak' | 'progress' | 'forget'>;
  /**
   * Resolves when the message is safe in the dead letter, or was given up by configuration. Rejects when stopped: it
   * goes back to the server then.
   */
  deadLetter(held: Held, failure: Failure): Promise<void>;
  /** A message is settled: there is room for another. */
  released(): void;
  log(level: 'warn' | 'error', text: string): void;
}

/** How the flow is doing with a unit, as far as it can be told. */
export interface UnitProgress {
  processingTime(): number;
  unfinishedNodes(): string[];
  /** The unit is settled without the flow having finished: nothing that it still does counts. */
  abandon(): void;
}

/** A message between its arrival and its settlement. */
export interface Held {
  /** Of the consumer that delivered it, as it was then. */
  readonly memory: Memory;
  readonly msg: Msg;
  readonly info: DeliveryInfo;
  /** The latest ack subject: a message that is delivered again while it is held is the same message. */
  reply: string;
  deliveries: number;
  extendedAt: number;
  unit: Unit | undefined;
}

/** Messages that go through the flow, and are settled, together. */
export class Unit implements DeliveryOwner {
  settled = false;
  progress: UnitProgress | undefined;

  constructor(
    readonly messages: Held[],
    private readonly settlement: Settlement,
    private readonly onSettled: (unit: Unit) => void,
  ) {
    for (const held of messages) held.unit = this;
  }

  /** What the flow tracker calls when every path has ended. */
  finished(failure: Failure | undefined): void {
    if (failure) this.failed(failure);
    else this.succeeded();
  }

  succeeded(): void {
    if (this.settle()) for (const held of this.messages) this.settlement.ack(held);
  }

  failed(failure: Failure): void {
    if (this.settle()) for (const held of this.messages) this.settlement.fail(held, failure);
  }

  command({ action, delay }: Command): void {
    if (this.settled) return;
    if (action === 'progress') {
      for (const held of this.messages) this.settlement.extend(held);
      return;
    }
    this.progress?.abandon();
    if (action === 'ack') this.succeeded();
    else if (this.settle()) for (const held of this.messages) this.settlement.refuse(held, action, delay);
  }

  /** What the flow still does with it doesn't count any more. */
  withdraw(): void {
    if (this.settle()) this.progress?.abandon();
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.onSettled(this);
    return true;
  }
}

/** Errors that say nothing about the message, and after how many ms it comes back: such a delivery doesn't count. */
const INNOCENT: Record<string, number | undefined> = { NODE_CLOSED: 0, CLOSED: 0, NOT_WIRED: 5_000 };

/** How many settled messages are remembered, in case the server delivers them again. */
const REMEMBERED = 20_000;

class Memory {
  /** By stream sequence. */
  readonly settled = new RecentMap<number, 'ack' | 'term'>(REMEMBERED);
  /** Deliveries that were not the message's fault. */
  readonly excused = new RecentMap<number, number>(REMEMBERED);
}

/** By consumer and the time it was made, for the whole process: a redeploy must not forget them. */
const memories = new Map<string, Memory>();

function memoryOf(consumer: string): Memory {
  let memory = memories.get(consumer);
  if (!memory) memories.set(consumer, (memory = new Memory()));
  return memory;
}

/** Settles every message of one consumer exactly once, and keeps those that take long from being delivered again. */
export class Settlement {
  private readonly held = new Map<number, Held>();
  private memory = new Memory();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: SettlementSettings,
    private readonly host: SettlementHost,
  ) {}

  /** `consumer` names the durable and when it was made: one that was made anew delivers everything again on purpose. */
  start(consumer: string): void {
    const memory = memoryOf(consumer);
    if (memory !== this.memory) this.host.acks.forget();
    this.memory = memory;
    this.timer ??= setInterval(() => this.look(), Math.max(20, Math.min(1_000, this.settings.ackWait / 5)));
  }

  get size(): number {
    return this.held.size;
  }

  /** The message is new and to be worked on; undefined for one that is known, which needs nothing more. */
  arrived(msg: Msg): Held | undefined {
    const reply = msg.reply ?? '';
    const info = deliveryInfo(reply);
    const { sequence } = info;
    const known = this.held.get(sequence);
    if (known?.info.timestamp === info.timestamp && this.isCurrent(known)) {
      // The server has not heard of it for so long (an outage): no fault of the message.
      this.excuse(known, Math.max(0, info.deliveries - known.deliveries));
      known.reply = reply;
      known.deliveries = info.deliveries;
      known.extendedAt = Date.now();
      return undefined;
    }
    const settled = this.memory.settled.get(sequence);
    if (settled) {
      // Its acknowledgement was lost; its work was not.
      this.host.acks[settled](reply);
      return undefined;
    }
    const { deliveries } = info;
    const held: Held = {
      memory: this.memory,
      msg,
      info,
      reply,
      deliveries,
      extendedAt: Date.now(),
      unit: undefined,
    };
    this.held.set(sequence, held);
    return held;
  }

  /** Its last delivery ended without a word (a crash): the message may be what ends the process. */
  isExhausted(held: Held): boolean {
    return this.settings.maxDeliver > 0 && this.counted(held) > this.settings.maxDeliver;
  }

  ack(held: Held): void {
    held.memory.settled.set(held.info.sequence, 'ack');
    if (this.isCurrent(held)) this.host.acks.ack(held.reply);
    this.release(held);
  }

  extend(held: Held): void {
    held.extendedAt = Date.now();
    if (this.isCurrent(held)) this.host.acks.progress(held.reply);
  }

  fail(held: Held, failure: Failure): void {
    const innocent = INNOCENT[codeOf(failure.error)];
    if (innocent !== undefined) {
      this.giveBack(held, innocent);
    } else if (!isRetryable(failure.error) || this.isLastDelivery(held)) {
      this.giveUp(held, failure);
    } else {
      const delay = this.backoff(held);
      this.host.log(
        'warn',
        `${describe(held)} failed and comes again in ${formatDuration(delay)}: ${messageOf(failure.error)}`,
      );
      this.nak(held, delay);
    }
  }

  /** What a jetstream-ack node asked for. */
  refuse(held: Held, action: 'nak' | 'term', delay: number | undefined): void {
    const error = new FlowError('REFUSED', `The flow refused the message (${action})`);
    if (action === 'term' || this.isLastDelivery(held)) this.giveUp(held, { error });
    else this.nak(held, delay ?? this.backoff(held));
  }

  /** The message goes back as it came, and the delivery doesn't count. */
  giveBack(held: Held, delay = 0): void {
    this.excuse(held, 1);
    this.nak(held, delay);
  }

  /** Ends the work: what is still held goes back to the server. */
  stop(): void {
    clearInterval(this.timer);
    for (const held of [...this.held.values()]) {
      held.unit?.withdraw();
      this.giveBack(held);
    }
  }

  private excuse(held: Held, deliveries: number): void {
    const { excused } = held.memory;
    excused.set(held.info.sequence, (excused.get(held.info.sequence) ?? 0) + deliveries);
  }

  private giveUp(held: Held, failure: Failure): void {
    this.host.deadLetter(held, failure).then(
      () => {
        if (this.held.get(held.info.sequence) !== held) return;
        held.memory.settled.set(held.info.sequence, 'term');
        if (this.isCurrent(held)) this.host.acks.term(held.reply);
        this.release(held);
      },
      () => {
        if (this.held.get(held.info.sequence) === held) this.giveBack(held);
      },
    );
  }

  private nak(held: Held, delay: number): void {
    if (this.isCurrent(held)) this.host.acks.nak(held.reply, delay);
    this.release(held);
  }

  private release(held: Held): void {
    if (this.held.get(held.info.sequence) === held) this.held.delete(held.info.sequence);
    this.host.released();
  }

  /** Not so after the consumer was made anew: there the sequence means another message. */
  private isCurrent(held: Held): boolean {
    return held.memory === this.memory;
  }

  private counted(held: Held): number {
    return held.deliveries - (held.memory.excused.get(held.info.sequence) ?? 0);
  }

  private isLastDelivery(held: Held): boolean {
    return this.settings.maxDeliver > 0 && this.counted(held) >= this.settings.maxDeliver;
  }

  private backoff(held: Held): number {
    const { backoff, ackWait } = this.settings;
    return backoff[Math.min(this.counted(held), backoff.length) - 1] ?? ackWait;
  }

  private look(): void {
    const now = Date.now();
    for (const held of [...this.held.values()]) {
      const { unit } = held;
      if (unit && !unit.settled && (unit.progress?.processingTime() ?? 0) > this.settings.processingLimit)
        this.outOfTime(unit);
      else if (now - held.extendedAt > this.settings.ackWait / 3) this.extend(held);
    }
  }

  private outOfTime(unit: Unit): void {
    const nodes = unit.progress?.unfinishedNodes() ?? [];
    const where = nodes.length > 0 ? `; not finished: ${nodes.join(', ')}` : '';
    unit.progress?.abandon();
    unit.failed({
      error: new FlowError(
        'PROCESSING_LIMIT',
        `The flow did not finish the message within ${formatDuration(this.settings.processingLimit)}${where}`,
      ),
    });
  }
}

export function describe(held: Held): string {
  return `Message ${held.info.sequence} of the stream "${held.info.stream}" (${held.msg.subject}, delivery ${held.deliveries})`;
}

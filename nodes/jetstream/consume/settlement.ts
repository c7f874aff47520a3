import { PassingMap } from '../../shared/async/passing-map';
import type { Failure, Hold } from '../../shared/flow/delivery';
import {
  settleFailed,
  watch,
  type Attempt,
  type RetryPolicy,
  type Settler,
  type Tries,
  type Watched,
} from '../../shared/flow/settlement';
import type { Msg } from '../server/nats';
import type { Acks } from './acks';
import { memoryOf, successorOf, type Memory } from './memory';
import { deliveryInfo, type DeliveryInfo, type Received } from './message';
import { SentBack } from './sent-back';
import { Tenure } from './tenure';
import type { Level } from '../../shared/log';
import { say } from '../../shared/say';

/** What happens to a message that fails. Milliseconds; `maxDeliver` -1 is no limit. */
export interface SettlementSettings {
  ackWait: number;
  maxDeliver: number;
  backoff: number[];
  processingLimit: number;
  /** Of a partition: what its messages are of, and under which subject they are there behind its number. */
  origin?: { stream: string; consumer: string };
}

/** What the next one to get a message has to know of its tries is kept there. (Ledger) */
export interface SharedTries {
  /** What others know is known here, and the other way round. */
  readonly shared: boolean;
  /** Resolves when what is known now is stored, or can't be for the moment. */
  save(): Promise<void>;
}

export interface SettlementHandler {
  acks: Pick<Acks, 'ack' | 'term' | 'nak' | 'progress' | 'forget'>;
  /**
   * Resolves when the message is safe in the dead letter, or was given up by configuration. Rejects when stopped: it
   * goes back to the server then.
   */
  deadLetter(message: InFlightMessage, failure: Failure): Promise<void>;
  /** Without it tries are known to this process only. */
  tries?: SharedTries;
  /** Whether nobody else can be at work just now, by the clock. Undefined: others always may be. */
  mayWork?: (() => boolean) | undefined;
  /** A message is settled: there is room for another. */
  released(message: InFlightMessage): void;
  log(level: Level, text: string): void;
}

/** A message between its arrival and its settlement. */
export interface InFlightMessage extends Watched<InFlightMessage> {
  /** Of the consumer that delivered it, as it was then. */
  readonly memory: Memory;
  /** As the stream has it; not more than that since it went into the flow. */
  msg: Received;
  readonly info: DeliveryInfo;
  /** The latest ack subject: a message that is delivered again while it is in flight is the same message. */
  reply: string;
  deliveries: number;
  /** It was delivered here before the durable began anew, which counts from 1 again. */
  again: boolean;
  /** Of `memory` when it was delivered last: before the durable began anew the ack subject means nothing. */
  epoch: number;
  /** It went into the flow alone, and the next one has to know that it did not end the process. */
  alone: boolean;
  /** It goes back as soon as its tries are stored. */
  leaving: boolean;
}

/** Messages that go through the flow, and are settled, together. */
export type MessageBatch = Attempt<InFlightMessage>;

/** Settles every message of one consumer exactly once, and keeps those that take long from being delivered again. */
export class Settlement implements Settler<InFlightMessage> {
  get noun(): string {
    return say`message`;
  }
  private readonly inFlight = new PassingMap<number, InFlightMessage>();
  private readonly sent = new SentBack();
  private readonly tenure: Tenure;
  private readonly retries: RetryPolicy;
  private memory: Memory | undefined;
  private unwatch: (() => void) | undefined;
  /** Messages that the flow has finished. */
  acknowledged = 0;

  constructor(
    private readonly settings: SettlementSettings,
    private readonly handler: SettlementHandler,
  ) {
    const { maxDeliver, backoff, ackWait } = settings;
    this.retries = { maxDeliver, backoff, pause: ackWait };
    this.tenure = new Tenure(handler);
  }

  /**
   * `created`: when the durable was made, ISO 8601. One that was made anew delivers everything again on purpose.
   * `followed`: others have worked on its messages since, and what is in flight here is theirs now.
   */
  start(consumer: string, created: string, followed = false): Memory {
    const memory = (followed ? successorOf : memoryOf)(consumer, created);
    if (memory !== this.memory) this.handler.acks.forget();
    this.memory = memory;
    this.tenure.begin(memory);
    memory.resumed();
    const { ackWait, processingLimit } = this.settings;
    this.unwatch ??= watch(this, () => this.inFlight.values(), {
      processingLimit,
      extendAfter: ackWait / 3,
      shortest: ackWait,
    });
    return memory;
  }

  /** The connection is lost: the server may have forgotten the latest acknowledgements. */
  interrupted(): void {
    this.memory?.interrupted();
  }

  /** Others may be at work from now on: until the next start what is settled here is not told. */
  suspend(): void {
    this.tenure.suspend();
  }

  /** It was not in the flow, and comes again by itself. */
  drop(message: InFlightMessage): void {
    this.release(message);
  }

  holdOf({ memory }: InFlightMessage): Hold | undefined {
    return this.tenure.holdOf(memory);
  }

  /** A process that died had the messages up to this sequence. */
  inherit(upTo: number): void {
    this.tenure.inherit(upTo);
  }

  inheritedUntil({ info }: InFlightMessage): number | undefined {
    return this.tenure.inheritedUntil(info.sequence);
  }

  get size(): number {
    return this.inFlight.size;
  }

  /** Messages that were sent back and have not come again, about. */
  get away(): number {
    return this.sent.count;
  }

  /** Messages that were sent back and aren't due yet, and when the first one is, ms epoch. */
  sentBack(): { count: number; first: number } {
    return this.sent.waiting();
  }

  /** The message is new and to be worked on; undefined for one that is known, which needs nothing more. */
  arrived(msg: Msg): InFlightMessage | undefined {
    const { memory } = this;
    if (!memory) return undefined;
    const reply = msg.reply ?? '';
    const { origin } = this.settings;
    const info = origin ? { ...deliveryInfo(reply), ...origin } : deliveryInfo(reply);
    const { sequence, deliveries } = info;
    const known = this.inFlight.get(sequence);
    if (known?.info.timestamp === info.timestamp && known.memory === memory) {
      // The server has not heard of it for so long (an outage): no fault of the message.
      const more = Math.max(0, deliveries - known.deliveries);
      known.reply = reply;
      known.deliveries = deliveries;
      known.epoch = memory.epoch;
      known.extendedAt = performance.now();
      memory.note(known, deliveries - 1, (tried) => void (tried.excused += more));
      return undefined;
    }
    const settled = memory.settledAs(info);
    const message: InFlightMessage = {
      memory,
      msg: origin ? withoutPartition(msg) : msg,
      info,
      reply,
      deliveries,
      again: memory.wasHere(info),
      epoch: memory.epoch,
      extendedAt: performance.now(),
      attempt: undefined,
      alone: false,
      leaving: false,
    };
    if (settled === 'anew') {
      // A durable that was reset, a stream that was restored: what is known is of the time before.
      memory.forget();
      this.handler.acks.forget();
    } else if (settled) {
      // Its acknowledgement was lost; its work was not.
      memory.settle(settled, message);
      this.handler.acks[settled](reply);
      return undefined;
    }
    memory.arrived(info);
    this.inFlight.set(sequence, message);
    this.sent.arrived(sequence);
    return message;
  }

  /** How its last delivery ended is known, or this is the first. */
  isExplained(message: InFlightMessage): boolean {
    return this.unexplained(message) === 0;
  }

  /**
   * It may be what ended a process: it has to go into the flow alone. Where few were in the flow, each of them; else those
   * that were there twice in a row, because most processes are ended from outside, and alone is slow.
   */
  isSuspect(message: InFlightMessage): boolean {
    if (this.crashes(message) > 0) return true;
    const { info, memory } = message;
    const enough = info.sequence <= memory.fewUntil ? 1 : 2;
    const { delivery = 0 } = memory.triedOf(message) ?? {};
    const before = memory.anew && delivery === 0 ? 1 : 0;
    return info.sequence <= memory.crashedUntil && before + this.unexplained(message) >= enough;
  }

  /** Its latest deliveries in a row of which nobody knows how they ended. */
  private unexplained({ deliveries, memory, info }: InFlightMessage): number {
    return deliveries - 1 - (memory.triedOf({ deliveries, info })?.delivery ?? 0);
  }

  /** How often in a row the process ended while it was alone in the flow. */
  crashes(message: InFlightMessage): number {
    return message.memory.triedOf(message)?.crashes ?? 0;
  }

  /**
   * Its deliveries have ended without a word too often, and why is not known: the message may be what ends the process.
   * Where tries are shared that is known better.
   */
  isExhausted(message: InFlightMessage): boolean {
    const { maxDeliver } = this.settings;
    return maxDeliver > 0 && !this.shared && this.tries(message).failures > maxDeliver;
  }

  /** It is about to go into the flow alone. Resolves when that is stored: nobody can tell later. */
  async goesAlone(message: InFlightMessage): Promise<void> {
    message.alone = true;
    message.memory.note(message, message.deliveries - 1, (tried) => void tried.crashes++);
    await this.handler.tries?.save();
  }

  /** It was in the flow alone and did not end the process. */
  survived(message: InFlightMessage): void {
    message.memory.note(message, message.deliveries - 1, (tried) => void (tried.crashes = 0));
  }

  /** It failed before it was in the flow. */
  fail(message: InFlightMessage, failure: Failure): void {
    settleFailed(this, message, failure);
  }

  describe(message: InFlightMessage): string {
    return describe(message);
  }

  log(level: Level, text: string): void {
    this.handler.log(level, text);
  }

  policy(): RetryPolicy {
    return this.retries;
  }

  tries(message: InFlightMessage): Tries {
    const { failures = 0, excused = 0, inARow = 0 } = message.memory.triedOf(message) ?? {};
    return { failures: this.shared ? failures + 1 : message.deliveries - excused, innocent: inARow };
  }

  ack(message: InFlightMessage): void {
    this.acknowledged++;
    message.memory.settle('ack', message);
    if (this.isCurrent(message)) this.handler.acks.ack(message.reply);
    this.release(message);
  }

  extend(message: InFlightMessage): void {
    message.extendedAt = performance.now();
    if (this.isCurrent(message)) this.handler.acks.progress(message.reply);
  }

  /** The message goes back as it came, and the delivery doesn't count. */
  giveBack(message: InFlightMessage, delay = 0): void {
    message.memory.note(message, message.deliveries, (tried) => {
      tried.excused++;
      tried.inARow++;
      tried.crashes = 0;
    });
    this.leave(message, delay, message.alone);
  }

  retry(message: InFlightMessage, delay: number): void {
    message.memory.note(message, message.deliveries, (tried) => {
      tried.failures++;
      tried.inARow = 0;
      tried.crashes = 0;
    });
    this.leave(message, delay, true);
  }

  giveUp(message: InFlightMessage, failure: Failure): void {
    this.handler.deadLetter(message, failure).then(
      () => {
        if (this.inFlight.get(message.info.sequence) !== message) return;
        message.memory.settle('term', message);
        if (this.isCurrent(message)) this.handler.acks.term(message.reply);
        this.release(message);
      },
      () => {
        if (this.inFlight.get(message.info.sequence) === message) this.giveBack(message);
      },
    );
  }

  /** Ends the work: what is still in flight goes back to the server. */
  stop(): void {
    this.unwatch?.();
    for (const message of [...this.inFlight.values()]) {
      if (message.leaving) continue;
      message.attempt?.withdraw();
      this.giveBack(message);
    }
  }

  private get shared(): boolean {
    return this.handler.tries?.shared === true;
  }

  /** `counts`: whoever gets it next has to know of this delivery. */
  private leave(message: InFlightMessage, delay: number, counts: boolean): void {
    const { tries } = this.handler;
    if (!counts || !tries?.shared) return this.nak(message, delay);
    message.leaving = true;
    void tries.save().then(() => this.nak(message, delay));
  }

  private nak(message: InFlightMessage, delay: number): void {
    if (this.isCurrent(message)) this.handler.acks.nak(message.reply, delay);
    this.sent.add(message.info.sequence, delay);
    this.release(message);
  }

  private release(message: InFlightMessage): void {
    const { sequence } = message.info;
    if (this.inFlight.get(sequence) === message) this.inFlight.delete(sequence);
    this.handler.released(message);
  }

  /** The server knows this delivery, and it is this consumer's. Where not, it comes again if need be. */
  private isCurrent(message: InFlightMessage): boolean {
    const { memory, epoch } = message;
    return epoch === memory.epoch && this.tenure.isOurs(memory);
  }
}

function withoutPartition(msg: Msg): Msg {
  const subject = msg.subject.slice(msg.subject.indexOf('.') + 1);
  return Object.create(msg, { subject: { value: subject } }) as Msg;
}

export function describe({ info, msg, deliveries }: InFlightMessage): string {
  return say`Message ${info.sequence} of the stream "${info.stream}" (${msg.subject}, delivery ${deliveries})`;
}

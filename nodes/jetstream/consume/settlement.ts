import type { Failure } from '../../shared/flow/delivery';
import {
  settleFailed,
  watch,
  type Attempt,
  type RetryPolicy,
  type Settler,
  type Tries,
  type Watched,
} from '../../shared/flow/settlement';
import { RecentMap } from '../../shared/recent-map';
import type { Msg } from '../server/nats';
import type { Acks } from './acks';
import { deliveryInfo, type DeliveryInfo } from './message';
import type { Level } from '../../shared/log';

/** What happens to a message that fails. Milliseconds; `maxDeliver` -1 is no limit. */
export interface SettlementSettings {
  ackWait: number;
  maxDeliver: number;
  backoff: number[];
  processingLimit: number;
}

export interface SettlementHandler {
  acks: Pick<Acks, 'ack' | 'term' | 'nak' | 'progress' | 'forget'>;
  /**
   * Resolves when the message is safe in the dead letter, or was given up by configuration. Rejects when stopped: it
   * goes back to the server then.
   */
  deadLetter(message: InFlightMessage, failure: Failure): Promise<void>;
  /** A message is settled: there is room for another. */
  released(): void;
  log(level: Level, text: string): void;
}

/** A message between its arrival and its settlement. */
export interface InFlightMessage extends Watched<InFlightMessage> {
  /** Of the consumer that delivered it, as it was then. */
  readonly memory: Memory;
  readonly msg: Msg;
  readonly info: DeliveryInfo;
  /** The latest ack subject: a message that is delivered again while it is in flight is the same message. */
  reply: string;
  deliveries: number;
}

/** Messages that go through the flow, and are settled, together. */
export type MessageBatch = Attempt<InFlightMessage>;

/** How many settled messages are remembered, in case the server delivers them again. */
const REMEMBERED = 20_000;

/** Deliveries that were not the message's fault, and how many of them are the latest in a row. */
interface Excused {
  deliveries: number;
  inARow: number;
}

class Memory {
  /** By stream sequence. */
  readonly settled = new RecentMap<number, 'ack' | 'term'>(REMEMBERED);
  readonly excused = new RecentMap<number, Excused>(REMEMBERED);
}

/**
 * A durable is the same as long as the times at which it was made are no further apart: nats-server 2.10 keeps a time
 * in its file that is a little later than the one it tells until its next start.
 */
const SAME_MS = 5;

/** By consumer, the one made last in front, for the whole process: a redeploy must not forget them. */
const memories = new Map<string, { made: number; memory: Memory }[]>();

function memoryOf(consumer: string, created: string): Memory {
  const made = Date.parse(created);
  const known = memories.get(consumer) ?? [];
  const same = known.find((one) => Math.abs(one.made - made) <= SAME_MS);
  if (same) return same.memory;
  const memory = new Memory();
  memories.set(consumer, [{ made, memory }, ...known].slice(0, 2));
  return memory;
}

/** Settles every message of one consumer exactly once, and keeps those that take long from being delivered again. */
export class Settlement implements Settler<InFlightMessage> {
  readonly noun = 'message';
  private readonly inFlight = new Map<number, InFlightMessage>();
  private readonly retries: RetryPolicy;
  private memory = new Memory();
  private unwatch: (() => void) | undefined;

  constructor(
    private readonly settings: SettlementSettings,
    private readonly handler: SettlementHandler,
  ) {
    const { maxDeliver, backoff, ackWait } = settings;
    this.retries = { maxDeliver, backoff, pause: ackWait };
  }

  /** `created`: when the durable was made, ISO 8601. One that was made anew delivers everything again on purpose. */
  start(consumer: string, created: string): void {
    const memory = memoryOf(consumer, created);
    if (memory !== this.memory) this.handler.acks.forget();
    this.memory = memory;
    const { ackWait, processingLimit } = this.settings;
    this.unwatch ??= watch(this, () => this.inFlight.values(), {
      processingLimit,
      extendAfter: ackWait / 3,
      shortest: ackWait,
    });
  }

  get size(): number {
    return this.inFlight.size;
  }

  /** The message is new and to be worked on; undefined for one that is known, which needs nothing more. */
  arrived(msg: Msg): InFlightMessage | undefined {
    const reply = msg.reply ?? '';
    const info = deliveryInfo(reply);
    const { sequence, deliveries } = info;
    const known = this.inFlight.get(sequence);
    if (known?.info.timestamp === info.timestamp && this.isCurrent(known)) {
      // The server has not heard of it for so long (an outage): no fault of the message.
      this.excuse(known, Math.max(0, deliveries - known.deliveries));
      known.reply = reply;
      known.deliveries = deliveries;
      known.extendedAt = performance.now();
      return undefined;
    }
    const settled = this.memory.settled.get(sequence);
    if (settled) {
      // Its acknowledgement was lost; its work was not.
      this.handler.acks[settled](reply);
      return undefined;
    }
    const message: InFlightMessage = {
      memory: this.memory,
      msg,
      info,
      reply,
      deliveries,
      extendedAt: performance.now(),
      attempt: undefined,
    };
    this.inFlight.set(sequence, message);
    return message;
  }

  /** Its last delivery ended without a word (a crash): the message may be what ends the process. */
  isExhausted(message: InFlightMessage): boolean {
    return this.settings.maxDeliver > 0 && this.tries(message).failures > this.settings.maxDeliver;
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

  tries({ memory, info, deliveries }: InFlightMessage): Tries {
    const excused = memory.excused.get(info.sequence);
    return { failures: deliveries - (excused?.deliveries ?? 0), innocent: excused?.inARow ?? 0 };
  }

  ack(message: InFlightMessage): void {
    message.memory.settled.set(message.info.sequence, 'ack');
    if (this.isCurrent(message)) this.handler.acks.ack(message.reply);
    this.release(message);
  }

  extend(message: InFlightMessage): void {
    message.extendedAt = performance.now();
    if (this.isCurrent(message)) this.handler.acks.progress(message.reply);
  }

  /** The message goes back as it came, and the delivery doesn't count. */
  giveBack(message: InFlightMessage, delay = 0): void {
    this.excuse(message, 1).inARow++;
    this.nak(message, delay);
  }

  retry(message: InFlightMessage, delay: number): void {
    const excused = message.memory.excused.get(message.info.sequence);
    if (excused) excused.inARow = 0;
    this.nak(message, delay);
  }

  giveUp(message: InFlightMessage, failure: Failure): void {
    this.handler.deadLetter(message, failure).then(
      () => {
        if (this.inFlight.get(message.info.sequence) !== message) return;
        message.memory.settled.set(message.info.sequence, 'term');
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
      message.attempt?.withdraw();
      this.giveBack(message);
    }
  }

  private excuse({ memory, info }: InFlightMessage, deliveries: number): Excused {
    const { inARow = 0, deliveries: before = 0 } = memory.excused.get(info.sequence) ?? {};
    const excused = { deliveries: before + deliveries, inARow };
    memory.excused.set(info.sequence, excused);
    return excused;
  }

  private nak(message: InFlightMessage, delay: number): void {
    if (this.isCurrent(message)) this.handler.acks.nak(message.reply, delay);
    this.release(message);
  }

  private release(message: InFlightMessage): void {
    const { sequence } = message.info;
    if (this.inFlight.get(sequence) === message) this.inFlight.delete(sequence);
    this.handler.released();
  }

  /** Not so after the consumer was made anew: there the sequence means another message. */
  private isCurrent(message: InFlightMessage): boolean {
    return message.memory === this.memory;
  }
}

export function describe({ info, msg, deliveries }: InFlightMessage): string {
  return `Message ${info.sequence} of the stream "${info.stream}" (${msg.subject}, delivery ${deliveries})`;
}

import { RecentMap } from '../../shared/recent-map';
import type { DeliveryInfo } from './message';
import { SettledMessages, type Settled } from './settled';

/** How many messages are remembered, in case the server delivers them again. */
const REMEMBERED = 20_000;
/** And of how many that come again it is known how they were tried: as many may wait for a retry. (AckRoom) */
const TRIED = 100_000;
/** How many of those that were tried in vain are told to other processes: some 40 bytes each in a record. */
const TOLD = 10_000;
/** What the server was told so short a while before the connection was lost, it may have forgotten. Milliseconds. */
const FORGETFUL = 15_000;

/** How a message was tried, up to the end of its delivery number `delivery`. */
export interface Tried {
  timestamp: string;
  delivery: number;
  /** Failures of its own. */
  failures: number;
  /** How often in a row it went into the flow alone without an end that is known: the process ended with it. */
  crashes: number;
  /** Deliveries that were not its fault, as far as this process knows, and how many of them are the latest in a row. */
  excused: number;
  inARow: number;
}

/** The latest delivery of a message, as the server tells of it. */
interface Delivered {
  info: DeliveryInfo;
  deliveries: number;
  /** In which of the durable's countings; default 0. */
  epoch?: number;
}

/** What a process knows of the messages of one durable, by stream sequence. */
export class Memory {
  private readonly settled = new SettledMessages(REMEMBERED);
  private readonly tried = new RecentMap<number, Tried>(TRIED);
  /** Those of `tried` that count for whoever gets the message next, the latest last. */
  readonly counted = new Map<number, Tried>();
  /** What was delivered up to this sequence may have been in the flow of a process that crashed. */
  crashedUntil = 0;
  /** The same, where that were so few messages that it costs nothing to be careful with each at once. */
  fewUntil = 0;
  /** The durable counts deliveries anew since its messages were in the flow of others. */
  anew = false;
  /** How often it began to do so while this process had them. */
  epoch = 0;
  /** The latest that was delivered here, and the latest of those that were before the durable began anew. */
  private latest = 0;
  private before = 0;
  private lostAt = Infinity;
  private backAt = Infinity;

  constructor(
    /** When the durable was made, ms epoch. */
    readonly made: number,
  ) {}

  /** The connection is lost. */
  interrupted(): void {
    this.lostAt = performance.now();
    this.backAt = Infinity;
  }

  resumed(): void {
    this.backAt = performance.now();
  }

  /**
   * The durable begins again at its acknowledgement floor and counts deliveries from 1: what is known of the messages stays
   * true of them.
   */
  renumber(): void {
    this.anew = true;
    this.before = this.latest;
    this.epoch++;
    this.tried.clear();
    for (const [sequence, tried] of [...this.counted]) this.keep(sequence, { ...tried, delivery: 0 });
  }

  arrived({ sequence }: Pick<DeliveryInfo, 'sequence'>): void {
    this.latest = Math.max(this.latest, sequence);
  }

  /** It was here before the durable began anew, which doesn't count that. */
  wasHere({ sequence }: Pick<DeliveryInfo, 'sequence'>): boolean {
    return sequence <= this.before;
  }

  /** Others have worked on the messages meanwhile: how they were settled here says nothing, how they failed does. */
  successor(): Memory {
    const next = new Memory(this.made);
    for (const [sequence, tried] of this.counted) next.keep(sequence, tried);
    next.crashedUntil = this.crashedUntil;
    next.fewUntil = this.fewUntil;
    return next;
  }

  settle(how: Settled['how'], { info, deliveries, epoch = 0 }: Delivered): void {
    const { consumerSequence, timestamp } = info;
    this.settled.set(info.sequence, {
      how,
      deliveries,
      epoch,
      consumerSequence,
      timestamp: Number(timestamp),
      at: performance.now(),
    });
    this.tried.delete(info.sequence);
    this.counted.delete(info.sequence);
  }

  /**
   * How the message was settled, if the server delivers it once more because it missed that. A stream that was restored,
   * and a consumer that was reset, deliver anew: there the numbers don't go on.
   */
  settledAs(info: DeliveryInfo): 'ack' | 'term' | 'anew' | undefined {
    const { sequence, timestamp, deliveries, consumerSequence } = info;
    const settled = this.settled.get(sequence);
    if (!settled) return undefined;
    if (settled.timestamp !== Number(timestamp)) return 'anew';
    const goesOn = deliveries > settled.deliveries && consumerSequence > settled.consumerSequence;
    const forgotten = settled.at >= this.lostAt - FORGETFUL && settled.at <= this.backAt;
    return goesOn || forgotten || settled.epoch < this.epoch ? settled.how : 'anew';
  }

  /** The consumer begins anew. */
  forget(): void {
    this.settled.clear();
    this.tried.clear();
    this.counted.clear();
    this.crashedUntil = this.fewUntil = this.latest = this.before = 0;
  }

  triedOf({ info, deliveries }: Delivered): Tried | undefined {
    const tried = this.tried.get(info.sequence);
    return tried?.timestamp === info.timestamp && tried.delivery < deliveries ? tried : undefined;
  }

  /** Notes how the delivery went; `delivery` is the latest one that has an end. */
  note(message: Delivered, delivery: number, change: (tried: Tried) => void): Tried {
    const { sequence, timestamp } = message.info;
    const before = this.triedOf(message) ?? { failures: 0, crashes: 0, excused: 0, inARow: 0 };
    const tried = { ...before, timestamp, delivery };
    change(tried);
    this.keep(sequence, tried);
    return tried;
  }

  /** What another process has noted; what it knows of a later delivery stands. */
  learn(sequence: number, other: Tried): void {
    const own = this.tried.get(sequence);
    const newer = own?.timestamp === other.timestamp ? other.delivery - own.delivery : 1;
    if (newer > 0 || (newer === 0 && other.crashes > (own?.crashes ?? 0))) this.keep(sequence, other);
  }

  /** Everything up to this stream sequence is settled. */
  passed(floor: number): void {
    for (const sequence of this.counted.keys()) if (sequence <= floor) this.counted.delete(sequence);
    if (this.crashedUntil <= floor) this.crashedUntil = 0;
    if (this.fewUntil <= floor) this.fewUntil = 0;
  }

  private keep(sequence: number, tried: Tried): void {
    this.tried.set(sequence, tried);
    this.counted.delete(sequence);
    if (tried.failures === 0 && tried.crashes === 0) return;
    this.counted.set(sequence, tried);
    if (this.counted.size <= TOLD) return;
    for (const oldest of this.counted.keys()) {
      this.counted.delete(oldest);
      return;
    }
  }
}

/**
 * A durable is the same as long as the times at which it was made are no further apart: nats-server 2.10 keeps a time
 * in its file that is a little later than the one it tells until its next start.
 */
const SAME_MS = 5;

export function isSameDurable(made: number, other: number): boolean {
  return Math.abs(made - other) <= SAME_MS;
}

/** By consumer, the one made last in front, for the whole process: a redeploy must not forget them. */
const memories = new Map<string, Memory[]>();

/** `created`: when the durable was made, ISO 8601. One that was made anew delivers everything again on purpose. */
export function memoryOf(consumer: string, created: string): Memory {
  const made = Date.parse(created);
  const known = memories.get(consumer) ?? [];
  const same = known.find((one) => isSameDurable(one.made, made));
  if (same) return same;
  const memory = new Memory(made);
  memories.set(consumer, [memory, ...known].slice(0, 2));
  return memory;
}

/** The memory of one whom another has followed, and who follows that one now. */
export function successorOf(consumer: string, created: string): Memory {
  const before = memoryOf(consumer, created);
  const successor = before.successor();
  const known = memories.get(consumer) ?? [];
  memories.set(
    consumer,
    known.map((one) => (one === before ? successor : one)),
  );
  return successor;
}

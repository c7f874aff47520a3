import { withTimeout } from '../../shared/async/timeout';
import type { Connection } from '../server/connection';
import type { Msg } from '../server/nats';
import { AckRoom } from './ack-room';
import { Acks } from './acks';
import type { ConsumerSettings } from './consumer-settings';
import { DeadLetterWriter } from './dead-letter-writer';
import type { ConsumerInfo } from './durable';
import { Gate } from './gate';
import { Ledger } from './ledger';
import type { Memory } from './memory';
import type { ConsumerHandler } from './reader';
import { Settlement } from './settlement';

/** Node-RED waits 15 s for a node to close; so long may the work of a stopped flow go on. */
const LINGER = 15_000;
/** What is known of tries is not of one making of an exclusive durable: that may be made anew at each turn. */
const ALWAYS = new Date(0).toISOString();

export interface MessagesHandler extends Pick<ConsumerHandler, 'deliver' | 'gaveUp' | 'log'> {
  /** Whether one at a time reads the durable, and if so, whether that is this one, by the clock. */
  turn: { held: boolean; mayWork(): boolean } | undefined;
  /** What there is to say of it may be another. Called for every message too. */
  changed(): void;
  /** There is room for more. */
  moreRoom(): void;
  /** The server takes acknowledgements again, after it had refused them. */
  acksGranted(): void;
}

/**
 * The messages of one consumer, from their arrival to their settlement. A message goes through the Settlement, which knows
 * those that are here or were, and the Gate into the flow. What becomes of it there the Settlement tells the server (Acks) or
 * the dead letter (DeadLetterWriter), and the Ledger whoever gets it next.
 */
export class Messages {
  readonly settlement: Settlement;
  readonly gate: Gate;
  readonly letters: DeadLetterWriter;
  private readonly acks: Acks;
  private readonly ledger: Ledger;
  private readonly ackRoom: AckRoom;
  private stopping = false;
  private idle: (() => void) | undefined;

  constructor(
    private readonly connection: Connection,
    settings: ConsumerSettings,
    private readonly handler: MessagesHandler,
  ) {
    const { log, turn } = handler;
    const warn = (text: string): void => log('warn', text);
    this.acks = new Acks(
      () => connection.open,
      () => handler.acksGranted(),
    );
    this.ledger = new Ledger(connection, settings, warn);
    this.letters = new DeadLetterWriter(connection, settings, {
      gaveUp: () => handler.gaveUp?.(),
      parked: (message) => {
        this.gate.bytes.parked(message);
        this.released();
      },
      changed: () => handler.changed(),
      log,
    });
    this.settlement = new Settlement(settings, {
      acks: this.acks,
      tries: this.ledger,
      deadLetter: (message, failure) => this.letters.write(message, failure),
      released: (message) => {
        this.gate.bytes.released(message);
        this.released();
      },
      ...(turn && { mayWork: () => turn.mayWork() }),
      log,
    });
    this.gate = new Gate(settings, this.settlement, this.ledger, {
      deliver: (batch, payloads) => handler.deliver(batch, payloads),
      mayWork: () => this.mayWork(),
      moreRoom: () => this.moreRoom(),
    });
    const { settlement, gate } = this;
    const beside = (): number => (turn?.held === false ? 0 : settlement.away + gate.inFlow.gathered);
    this.ackRoom = new AckRoom(connection, settings, beside, warn);
  }

  /** Those that count against `prefetch`. */
  get working(): number {
    return Math.max(0, this.settlement.size - this.letters.parked - this.gate.inFlow.gathered);
  }

  arrived(msg: Msg): void {
    const message = this.settlement.arrived(msg);
    if (!message) return;
    if (this.stopping) return this.settlement.giveBack(message);
    // It comes again, to whose turn it is then.
    if (!this.mayWork()) return this.settlement.drop(message);
    this.gate.arrived(message);
  }

  /**
   * Before the first is asked for, and after each interruption: what is known of them, here and elsewhere. `followed`: others
   * have worked on them since.
   */
  async begin(info: ConsumerInfo, followed: boolean): Promise<Memory> {
    const { ledger, settlement } = this;
    const alone = this.handler.turn !== undefined;
    const name = `${this.connection.settings.servers} ${info.stream_name} ${info.name}`;
    const memory = settlement.start(name, alone ? ALWAYS : info.created, followed);
    this.ackRoom.begin(info);
    await ledger.begin(memory, info, alone);
    // Whoever follows one that ended in order finds nothing of it at work.
    if (followed && !this.stopping)
      settlement.inherit(ledger.shared ? memory.crashedUntil : info.delivered.stream_seq);
    return memory;
  }

  /** The durable begins anew at its acknowledgement floor: what is not in the flow comes again. */
  renumber(memory: Memory): void {
    this.dropUnseen();
    memory.renumber();
    this.acks.forget();
  }

  /** The connection is lost: what was said lately may not have been heard. */
  interrupted(): void {
    this.acks.interrupt();
    this.settlement.interrupted();
  }

  /** The server refused an acknowledgement. */
  ackRefused(reply: string): void {
    this.acks.refused(reply);
  }

  /** It is back, and what was not heard is said again. */
  resume(): void {
    this.acks.repeat();
  }

  /** From now on they may be another's, until they begin here again. */
  suspend(): void {
    this.settlement.suspend();
    this.dropUnseen();
    this.ledger.rest();
  }

  /** What the flow has not seen goes back. Resolves when what is known is stored. */
  stop(): Promise<void> {
    this.stopping = true;
    this.ackRoom.stop();
    this.letters.stop();
    const closed = this.ledger.close();
    for (const message of this.gate.withdraw()) this.settlement.giveBack(message);
    return closed;
  }

  /** Resolves when the flow has ended what it has, or after 15 s: then that goes back. */
  async finish(): Promise<void> {
    if (this.settlement.size > 0)
      await withTimeout(LINGER, new Promise<void>((resolve) => (this.idle = resolve)));
    this.settlement.stop();
    await withTimeout(500, this.acks.settle());
  }

  private mayWork(): boolean {
    return this.handler.turn?.mayWork() ?? true;
  }

  private dropUnseen(): void {
    for (const message of this.gate.withdraw()) this.settlement.drop(message);
  }

  private released(): void {
    if (this.settlement.size === 0) this.idle?.();
    this.moreRoom();
    this.handler.changed();
  }

  private moreRoom(): void {
    this.gate.look();
    this.ackRoom.look();
    this.handler.moreRoom();
  }
}

import { Fifo } from '../../shared/async/fifo';
import { FlowError } from '../../shared/errors';
import { Attempt } from '../../shared/flow/settlement';
import type { BigNumbers } from '../../shared/json';
import { say } from '../../shared/say';
import { BytesInFlight } from './bytes-in-flight';
import { InFlow, type InFlowSettings } from './in-flow';
import type { Ledger } from './ledger';
import { decodePayload, kept, type PayloadFormat } from './message';
import type { InFlightMessage, MessageBatch, Settlement } from './settlement';
import { Suspects } from './suspects';

export interface GateSettings extends InFlowSettings {
  maxDeliver: number;
  /** Bytes in memory; -1 or undefined: no limit. */
  maxBytesInFlight?: number | undefined;
  /** How many consumers of this process share `prefetch` and `maxBytesInFlight`. Default: it has them alone. */
  sharers?: () => number;
  format: PayloadFormat;
  bigNumbers?: BigNumbers | undefined;
  batchSize: number;
  batchWait: number;
}

export interface GateHandler {
  /** Puts the batch into the flow; `payloads` in the order of its messages. */
  deliver(batch: MessageBatch, payloads: unknown[]): void;
  /** By the clock: false where others may be at work, whatever was known a moment ago. */
  mayWork(): boolean;
  /** There is room for more. */
  moreRoom(): void;
}

/**
 * So often in a row a message has to be alone in the flow when the process ends before it is taken for the reason: by
 * chance, killed from outside, that happens to one and the same message once or twice.
 */
const CRASHES = 5;

/**
 * So many go into the flow in one turn of the event loop. What a socket brings in one turn may be all that was asked for: in
 * the flow and settled together, it would leave the server without a request while this works, and this without a message
 * while the server does.
 */
const PER_TURN = 128;

/**
 * The way of messages from their arrival into the flow. A message is one of
 * - `asking`: others may know more of it. What the ledger then has moves it on.
 * - suspect: it may have ended a process, and goes into the flow alone (Suspects); it is `asking` while that is stored.
 * - in the `backlog`: until there is room in the flow and in this turn, of messages and of bytes, and no suspect.
 * - in the `batch`: parsed, until that is full or has waited for long enough.
 * - in the flow (InFlow): until the flow, or whoever withdraws it, has ended its attempt.
 * Or it has failed before, by what it holds or has done. `withdraw` takes back what is not in the flow.
 */
export class Gate {
  readonly inFlow: InFlow;
  readonly bytes: BytesInFlight<InFlightMessage>;
  private readonly suspects: Suspects<InFlightMessage>;
  private readonly asking = new Set<InFlightMessage>();
  /** In this turn of the event loop. */
  private emitted = 0;
  private readonly backlog = new Fifo<InFlightMessage>();
  private emitting = false;
  private batch: InFlightMessage[] = [];
  /** Of `batch`. */
  private payloads: unknown[] = [];
  private batchTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: GateSettings,
    private readonly settlement: Settlement,
    private readonly ledger: Ledger,
    private readonly handler: GateHandler,
  ) {
    this.inFlow = new InFlow(settings, () => this.prefetch);
    this.bytes = new BytesInFlight(settings.maxBytesInFlight ?? -1, settings.format, settings.sharers);
    this.suspects = new Suspects<InFlightMessage>({
      order: (a, b) => settlement.crashes(a) - settlement.crashes(b) || a.info.sequence - b.info.sequence,
      isQuiet: (next) => this.inFlow.isQuiet(settlement.crashes(next) > 0),
      begin: (message) => this.emitAlone(message),
      isOver: (message) => this.isOver(message),
      reopen: () => {
        ledger.sideBySide = true;
        return ledger.save();
      },
      opened: () => {
        this.emitBacklog();
        handler.moreRoom();
      },
    });
  }

  /** How many messages may be worked on at a time. */
  get prefetch(): number {
    const { prefetch, sharers } = this.settings;
    return Math.max(1, Math.floor(prefetch / (sharers?.() ?? 1)));
  }

  arrived(message: InFlightMessage): void {
    this.bytes.arrived(message);
    if (!this.ledger.shared || this.settlement.isExplained(message)) return this.admit(message);
    this.asking.add(message);
    void this.ledger.refresh().then(() => {
      if (this.asking.delete(message)) this.admit(message);
    });
  }

  /** Something has left the flow, or takes no place there any more. */
  look(): void {
    this.suspects.look();
    this.emitBacklog();
  }

  /** What is not in the flow won't be put there. */
  withdraw(): InFlightMessage[] {
    clearTimeout(this.batchTimer);
    this.batchTimer = undefined;
    const asking = [...this.asking];
    this.asking.clear();
    return [...this.takeBatch().messages, ...this.backlog.clear(), ...this.suspects.withdraw(), ...asking];
  }

  /** What is known of it says how it may go into the flow. */
  private admit(message: InFlightMessage): void {
    const { settlement } = this;
    const guilt = this.guilt(message);
    if (guilt) return settlement.fail(message, { error: guilt });
    if (settlement.isSuspect(message)) {
      this.suspects.add(message);
      this.deliverBatch();
    } else if (this.backlog.length === 0 && !this.emitting && this.hasRoom(message)) {
      // Most do: the queue costs more than all the rest here.
      this.emit(message);
    } else {
      this.backlog.push(message);
    }
  }

  /** Why it must not be put into the flow again. */
  private guilt(message: InFlightMessage): FlowError | undefined {
    const { maxDeliver } = this.settings;
    if (this.settlement.isExhausted(message)) {
      const text = say`The message was delivered more than ${maxDeliver} times without being settled: it may be what ends the process`;
      return new FlowError('MAX_DELIVERIES', text, false);
    }
    if (maxDeliver <= 0 || this.settlement.crashes(message) < CRASHES) return undefined;
    const text = say`The process ended ${CRASHES} times in a row while the message was alone in the flow: it is what ends the process`;
    return new FlowError('ENDED_PROCESS', text, false);
  }

  private emitBacklog(): void {
    // What ends at once makes room from within.
    if (this.emitting) return;
    this.emitting = true;
    try {
      for (let next = this.backlog.front; next && this.hasRoom(next); next = this.backlog.front) {
        this.backlog.shift();
        this.emit(next);
      }
    } finally {
      this.emitting = false;
    }
  }

  /**
   * More may be here than was asked for: requests from before a reconnect are served too, and payloads may grow more
   * than they used to.
   */
  private hasRoom(message: InFlightMessage): boolean {
    const { count, gathered } = this.inFlow;
    const { length } = this.batch;
    const working = count - gathered + length;
    if (this.emitted >= PER_TURN || working >= this.prefetch) return false;
    if (this.suspects.any || !this.handler.mayWork()) return false;
    return count + length === 0 || this.bytes.admits(message);
  }

  private emit(message: InFlightMessage): void {
    const { batchSize, batchWait } = this.settings;
    if (this.emitted++ === 0) setImmediate(this.nextTurn);
    const payload = this.open(message);
    if (payload === undefined) return;
    if (batchSize <= 1) return this.deliver([message], [payload]);
    this.batch.push(message);
    this.payloads.push(payload);
    if (this.batch.length >= Math.min(batchSize, this.prefetch)) this.deliverBatch();
    else this.batchTimer ??= setTimeout(() => this.deliverBatch(), batchWait);
  }

  private async emitAlone(message: InFlightMessage): Promise<void> {
    this.asking.add(message); // Given back if stopped meanwhile.
    this.ledger.sideBySide = false;
    await this.settlement.goesAlone(message);
    if (!this.asking.delete(message)) return;
    const payload = this.open(message);
    if (payload !== undefined) this.deliver([message], [payload]);
  }

  private isOver(message: InFlightMessage): boolean {
    const { attempt } = message;
    if (!attempt || attempt.ended) return true;
    // Gathered, it still has to come out of its node: that it has survived is not known, only that others may go beside
    // it. One with which the process has ended before goes without others all the way.
    if (attempt.isGathered && this.settlement.crashes(message) <= 1) return true;
    if (attempt.progress?.held !== true) return false;
    this.settlement.survived(message);
    void this.ledger.save();
    return true;
  }

  /** Its payload, which is never undefined; undefined for one that failed by that. */
  private open(message: InFlightMessage): unknown {
    const { format, bigNumbers } = this.settings;
    try {
      const payload = decodePayload(message.msg.data, format, bigNumbers);
      message.msg = kept(message.msg);
      this.bytes.entered(message);
      return payload;
    } catch (error) {
      this.settlement.fail(message, { error });
      return undefined;
    }
  }

  private takeBatch(): { messages: InFlightMessage[]; payloads: unknown[] } {
    const { batch: messages, payloads } = this;
    this.batch = [];
    this.payloads = [];
    return { messages, payloads };
  }

  private deliverBatch(): void {
    clearTimeout(this.batchTimer);
    this.batchTimer = undefined;
    if (this.batch.length === 0) return;
    const { messages, payloads } = this.takeBatch();
    this.deliver(messages, payloads);
  }

  private deliver(messages: InFlightMessage[], payloads: unknown[]): void {
    const batch: MessageBatch = new Attempt(messages, this.settlement, this.left, this.gatheringChanged);
    for (const message of messages) message.attempt = batch;
    this.inFlow.entered(batch);
    try {
      this.handler.deliver(batch, payloads);
    } catch (error) {
      batch.failed({ error });
    }
  }

  private readonly nextTurn = (): void => {
    this.emitted = 0;
    this.emitBacklog();
  };

  private readonly left = (batch: MessageBatch): void => this.inFlow.left(batch);

  private readonly gatheringChanged = (batch: MessageBatch): void => {
    this.inFlow.gatheringChanged(batch);
    if (batch.isGathered) this.handler.moreRoom();
  };
}

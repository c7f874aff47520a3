import { Attempt } from '../../shared/flow/settlement';
import { tookOver } from '../../shared/flow/takeovers';
import { FlowError, messageOf } from '../../shared/errors';
import type { BigNumbers } from '../../shared/json';
import { AckRoom } from './ack-room';
import { Acks } from './acks';
import { Fifo } from '../../shared/async/fifo';
import { pause } from '../../shared/async/pause';
import { withTimeout } from '../../shared/async/timeout';
import { warnOnce, type Log } from '../../shared/log';
import type { Connection } from '../server/connection';
import { BytesInFlight } from './bytes-in-flight';
import { DeadLetterWriter, type DeadLetterSettings } from './dead-letter-writer';
import { checkDeadLetter } from './dead-letter-loop';
import { ensureDurable, type DurableSettings } from './durable';
import { Ledger } from './ledger';
import { decodePayload, kept, type PayloadFormat } from './message';
import type { Msg, NatsConnection } from '../server/nats';
import { Pull, type PullProblem } from './pull';
import { Settlement, type InFlightMessage, type MessageBatch, type SettlementSettings } from './settlement';
import { Suspects } from './suspects';
import { Turn, type ReadingTurn, type Taken } from './turn';
import { beginAtFloor, checkFromFloor, finishBeginning } from './from-floor';
import { provisionStream } from '../streams/provision';
import type { StreamConfig } from '../streams/stream';
import { checkPublishSubject } from '../streams/subjects';

/** A jetstream-in node's settings, parsed. Milliseconds. */
export interface ConsumerSettings extends DurableSettings, SettlementSettings, DeadLetterSettings {
  /** The stream as it shall be; undefined: take it as it is. */
  provision: StreamConfig | undefined;
  /** Whether that may take anything from a stream that exists. */
  narrow?: boolean | undefined;
  prefetch: number;
  /** Bytes in memory; -1 or undefined: no limit. */
  maxBytesInFlight?: number | undefined;
  /** Whether one instance at a time reads the durable, and all messages come in order. Default: shared. */
  sharing?: 'shared' | 'exclusive' | 'partitioned';
  /** Into how many partitions the durable is split, where it is. */
  partitions?: number | undefined;
  /** How many consumers of this process share `prefetch` and `maxBytesInFlight`. Default: it has them alone. */
  sharers?: () => number;
  format: PayloadFormat;
  bigNumbers?: BigNumbers | undefined;
  batchSize: number;
  batchWait: number;
}

export type ConsumerState =
  | { phase: 'connecting' }
  | { phase: 'standby' }
  | { phase: 'ready'; partitions?: { owned: number; all: number } }
  | { phase: 'failing'; error: FlowError };

export interface ConsumerHandler {
  /** Puts the batch into the flow; `payloads` in the order of its messages. */
  deliver(batch: MessageBatch, payloads: unknown[]): void;
  /** A message was given up, with a dead letter or without. */
  gaveUp?(): void;
  /** Called for every message too: it must be cheap. */
  state(state: ConsumerState): void;
  log: Log;
}

interface Decoded {
  message: InFlightMessage;
  payload: unknown;
}

const READY: ConsumerState = { phase: 'ready' };
const STANDBY: ConsumerState = { phase: 'standby' };
const LONGEST_RETRY = 10_000;
/** Node-RED waits 15 s for a node to close; so long may the work of a stopped flow go on. */
const LINGER = 15_000;
/**
 * So often in a row a message has to be alone in the flow when the process ends before it is taken for the reason: by
 * chance, killed from outside, that happens to one and the same message once or twice.
 */
const CRASHES = 5;
/** What is known of tries is not of one making of an exclusive durable: that may be made anew at each turn. */
const ALWAYS = new Date(0).toISOString();
/**
 * From so many on, a full request of sfdc-composite, what a node gathers is beyond `prefetch`: who asks for fewer wants
 * no more than that in the flow.
 */
const GATHERED_FROM = 1_000;

/**
 * A durable pull consumer that runs until it is stopped: it finds or makes the stream and the durable, hands
 * out messages, settles them by what becomes of them, and starts over whenever the server comes back.
 */
export class Consumer {
  private readonly stopping = new AbortController();
  private readonly acks: Acks;
  private readonly settlement: Settlement;
  private readonly ledger: Ledger;
  private readonly suspects: Suspects<InFlightMessage>;
  /** Of an exclusive durable. */
  private readonly turn: ReadingTurn | undefined;
  /** Another had the turn before, and this one has not begun yet. */
  private follows = false;
  private readonly ackRoom: AckRoom;
  private pull: { nc: NatsConnection; pull: Pull } | undefined;
  private release: (() => Promise<void>) | undefined;
  private running: Promise<void> = Promise.resolve();
  /** After stop(): resolves when nothing of this consumer is left. */
  finished: Promise<void> = Promise.resolve();
  /** Wakes the loop: the durable has to be looked at again. */
  private check: (() => void) | undefined;
  private failing: FlowError | undefined;
  private readonly warn: (warning: string) => void;
  private gathering: Decoded[] = [];
  private gatherTimer: NodeJS.Timeout | undefined;
  /** Arrived, and not parsed yet. */
  private readonly backlog = new Fifo<InFlightMessage>();
  private emitting = false;
  private readonly bytes: BytesInFlight<InFlightMessage>;
  private readonly letters: DeadLetterWriter;
  /** Those of which others may know more. */
  private readonly asking = new Set<InFlightMessage>();
  private readonly batches = new Set<MessageBatch>();
  /** Messages in the flow at this moment. */
  inFlow = 0;
  /** Those of them that nodes gather for their requests: they take no place of `prefetch`. */
  private gathered = 0;
  private inbox = '';
  private held = false;
  private idle: (() => void) | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly settings: ConsumerSettings,
    private readonly handler: ConsumerHandler,
    turn?: ReadingTurn,
  ) {
    this.acks = new Acks(() => connection.open);
    this.warn = warnOnce((level, text) => handler.log(level, text));
    this.turn = turn ?? (settings.sharing === 'exclusive' ? new Turn(connection, settings) : undefined);
    this.bytes = new BytesInFlight(settings.maxBytesInFlight ?? -1, settings.format, settings.sharers);
    this.ledger = new Ledger(connection, settings, (text) => handler.log('warn', text));
    this.letters = new DeadLetterWriter(connection, settings, {
      gaveUp: () => handler.gaveUp?.(),
      parked: (message) => {
        this.bytes.parked(message);
        this.released();
      },
      changed: () => this.report(),
      log: (level, text) => handler.log(level, text),
    });
    this.settlement = new Settlement(settings, {
      acks: this.acks,
      tries: this.ledger,
      deadLetter: (message, failure) => this.letters.write(message, failure),
      released: (message) => {
        this.bytes.released(message);
        this.released();
      },
      ...(this.turn && { mayWork: () => this.mayWork() }),
      log: (level, text) => handler.log(level, text),
    });
    const { settlement } = this;
    this.ackRoom = new AckRoom(
      connection,
      settings,
      () => (this.turn?.held === false ? 0 : settlement.away + this.gathered),
      (text) => handler.log('warn', text),
    );
    this.suspects = new Suspects<InFlightMessage>({
      order: (a, b) => settlement.crashes(a) - settlement.crashes(b) || a.info.sequence - b.info.sequence,
      isQuiet: (next) => {
        const apart = settlement.crashes(next) > 0;
        return [...this.batches].every(
          ({ progress, isGathered }) => progress?.held === true || (isGathered && !apart),
        );
      },
      begin: (message) => this.deliverAlone(message),
      isOver: (message) => this.isOver(message),
      reopen: () => {
        this.ledger.sideBySide = true;
        return this.ledger.save();
      },
      opened: () => {
        this.emitBacklog();
        this.pull?.pull.ask();
      },
    });
  }

  /** Messages that were sent back to come again, and when the first one does (ms epoch). */
  retries(): { count: number; first: number } {
    return this.settlement.sentBack();
  }

  places(): { stream: string; durable: string }[] {
    return [this.settings];
  }

  /** Messages that the flow has finished. */
  get acknowledged(): number {
    return this.settlement.acknowledged;
  }

  /** Nothing is asked for while it is paused; what was asked for before still comes, for some seconds. */
  get paused(): boolean {
    return this.held;
  }
  set paused(paused: boolean) {
    this.held = paused;
    if (!paused) this.pull?.pull.ask();
  }

  /** Messages that nodes of the flow hold until something is back: since when (epoch ms), and which nodes. */
  heldInFlow(): { since: number; message: string } | undefined {
    const held = [...this.batches].flatMap(({ progress }) => (progress?.held ? progress : []));
    if (held.length === 0) return undefined;
    const since = Math.min(...held.map(({ heldSince = Date.now() }) => heldSince));
    const nodes = held.slice(0, 20).flatMap((progress) => progress.unfinishedNodes());
    return { since, message: `${held.length}: ${[...new Set(nodes)].join(', ')}` };
  }

  start(): void {
    if (this.settings.deadLetter) checkPublishSubject(this.settings.deadLetter);
    this.release = this.connection.use({
      state: (state) => {
        if (state.phase === 'disconnected') {
          this.acks.interrupt();
          this.settlement.interrupted();
          // The connection itself says so, once for all its nodes.
          this.fail(state.reason, false);
        }
        if (state.phase === 'connecting') this.handler.state({ phase: 'connecting' });
        if (state.phase === 'connected') this.check?.();
      },
      refused: (error, subject) => {
        if (this.concerns(subject)) this.fail(error);
      },
    });
    this.running = this.run();
  }

  /**
   * Stops pulling and gives back what the flow has not seen. Resolves when the flow has finished the rest, or
   * after `grace` ms: what is under way then (a write to an org, say) is still settled by its outcome, for a
   * while longer, behind `finished`. Giving it back instead could do the work twice.
   */
  async stop(grace: number): Promise<void> {
    this.stopping.abort();
    this.ackRoom.stop();
    this.check?.();
    clearTimeout(this.gatherTimer);
    this.letters.stop();
    const stopped = this.pull?.pull.stop();
    const closed = this.ledger.close();
    const gathered = this.gathering.splice(0).map(({ message }) => message);
    const unseen = [...gathered, ...this.backlog.clear(), ...this.suspects.withdraw(), ...this.asking];
    for (const message of unseen) this.settlement.giveBack(message);
    this.asking.clear();
    if (stopped) await withTimeout(1_000, stopped);
    this.finished = this.finish(closed);
    await withTimeout(grace, this.finished);
  }

  private async finish(closed: Promise<void>): Promise<void> {
    if (this.settlement.size > 0)
      await withTimeout(LINGER, new Promise<void>((resolve) => (this.idle = resolve)));
    this.settlement.stop();
    await withTimeout(500, this.acks.settle());
    await closed;
    await this.running;
    await this.turn?.release();
    await this.release?.();
  }

  private get prefetch(): number {
    const { prefetch, sharers } = this.settings;
    return Math.max(1, Math.floor(prefetch / (sharers?.() ?? 1)));
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private concerns(subject: string): boolean {
    const { stream, durable } = this.settings;
    if (subject.includes('$KV.')) return false;
    return subject.includes(`.${stream}.${durable}`) || (this.inbox !== '' && subject.startsWith(this.inbox));
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (let attempt = 0; !signal.aborted;) {
      try {
        const nc = await this.connection.ready(signal);
        this.follows ||= (await this.takeTurn()) === 'new';
        if (this.follows) tookOver();
        if (this.isStopping()) return;
        await this.prepare(nc);
        attempt = 0;
        if (this.turn && !(this.turn.held && this.pull)) continue;
        await this.disturbed();
      } catch (error) {
        if (signal.aborted) return;
        this.fail(error instanceof FlowError ? error : new FlowError('CONSUMER_FAILED', messageOf(error)));
        await pause(Math.min(LONGEST_RETRY, 500 * 2 ** attempt++), signal);
      }
    }
  }

  private async takeTurn(): Promise<Taken | undefined> {
    const { signal } = this.stopping;
    return this.turn?.take(
      signal,
      () => this.standBy(),
      () => this.lostTurn(),
    );
  }

  private standBy(): void {
    this.failing = undefined;
    this.report();
  }

  /** From now on it may be another's. */
  private lostTurn(): void {
    if (this.isStopping()) return;
    this.settlement.suspend();
    this.dropUnseen();
    this.ledger.rest();
    void this.pull?.pull.stop();
    this.pull = undefined;
    this.check?.();
  }

  /** Where it may not, what is here is left out, and all begins again when its turn is sure. */
  private mayWork(): boolean {
    if (this.turn?.held !== false) return true;
    this.check?.();
    return false;
  }

  /** What the flow has not seen comes again, in order. */
  private dropUnseen(): void {
    clearTimeout(this.gatherTimer);
    this.gatherTimer = undefined;
    const gathered = this.gathering.splice(0).map(({ message }) => message);
    const unseen = [...gathered, ...this.backlog.clear(), ...this.suspects.withdraw(), ...this.asking];
    this.asking.clear();
    for (const message of unseen) this.settlement.drop(message);
  }

  private async prepare(nc: NatsConnection): Promise<void> {
    const { settings, turn } = this;
    const { domain } = this.connection.settings;
    const place = { nc, domain, stream: settings.stream, durable: settings.durable };
    const notes = turn && { store: turn.store, key: turn.key, signal: this.stopping.signal };
    if (settings.provision) {
      const done = await provisionStream(nc, domain, settings.provision, settings.narrow);
      for (const change of done.changes) this.handler.log('info', change);
      done.warnings.forEach(this.warn);
    }
    await checkDeadLetter(nc, domain, settings);
    await this.letters.look(nc);
    if (notes) {
      await checkFromFloor(place);
      await finishBeginning(place, notes);
    }
    const { info, warnings } = await ensureDurable(nc, domain, settings);
    warnings.forEach(this.warn);
    const nats = await import('../server/nats.js');
    // Nothing is waited for from here on: what begins below is what stop() ends.
    if (this.stopping.signal.aborted) return;
    const memory = this.settlement.start(
      `${this.connection.settings.servers} ${info.stream_name} ${info.name}`,
      turn ? ALWAYS : info.created,
      this.follows,
    );
    this.ackRoom.begin(info);
    await this.ledger.begin(memory, info, turn !== undefined);
    if (this.isStopping()) return;
    // Whoever follows one that ended in order finds nothing of it at work.
    if (this.follows)
      this.settlement.inherit(this.ledger.shared ? memory.crashedUntil : info.delivered.stream_seq);
    if (notes) {
      const { pull } = this.pull ?? {};
      this.pull = undefined;
      if (pull) await withTimeout(1_000, pull.stop());
      this.dropUnseen();
      memory.renumber();
      this.acks.forget();
      if (!turn?.held || this.isStopping()) return;
      await beginAtFloor(place, notes);
      this.follows = false;
      if (this.isStopping()) return;
    }
    this.acks.repeat();
    this.report();
    if (this.pull?.nc === nc) {
      this.pull.pull.reset();
      return;
    }
    void this.pull?.pull.stop();
    const { inboxPrefix } = this.connection.settings;
    this.inbox = nats.createInbox(inboxPrefix || undefined);
    const prefetch = (): number => this.prefetch;
    const pull = new Pull({
      nc,
      inbox: this.inbox,
      domain,
      stream: settings.stream,
      durable: settings.durable,
      get capacity() {
        return prefetch();
      },
      maxRequests: info.config.max_waiting,
      inFlight: () =>
        this.held ? this.prefetch : Math.max(0, this.settlement.size - this.letters.parked - this.gathered),
      room: () => this.bytes.room(),
      ...(turn && { mayWait: () => turn.left }),
      onMessage: (msg) => this.arrived(msg),
      onProblem: (problem) => this.problem(problem),
      onAlive: () => this.alive(),
    });
    this.pull = { nc, pull };
  }

  /** Resolves when the durable has to be looked at again: after a reconnect, or when the server says it is gone. */
  private disturbed(): Promise<void> {
    return new Promise((resolve) => {
      this.check = resolve;
      if (this.stopping.signal.aborted) resolve();
    });
  }

  private problem({ kind, text }: PullProblem): void {
    if (kind === 'refused')
      this.fail(new FlowError('PULL_REFUSED', `The server refuses to deliver: ${text}`));
    else {
      this.settlement.interrupted();
      this.check?.();
    }
  }

  private alive(): void {
    if (this.failing) this.handler.log('info', `Receiving from "${this.settings.stream}" again`);
    this.failing = undefined;
    this.report();
  }

  /** Said once for each cause, however often it is met. */
  private fail(error: FlowError, log = true): void {
    if (log && this.failing?.message !== error.message) this.handler.log('error', error.message);
    this.failing = error;
    this.report();
  }

  private report(): void {
    const error = this.failing ?? this.letters.trouble;
    if (error) return this.handler.state({ phase: 'failing', error });
    this.handler.state(this.turn?.held === false ? STANDBY : READY);
  }

  private arrived(msg: Msg): void {
    const message = this.settlement.arrived(msg);
    if (!message) return;
    if (this.stopping.signal.aborted) {
      this.settlement.giveBack(message);
      return;
    }
    // It comes again, to whose turn it is then.
    if (!this.mayWork()) return this.settlement.drop(message);
    this.bytes.arrived(message);
    if (!this.ledger.shared || this.settlement.isExplained(message)) return this.admit(message);
    this.asking.add(message);
    void this.ledger.refresh().then(() => {
      if (this.asking.delete(message)) this.admit(message);
    });
  }

  /** What is known of it says how it may go into the flow. */
  private admit(message: InFlightMessage): void {
    const { settlement } = this;
    const guilt = this.guilt(message);
    if (guilt) return settlement.fail(message, { error: guilt });
    if (settlement.isSuspect(message)) {
      this.suspects.add(message);
      this.deliverGathered();
    } else if (this.backlog.length === 0 && !this.emitting && this.hasRoom(message)) {
      this.emit(message);
    } else {
      this.backlog.push(message);
      this.emitBacklog();
    }
  }

  /** Why it must not be put into the flow again. */
  private guilt(message: InFlightMessage): FlowError | undefined {
    const { maxDeliver } = this.settings;
    if (this.settlement.isExhausted(message)) {
      const text = `The message was delivered more than ${maxDeliver} times without being settled: it may be what ends the process`;
      return new FlowError('MAX_DELIVERIES', text, false);
    }
    if (maxDeliver <= 0 || this.settlement.crashes(message) < CRASHES) return undefined;
    const text = `The process ended ${CRASHES} times in a row while the message was alone in the flow: it is what ends the process`;
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
    const { length } = this.gathering;
    const working = this.inFlow - this.gathered + length;
    if (!this.mayWork() || this.suspects.any || working >= this.prefetch) return false;
    return this.inFlow + length === 0 || this.bytes.admits(message);
  }

  private emit(message: InFlightMessage): void {
    const { batchSize, batchWait } = this.settings;
    const decoded = this.decode(message);
    if (!decoded) return;
    if (batchSize <= 1) return this.deliver([decoded]);
    this.gathering.push(decoded);
    if (this.gathering.length >= Math.min(batchSize, this.prefetch)) this.deliverGathered();
    else this.gatherTimer ??= setTimeout(() => this.deliverGathered(), batchWait);
  }

  /** Undefined for one that failed by that. */
  private decode(message: InFlightMessage): Decoded | undefined {
    const { format, bigNumbers } = this.settings;
    try {
      const payload = decodePayload(message.msg.data, format, bigNumbers);
      message.msg = kept(message.msg);
      this.bytes.entered(message);
      return { message, payload };
    } catch (error) {
      this.settlement.fail(message, { error });
      return undefined;
    }
  }

  private async deliverAlone(message: InFlightMessage): Promise<void> {
    this.asking.add(message); // Given back if stopped meanwhile.
    this.ledger.sideBySide = false;
    await this.settlement.goesAlone(message);
    if (!this.asking.delete(message)) return;
    const decoded = this.decode(message);
    if (decoded) this.deliver([decoded]);
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

  private readonly gatheringChanged = (batch: MessageBatch): void => {
    const { prefetch, maxAckPending } = this.settings;
    if (prefetch >= GATHERED_FROM && (maxAckPending < 0 || maxAckPending >= this.prefetch))
      this.gathered += batch.isGathered ? batch.items.length : -batch.items.length;
    if (batch.isGathered) this.moreRoom();
  };

  private readonly leftFlow = (batch: MessageBatch): void => {
    this.inFlow -= batch.items.length;
    this.batches.delete(batch);
  };

  private deliverGathered(): void {
    clearTimeout(this.gatherTimer);
    this.gatherTimer = undefined;
    if (this.gathering.length > 0) this.deliver(this.gathering.splice(0));
  }

  private deliver(decoded: Decoded[]): void {
    this.inFlow += decoded.length;
    const messages = decoded.map(({ message }) => message);
    const batch: MessageBatch = new Attempt(messages, this.settlement, this.leftFlow, this.gatheringChanged);
    for (const message of messages) message.attempt = batch;
    this.batches.add(batch);
    try {
      this.handler.deliver(
        batch,
        decoded.map(({ payload }) => payload),
      );
    } catch (error) {
      batch.failed({ error });
    }
    this.report();
  }

  private released(): void {
    if (this.settlement.size === 0) this.idle?.();
    this.moreRoom();
    this.report();
  }

  private moreRoom(): void {
    this.suspects.look();
    this.emitBacklog();
    this.ackRoom.look();
    this.pull?.pull.ask();
  }
}

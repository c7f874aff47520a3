import { pause } from '../../shared/async/pause';
import { withTimeout } from '../../shared/async/timeout';
import { FlowError, messageOf } from '../../shared/errors';
import { tookOver } from '../../shared/flow/takeovers';
import { warnOnce } from '../../shared/log';
import { say } from '../../shared/say';
import type { Connection } from '../server/connection';
import type { NatsConnection } from '../server/nats';
import { checkPublishSubject } from '../streams/subjects';
import type { ConsumerSettings } from './consumer-settings';
import { ensureDurable, type ConsumerInfo } from './durable';
import { beginAtFloor, checkFromFloor, finishBeginning } from './from-floor';
import { Messages } from './messages';
import { prepareStream } from './prepare-stream';
import { Pull, type PullProblem } from './pull';
import type { ConsumerHandler, ConsumerState, Place, Reader } from './reader';
import { Turn, type ReadingTurn, type Taken } from './turn';

const READY: ConsumerState = { phase: 'ready' };
const STANDBY: ConsumerState = { phase: 'standby' };
const LONGEST_RETRY = 10_000;

/**
 * A durable pull consumer that runs until it is stopped. `run` is
 * - waiting for a connection, then for its turn where only one may read (`standby`);
 * - preparing: the stream and the durable are found or made, what was tried is learnt, and messages are asked for (Pull).
 *   What fails there is told (`failing`) and tried again, from the connection on;
 * - `ready`, until it is disturbed: by a reconnect, by a server that says that the durable is gone or is silent, by the loss
 *   of the turn. Then it prepares anew.
 * Meanwhile what arrives goes its own way (Messages).
 * `stop` ends it; `finished` is later, when the flow has ended what it has.
 */
export class Consumer implements Reader {
  private readonly stopping = new AbortController();
  private readonly messages: Messages;
  /** Of an exclusive durable. */
  private readonly turn: ReadingTurn | undefined;
  /** Another had the turn before, and this one has not begun yet. */
  private follows = false;
  private pull: { nc: NatsConnection; inbox: string; pull: Pull } | undefined;
  private release: (() => Promise<void>) | undefined;
  private running: Promise<void> = Promise.resolve();
  finished: Promise<void> = Promise.resolve();
  /** Wakes the loop: the durable has to be looked at again. */
  private check: (() => void) | undefined;
  private failing: FlowError | undefined;
  /** The server takes no acknowledgements, though it may deliver. */
  private acksRefused: FlowError | undefined;
  private readonly warn: (warning: string) => void;
  private held = false;

  constructor(
    private readonly connection: Connection,
    private readonly settings: ConsumerSettings,
    private readonly handler: ConsumerHandler,
    turn?: ReadingTurn,
  ) {
    this.warn = warnOnce((level, text) => handler.log(level, text));
    const own = turn ?? (settings.sharing === 'exclusive' ? new Turn(connection, settings) : undefined);
    this.turn = own;
    this.messages = new Messages(connection, settings, {
      deliver: (batch, payloads) => {
        try {
          handler.deliver(batch, payloads);
        } finally {
          this.report();
        }
      },
      gaveUp: () => handler.gaveUp?.(),
      log: (level, text) => handler.log(level, text),
      turn: own && {
        get held() {
          return own.held;
        },
        mayWork: () => this.mayWork(own),
      },
      changed: () => this.report(),
      moreRoom: () => this.pull?.pull.ask(),
      acksGranted: () => {
        this.acksRefused = undefined;
        handler.log('info', say`The server takes acknowledgements of "${settings.stream}" again`);
        this.report();
      },
    });
  }

  get inFlow(): number {
    return this.messages.gate.inFlow.count;
  }

  get acknowledged(): number {
    return this.messages.settlement.acknowledged;
  }

  get paused(): boolean {
    return this.held;
  }
  set paused(paused: boolean) {
    this.held = paused;
    if (!paused) this.pull?.pull.ask();
  }

  retries(): { count: number; first: number } {
    return this.messages.settlement.sentBack();
  }

  heldInFlow(): { since: number; message: string } | undefined {
    return this.messages.gate.inFlow.held();
  }

  places(): Place[] {
    return [this.settings];
  }

  start(): void {
    if (this.settings.deadLetter) checkPublishSubject(this.settings.deadLetter);
    this.release = this.connection.use({
      state: (state) => {
        if (state.phase === 'disconnected') {
          this.messages.interrupted();
          // The connection itself says so, once for all its nodes.
          this.fail(state.reason, false);
        }
        if (state.phase === 'connecting') this.handler.state({ phase: 'connecting' });
        if (state.phase === 'connected') this.check?.();
      },
      refused: (error, subject) => this.refused(error, subject),
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
    this.check?.();
    const stopped = this.pull?.pull.stop();
    const closed = this.messages.stop();
    if (stopped) await withTimeout(1_000, stopped);
    this.finished = this.finish(closed);
    await withTimeout(grace, this.finished);
  }

  private async finish(closed: Promise<void>): Promise<void> {
    await this.messages.finish();
    await closed;
    await this.running;
    await this.turn?.release();
    await this.release?.();
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Of requests, whoever made them, their answer tells. */
  private refused(error: FlowError, subject: string): void {
    const { stream, durable } = this.settings;
    if (subject.startsWith('$JS.ACK.') && subject.includes(`.${stream}.${durable}.`)) {
      if (!this.acksRefused) this.handler.log('error', error.message);
      this.acksRefused = error;
      this.messages.ackRefused(subject);
      this.report();
    } else if (subject.endsWith(`.CONSUMER.MSG.NEXT.${stream}.${durable}`)) {
      this.pull?.pull.refused();
      this.fail(error);
    }
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
    return this.turn?.take(
      this.stopping.signal,
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
    this.messages.suspend();
    void this.pull?.pull.stop();
    this.pull = undefined;
    this.check?.();
  }

  /** Where it may not, what is here is left out, and all begins again when its turn is sure. */
  private mayWork(turn: ReadingTurn): boolean {
    if (turn.held) return true;
    this.check?.();
    return false;
  }

  private async prepare(nc: NatsConnection): Promise<void> {
    const { settings, turn } = this;
    const { domain } = this.connection.settings;
    const place = { nc, domain, stream: settings.stream, durable: settings.durable };
    const notes = turn && { store: turn.store, key: turn.key, signal: this.stopping.signal };
    await prepareStream(nc, domain, settings, this.handler.log, this.warn);
    await this.messages.letters.look(nc);
    if (notes) {
      await checkFromFloor(place);
      await finishBeginning(place, notes);
    }
    const { info, warnings } = await ensureDurable(nc, domain, settings);
    warnings.forEach(this.warn);
    const { createInbox } = await import('../server/nats.js');
    // Nothing is waited for from here on: what begins below is what stop() ends.
    if (this.isStopping()) return;
    const memory = await this.messages.begin(info, this.follows);
    if (this.isStopping()) return;
    if (notes) {
      const { pull } = this.pull ?? {};
      this.pull = undefined;
      if (pull) await withTimeout(1_000, pull.stop());
      this.messages.renumber(memory);
      if (!turn?.held || this.isStopping()) return;
      await beginAtFloor(place, notes);
      this.follows = false;
      if (this.isStopping()) return;
    }
    this.messages.resume();
    this.report();
    this.ask(nc, info, () => createInbox(this.connection.settings.inboxPrefix || undefined));
  }

  private ask(nc: NatsConnection, { config }: ConsumerInfo, createInbox: () => string): void {
    if (this.pull?.nc === nc) return this.pull.pull.reset();
    void this.pull?.pull.stop();
    const { settings, turn, messages } = this;
    const { gate } = messages;
    const inbox = createInbox();
    const pull = new Pull({
      ...{ nc, inbox, stream: settings.stream, durable: settings.durable },
      domain: this.connection.settings.domain,
      get capacity() {
        return gate.prefetch;
      },
      maxRequests: config.max_waiting,
      inFlight: () => (this.held ? gate.prefetch : messages.working),
      room: () => gate.bytes.room(),
      ...(turn && { mayWait: () => turn.left }),
      onMessage: (msg) => messages.arrived(msg),
      onProblem: (problem) => this.problem(problem),
      onAlive: () => this.alive(),
    });
    this.pull = { nc, inbox, pull };
  }

  /** Resolves when the durable has to be looked at again: after a reconnect, or when the server says it is gone. */
  private disturbed(): Promise<void> {
    return new Promise((resolve) => {
      this.check = resolve;
      if (this.isStopping()) resolve();
    });
  }

  private problem({ kind, text }: PullProblem): void {
    if (kind === 'refused')
      this.fail(new FlowError('PULL_REFUSED', say`The server refuses to deliver: ${text}`));
    else {
      this.messages.settlement.interrupted();
      this.check?.();
    }
  }

  private alive(): void {
    if (this.failing) this.handler.log('info', say`Receiving from "${this.settings.stream}" again`);
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
    const error = this.failing ?? this.acksRefused ?? this.messages.letters.trouble;
    if (error) return this.handler.state({ phase: 'failing', error });
    this.handler.state(this.turn?.held === false ? STANDBY : READY);
  }
}

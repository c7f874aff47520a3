import type { Failure } from '../../shared/flow/delivery';
import { Attempt, where } from '../../shared/flow/settlement';
import { FlowError, isRetryable, messageOf } from '../../shared/errors';
import type { BigNumbers } from '../../shared/json';
import { Acks } from './acks';
import { pause } from '../../shared/async/pause';
import { withTimeout } from '../../shared/async/timeout';
import type { Log } from '../../shared/log';
import { closedError, type Connection } from '../server/connection';
import { publishDeadLetter } from './dead-letter';
import { ensureDurable, type DurableSettings } from './durable';
import { decodePayload, type PayloadFormat } from './message';
import type { Msg, NatsConnection } from '../server/nats';
import { Pull, type PullProblem } from './pull';
import {
  describe,
  Settlement,
  type InFlightMessage,
  type MessageBatch,
  type SettlementSettings,
} from './settlement';
import { provisionStream } from '../streams/provision';
import type { StreamConfig } from '../streams/stream';
import { checkPublishSubject, overlap } from '../streams/subjects';

/** A jetstream-in node's settings, parsed. Milliseconds. */
export interface ConsumerSettings extends DurableSettings, SettlementSettings {
  /** The stream as it shall be; undefined: take it as it is. */
  provision: StreamConfig | undefined;
  /** Whether that may take anything from a stream that exists. */
  narrow?: boolean | undefined;
  prefetch: number;
  deadLetter: string | undefined;
  format: PayloadFormat;
  bigNumbers?: BigNumbers | undefined;
  batchSize: number;
  batchWait: number;
}

export type ConsumerState =
  { phase: 'connecting' } | { phase: 'ready' } | { phase: 'failing'; error: FlowError };

export interface ConsumerHandler {
  /** Puts the batch into the flow; `payloads` in the order of its messages. */
  deliver(batch: MessageBatch, payloads: unknown[]): void;
  /** Called for every message too: it must be cheap. */
  state(state: ConsumerState): void;
  log: Log;
}

interface Decoded {
  message: InFlightMessage;
  payload: unknown;
}

const READY: ConsumerState = { phase: 'ready' };
const LONGEST_RETRY = 10_000;
/** Node-RED waits 15 s for a node to close; so long may the work of a stopped flow go on. */
const LINGER = 15_000;

/**
 * A durable pull consumer that runs until it is stopped: it finds or makes the stream and the durable, hands
 * out messages, settles them by what becomes of them, and starts over whenever the server comes back.
 */
export class Consumer {
  private readonly stopping = new AbortController();
  private readonly acks: Acks;
  private readonly settlement: Settlement;
  private pull: { nc: NatsConnection; pull: Pull } | undefined;
  private release: (() => Promise<void>) | undefined;
  private running: Promise<void> = Promise.resolve();
  /** After stop(): resolves when nothing of this consumer is left. */
  finished: Promise<void> = Promise.resolve();
  /** Wakes the loop: the durable has to be looked at again. */
  private check: (() => void) | undefined;
  private failing: FlowError | undefined;
  private readonly warned = new Set<string>();
  private gathering: Decoded[] = [];
  private gatherTimer: NodeJS.Timeout | undefined;
  private backlog: Decoded[] = [];
  /** Messages in the flow at this moment. */
  inFlow = 0;
  private inbox = '';
  private idle: (() => void) | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly settings: ConsumerSettings,
    private readonly handler: ConsumerHandler,
  ) {
    this.acks = new Acks(() => connection.open);
    this.settlement = new Settlement(settings, {
      acks: this.acks,
      deadLetter: (message, failure) => this.deadLetter(message, failure),
      released: () => this.released(),
      log: (level, text) => handler.log(level, text),
    });
  }

  start(): void {
    checkDeadLetter(this.settings);
    this.release = this.connection.use({
      state: (state) => {
        if (state.phase === 'disconnected') {
          this.acks.interrupt();
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
    this.check?.();
    clearTimeout(this.gatherTimer);
    const stopped = this.pull?.pull.stop();
    for (const { message } of [...this.gathering.splice(0), ...this.backlog.splice(0)])
      this.settlement.giveBack(message);
    if (stopped) await withTimeout(1_000, stopped);
    this.finished = this.finish();
    await withTimeout(grace, this.finished);
  }

  private async finish(): Promise<void> {
    if (this.settlement.size > 0)
      await withTimeout(LINGER, new Promise<void>((resolve) => (this.idle = resolve)));
    this.settlement.stop();
    await withTimeout(500, this.acks.settle());
    await this.running;
    await this.release?.();
  }

  private concerns(subject: string): boolean {
    const { stream, durable } = this.settings;
    return subject.includes(`.${stream}.${durable}`) || (this.inbox !== '' && subject.startsWith(this.inbox));
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (let attempt = 0; !signal.aborted;) {
      try {
        const nc = await this.connection.ready(signal);
        await this.prepare(nc);
        attempt = 0;
        await this.disturbed();
      } catch (error) {
        if (signal.aborted) return;
        this.fail(error instanceof FlowError ? error : new FlowError('CONSUMER_FAILED', messageOf(error)));
        await pause(Math.min(LONGEST_RETRY, 500 * 2 ** attempt++), signal);
      }
    }
  }

  private async prepare(nc: NatsConnection): Promise<void> {
    const { settings } = this;
    const { domain } = this.connection.settings;
    if (settings.provision) {
      const done = await provisionStream(nc, domain, settings.provision, settings.narrow);
      for (const change of done.changes) this.handler.log('info', change);
      this.warnOnce(done.warnings);
    }
    const { info, warnings } = await ensureDurable(nc, domain, settings);
    this.warnOnce(warnings);
    const nats = await import('../server/nats.js');
    // Nothing is waited for from here on: what begins below is what stop() ends.
    if (this.stopping.signal.aborted) return;
    this.settlement.start(
      `${this.connection.settings.servers} ${info.stream_name} ${info.name}`,
      info.created,
    );
    this.acks.repeat();
    this.report();
    if (this.pull?.nc === nc) {
      this.pull.pull.reset();
      return;
    }
    void this.pull?.pull.stop();
    const { inboxPrefix } = this.connection.settings;
    this.inbox = nats.createInbox(inboxPrefix || undefined);
    const pull = new Pull({
      nc,
      inbox: this.inbox,
      domain,
      stream: settings.stream,
      durable: settings.durable,
      capacity: settings.prefetch,
      maxRequests: info.config.max_waiting,
      inFlight: () => this.settlement.size,
      onMessage: (msg) => this.arrived(msg),
      onProblem: (problem) => this.problem(problem),
      onAlive: () => this.alive(),
    });
    this.pull = { nc, pull };
  }

  /** It is all looked at again after each reconnect. */
  private warnOnce(warnings: string[]): void {
    for (const warning of warnings) if (!this.warned.has(warning)) this.handler.log('warn', warning);
    for (const warning of warnings) this.warned.add(warning);
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
    else this.check?.();
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
    this.handler.state(this.failing ? { phase: 'failing', error: this.failing } : READY);
  }

  private arrived(msg: Msg): void {
    const message = this.settlement.arrived(msg);
    if (!message) return;
    if (this.stopping.signal.aborted) {
      this.settlement.giveBack(message);
      return;
    }
    const { maxDeliver } = this.settings;
    if (this.settlement.isExhausted(message)) {
      const text = `The message was delivered more than ${maxDeliver} times without being settled: it may be what ends the process`;
      this.settlement.fail(message, { error: new FlowError('MAX_DELIVERIES', text, false) });
      return;
    }
    let payload: unknown;
    try {
      payload = decodePayload(msg.data, this.settings.format, this.settings.bigNumbers);
    } catch (error) {
      this.settlement.fail(message, { error });
      return;
    }
    this.emit({ message, payload });
  }

  private emit(decoded: Decoded): void {
    const { batchSize, batchWait, prefetch } = this.settings;
    if (this.inFlow + this.gathering.length >= prefetch) {
      // More than was asked for: requests from before a reconnect were served too.
      this.backlog.push(decoded);
    } else if (batchSize <= 1) {
      this.deliver([decoded]);
    } else {
      this.gathering.push(decoded);
      if (this.gathering.length >= Math.min(batchSize, prefetch)) this.deliverGathered();
      else this.gatherTimer ??= setTimeout(() => this.deliverGathered(), batchWait);
    }
  }

  private readonly leftFlow = (batch: MessageBatch): void => void (this.inFlow -= batch.items.length);

  private deliverGathered(): void {
    clearTimeout(this.gatherTimer);
    this.gatherTimer = undefined;
    if (this.gathering.length > 0) this.deliver(this.gathering.splice(0));
  }

  private deliver(decoded: Decoded[]): void {
    this.inFlow += decoded.length;
    const messages = decoded.map(({ message }) => message);
    const batch: MessageBatch = new Attempt(messages, this.settlement, this.leftFlow);
    for (const message of messages) message.attempt = batch;
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
    while (this.backlog.length > 0 && this.inFlow + this.gathering.length < this.settings.prefetch) {
      const next = this.backlog.shift();
      if (next) this.emit(next);
    }
    this.pull?.pull.ask();
    this.report();
  }

  private async deadLetter(message: InFlightMessage, failure: Failure): Promise<void> {
    const { deadLetter, maxDeliver } = this.settings;
    const { signal } = this.stopping;
    const why = isRetryable(failure.error) ? `failed ${maxDeliver} times` : 'failed for good';
    const what = `${describe(message)} ${why}${where(failure)}`;
    if (!deadLetter) {
      this.handler.log(
        'error',
        `${what} and is dropped, as no dead letter subject is set: ${messageOf(failure.error)}`,
      );
      return;
    }
    for (let attempt = 0; ; attempt++) {
      try {
        const nc = await this.connection.ready(signal);
        await publishDeadLetter(
          nc,
          this.connection.settings.domain,
          deadLetter,
          message.msg,
          { ...message.info, deliveries: message.deliveries },
          failure,
        );
        this.handler.log('warn', `${what} and went to "${deadLetter}": ${messageOf(failure.error)}`);
        if (this.failing?.code === 'DEAD_LETTER_FAILED') this.alive();
        return;
      } catch (error) {
        if (signal.aborted) throw closedError();
        if (!isRetryable(error)) return this.handler.log('error', `${what}: ${messageOf(error)}`);
        this.fail(error as FlowError);
        await pause(Math.min(30_000, 1_000 * 2 ** attempt), signal);
      }
    }
  }
}

/** A dead letter that the consumer reads itself would come round for ever. */
function checkDeadLetter({ deadLetter, filters, stream }: ConsumerSettings): void {
  if (!deadLetter) return;
  checkPublishSubject(deadLetter);
  if (filters.length === 0 || filters.some((filter) => overlap(filter, deadLetter))) {
    const read = filters.length === 0 ? `everything in "${stream}"` : filters.join(', ');
    throw new FlowError(
      'DEAD_LETTER_LOOP',
      `The dead letter subject "${deadLetter}" would be read by this node again (it reads ${read}): choose one outside`,
      false,
    );
  }
}

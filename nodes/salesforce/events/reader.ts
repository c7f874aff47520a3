import { formatDuration } from '../../shared/duration';
import { FlowError, messageOf } from '../../shared/errors';
import { Waker } from '../../shared/async/waker';
import {
  EventSettlement,
  SETTLEMENT,
  type EventAttempt,
  type SettlementHandler,
  type SettlementSettings,
} from './settlement';
import { OrgOutage } from '../org/outage';
import type { PubSub } from '../pubsub/client';
import { unlessStopped } from '../../shared/async/signals';
import type { Log } from '../../shared/log';
import {
  Subscription,
  type ReceivedEvent,
  type ReplayStart,
  type SubscriptionState,
} from '../pubsub/subscription';
import { StoredPosition, type KeptPosition } from './replay-position';
import { say } from '../../shared/say';

export type Replay = 'stored' | 'latest' | 'earliest';

/** Events that are lost, as far as is known. ISO times. */
export interface ReplayGap {
  from: string;
  to: string;
  ms: number;
}

export interface EventReaderHandler {
  /** Puts an event into the flow, for the `deliveries`-th time of those that count. */
  deliver(attempt: EventAttempt, event: ReceivedEvent, deliveries: number): void;
  /** `state` or `inFlow` has changed. */
  changed(): void;
  positionLost(error: FlowError, gap: ReplayGap): void;
  /** Keeps an event that is given up. Undefined: it is passed over, and one whose schema can't be read holds the others. */
  readonly deadLetter?: SettlementHandler['deadLetter'];
  log: Log;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

/**
 * Reads a topic event by event, each as often as it takes until the flow has finished it, and keeps the position
 * behind the last event that is finished with all before it.
 */
export class EventReader {
  state: SubscriptionState = { phase: 'connecting' };
  private readonly settlement: EventSettlement;
  private readonly subscription: Subscription;
  private readonly position: StoredPosition | undefined;
  private readonly waker = new Waker();
  private organizationId = '';
  /** Where the flow has come to, and when. */
  private at = Date.now();
  private releasing = false;
  private readonly stopping = new AbortController();
  private started: Promise<void> | undefined;

  /** `kept` is where the position is over restarts; without one every start is at the tip, or at the earliest event. */
  constructor(
    private readonly pubsub: PubSub,
    private readonly topic: string,
    kept: KeptPosition | undefined,
    private readonly handler: EventReaderHandler,
    settings: SettlementSettings = SETTLEMENT,
  ) {
    this.position =
      kept &&
      new StoredPosition(kept, { failed: (error) => this.notSaved(error), taken: () => this.tellTaken() });
    this.settlement = new EventSettlement(topic, settings, {
      deliver: (attempt, event, deliveries) => handler.deliver(attempt, event, deliveries),
      position: (replayId) => this.reached(replayId),
      deadLetter: handler.deadLetter,
      released: () => this.released(),
      log: (level, text) => handler.log(level, text),
    });
    this.subscription = new Subscription(pubsub, topic, {
      event: (event) => {
        this.settlement.arrived(event);
        handler.changed();
      },
      idle: (replayId) => this.settlement.passed(replayId),
      waitsForSchema: handler.deadLetter === undefined,
      room: (coming) => this.settlement.room(coming),
      positionLost: (error) => this.positionLost(error),
      state: (state) => this.enter(state),
      log: (level, text) => handler.log(level, text),
    });
  }

  /** Another process moves the position that this one would, which has been said in the log. */
  get positionTaken(): boolean {
    return this.position?.taken === true;
  }

  /** Events in the flow. */
  get inFlow(): number {
    return this.settlement.size;
  }

  start(replay: Replay): void {
    this.started = this.begin(replay);
  }

  /** Reads no more, and gives the flow `grace` ms to finish; what it doesn't comes again after the next start. */
  async stop(grace: number): Promise<void> {
    this.stopping.abort();
    await this.started;
    await this.subscription.stop();
    await this.settlement.stop(grace);
    await this.position?.stop();
  }

  private async begin(replay: Replay): Promise<void> {
    const stopListening = this.pubsub.onChange(() => this.waker.wake());
    const { signal } = this.stopping;
    for (let failures = 0; !signal.aborted;) {
      if (this.pubsub.availability.current) {
        await this.waker.wait(undefined, signal);
        continue;
      }
      try {
        const grant = await unlessStopped(signal, this.pubsub.login(this.pubsub.session.login()));
        this.organizationId = grant.organizationId;
        const from = replay === 'stored' ? await unlessStopped(signal, this.stored()) : replay;
        this.subscription.start(from);
        break;
      } catch (error) {
        if (signal.aborted) break;
        // An org that is closed holds nobody.
        if (error instanceof OrgOutage && this.pubsub.availability.current) continue;
        if (!(error instanceof OrgOutage)) this.cantLoad(error, failures);
        await this.waker.wait(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures++), signal);
      }
    }
    stopListening();
  }

  private async stored(): Promise<ReplayStart> {
    const position = await this.position?.load(this.organizationId, this.topic);
    if (!position) {
      this.handler.log(
        'info',
        say`No position is stored for ${this.topic}: reading from the earliest event the org has`,
      );
      return 'earliest';
    }
    this.at = position.at;
    return { replayId: position.replayId };
  }

  private cantLoad(error: unknown, failures: number): void {
    const text = say`The position of ${this.topic} can't be read, so nothing is: ${messageOf(error)}`;
    if (failures === 0) this.handler.log('error', text);
    this.enter({
      phase: 'failing',
      error: new FlowError('POSITION_UNREADABLE', text, true, { cause: error }),
    });
  }

  /** Events that are finished at the same moment are told together, and make room for one request. */
  private released(): void {
    if (this.releasing) return;
    this.releasing = true;
    queueMicrotask(() => {
      this.releasing = false;
      this.subscription.more();
      this.handler.changed();
    });
  }

  private reached(replayId: string): void {
    this.at = Date.now();
    const { organizationId, topic, at } = this;
    this.position?.save({ organizationId, topic, replayId, at });
  }

  private notSaved(error: unknown): void {
    this.handler.log(
      'error',
      say`The position of ${this.topic} can't be stored: ${messageOf(error)}. Events since the last one stored come again after a restart`,
    );
  }

  private tellTaken(): void {
    if (this.positionTaken)
      this.handler.log(
        'error',
        say`The position of ${this.topic} is moved by another process, too: another Node-RED runs this node with the same bucket. It is left to that one, and reading goes on; after a restart events come from where that one is. Give each Node-RED a bucket of its own, or run this flow in one only`,
      );
    else this.handler.log('info', say`The position of ${this.topic} is moved by this node again`);
    this.handler.changed();
  }

  private positionLost(error: FlowError): void {
    const now = Date.now();
    // The clock may have been set back since.
    const from = Math.min(this.at, now);
    const gap = { from: new Date(from).toISOString(), to: new Date(now).toISOString(), ms: now - from };
    const text = say`${error.message}: it was reached ${formatDuration(gap.ms)} ago (${gap.from}), and events since then may be lost to this node, a gap of at most ${formatDuration(gap.ms)}. Reading goes on with the earliest event that the org still has; read the records again that may have changed in between`;
    this.handler.positionLost(
      new FlowError('REPLAY_POSITION_LOST', text, false, { cause: error, details: gap }),
      gap,
    );
  }

  private enter(state: SubscriptionState): void {
    this.state = state;
    this.handler.changed();
  }
}

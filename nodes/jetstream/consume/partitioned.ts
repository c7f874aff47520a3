import { now } from '../../shared/async/clock';
import { pause } from '../../shared/async/pause';
import { withTimeout } from '../../shared/async/timeout';
import { FlowError, messageOf } from '../../shared/errors';
import { warnOnce } from '../../shared/log';
import type { Connection } from '../server/connection';
import type { NatsConnection } from '../server/nats';
import { serverAtLeast } from '../streams/stream';
import { checkPublishSubject } from '../streams/subjects';
import { Consumer } from './consumer';
import type { ConsumerSettings } from './consumer-settings';
import {
  checkPartitions,
  clearUp,
  copyName,
  dropDone,
  lookAfter,
  makeCopy,
  partitionDurable,
  type Whole,
} from './partition-copy';
import { Group } from './partition-group';
import type { Layout, Table } from './partition-plan';
import { groupStore } from './partition-store';
import { PartitionTurn } from './partition-turn';
import { prepareStream } from './prepare-stream';
import type { ConsumerHandler, ConsumerState, Place, Reader } from './reader';
import { turnKey } from './turn';
import { say } from '../../shared/say';

interface Part {
  consumer: Consumer;
  turn: PartitionTurn;
  generation: number;
  state: ConsumerState;
  ending?: Promise<void>;
}

const LONGEST_RETRY = 10_000;
/** Milliseconds between two looks at how the copy stands. */
const LOOK = 10_000;
/** A server of 2.10 may stop copying at a message id that it has copied a moment before. Looks. */
const STUCK = 2;

/**
 * Reads a durable that is split into partitions among all instances that do: the server copies the stream with the
 * partition of each subject in front, each partition has a durable of its own there, and each is read by the one instance
 * that owns it (Group), from the acknowledgement floor on, as an exclusive durable is.
 */
export class PartitionedConsumer implements Reader {
  private readonly stopping = new AbortController();
  private readonly parts = new Map<number, Part>();
  private readonly group: Group;
  private readonly store;
  private readonly layout: Layout;
  private readonly floors = new Map<string, number>();
  /** What the partitions say alike is said once. */
  private readonly warn: (warning: string) => void;
  private release: (() => Promise<void>) | undefined;
  private running: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private begun = false;
  private looking = false;
  private held = false;
  private cleared = 0;
  private stuck = { at: 0, looks: 0 };
  private failing: FlowError | undefined;
  private state: ConsumerState = { phase: 'connecting' };
  private acknowledgedBefore = 0;
  finished: Promise<void> = Promise.resolve();

  constructor(
    private readonly connection: Connection,
    private readonly settings: ConsumerSettings,
    private readonly handler: ConsumerHandler,
  ) {
    const { stream, durable, filters, partitions = 1 } = settings;
    this.warn = warnOnce((level, text) => handler.log(level, text));
    this.layout = { partitions, filters };
    this.store = groupStore(connection);
    this.group = new Group(
      this.store,
      turnKey(stream, durable),
      this.layout,
      {
        changed: () => this.changed(),
        lapsed: () => [...this.parts.values()].forEach(({ turn }) => turn.lapsed()),
        layOut: (table, isCurrent) => this.layOut(table, isCurrent),
        failed: (error) => this.fail(error),
      },
      { now, pause },
    );
  }

  start(): void {
    if (this.settings.deadLetter) checkPublishSubject(this.settings.deadLetter);
    this.release = this.connection.use({
      state: (state) => {
        if (state.phase === 'disconnected') this.fail(state.reason, false);
        if (state.phase === 'connecting') this.handler.state({ phase: 'connecting' });
      },
      refused: () => undefined,
    });
    this.running = this.run();
  }

  async stop(grace: number): Promise<void> {
    this.stopping.abort();
    clearInterval(this.timer);
    this.group.leave();
    this.changed();
    this.finished = this.finish();
    await withTimeout(grace, this.finished);
  }

  private async finish(): Promise<void> {
    await this.running;
    for (const [partition, part] of [...this.parts]) await this.end(partition, part);
    await this.group.stop();
    this.store.close();
    await this.release?.();
  }

  get inFlow(): number {
    return this.sum(({ consumer }) => consumer.inFlow);
  }

  get acknowledged(): number {
    return this.acknowledgedBefore + this.sum(({ consumer }) => consumer.acknowledged);
  }

  get paused(): boolean {
    return this.held;
  }
  set paused(paused: boolean) {
    this.held = paused;
    for (const { consumer } of this.parts.values()) consumer.paused = paused;
  }

  retries(): { count: number; first: number } {
    const each = [...this.parts.values()].map(({ consumer }) => consumer.retries());
    return {
      count: each.reduce((sum, { count }) => sum + count, 0),
      first: Math.min(Infinity, ...each.map(({ first }) => first)),
    };
  }

  heldInFlow(): { since: number; message: string } | undefined {
    return [...this.parts.values()]
      .flatMap(({ consumer }) => consumer.heldInFlow() ?? [])
      .sort((a, b) => a.since - b.since)[0];
  }

  places(which: 'own' | 'all'): Place[] {
    const { stream, durable } = this.settings;
    const { generation, owners } = this.group.table;
    if (generation === 0) return [];
    const numbers = which === 'own' ? [...this.parts.keys()] : owners.map((_, partition) => partition);
    return numbers.map((partition) => ({
      stream: copyName(stream, durable, generation),
      durable: partitionDurable(durable, partition),
    }));
  }

  private sum(of: (part: Part) => number): number {
    let sum = 0;
    for (const part of this.parts.values()) sum += of(part);
    return sum;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const nc = await this.connection.ready(signal);
        await this.prepare(nc);
        if (signal.aborted) return;
        this.begun = true;
        this.group.start();
        this.timer = setInterval(() => void this.look(), LOOK);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.fail(error instanceof FlowError ? error : new FlowError('CONSUMER_FAILED', messageOf(error)));
        await pause(Math.min(LONGEST_RETRY, 500 * 2 ** attempt), signal);
      }
    }
  }

  private async prepare(nc: NatsConnection): Promise<void> {
    const { domain } = this.connection.settings;
    await prepareStream(nc, domain, this.settings, this.handler.log, this.warn);
    await checkPartitions(this.whole(nc));
  }

  private whole(nc: NatsConnection): Whole {
    const { stream, durable, deliver, startSequence, startTime } = this.settings;
    const { domain } = this.connection.settings;
    return { nc, domain, stream, durable, deliver, startSequence, startTime };
  }

  private async layOut(table: Table, isCurrent: () => Promise<boolean>): Promise<void> {
    const { generation, layout, next = layout } = table;
    const nc = await this.connection.ready(this.stopping.signal);
    await makeCopy(this.whole(nc), generation + 1, layout, next, isCurrent);
    const { stream, durable } = this.settings;
    this.handler.log(
      'info',
      say`The durable "${durable}" of the stream "${stream}" is read in ${next.partitions} partitions`,
    );
  }

  /** Begins with what is owned now, ends with what isn't any longer. */
  private changed(): void {
    const { group } = this;
    const { generation } = group.table;
    const leaving = this.stopping.signal.aborted;
    const given = leaving ? group.owned : group.surplus;
    const owned = new Set(group.owned);
    for (const partition of given) owned.delete(partition);
    for (const [partition, part] of this.parts)
      if (!owned.has(partition) || part.generation !== generation) void this.end(partition, part);
      else part.turn.changed();
    for (const partition of owned) if (!this.parts.has(partition)) this.begin(partition, generation);
    for (const partition of given) if (!this.parts.has(partition)) group.release(partition);
    if (group.held && this.failing && this.connection.open) this.failing = undefined;
    this.report();
  }

  private begin(partition: number, generation: number): void {
    const { settings, handler } = this;
    const stream = copyName(settings.stream, settings.durable, generation);
    const durable = partitionDurable(settings.durable, partition);
    const turn = new PartitionTurn(this.group, this.store, partition, turnKey(stream, durable));
    const consumer = new Consumer(
      this.connection,
      {
        ...settings,
        ...{ stream, durable, filters: [`${partition}.>`], deliver: 'all', provision: undefined },
        origin: { stream: settings.stream, consumer: settings.durable },
        sharers: () => this.parts.size,
      },
      {
        deliver: (batch, payloads) => handler.deliver(batch, payloads),
        gaveUp: () => handler.gaveUp?.(),
        log: (level, text) => (level === 'warn' ? this.warn(text) : handler.log(level, text)),
        state: (state) => {
          const before = part.state;
          part.state = state;
          if (state.phase === 'ready' && before.phase === 'ready') handler.state(this.state);
          else this.report();
        },
      },
      turn,
    );
    const part: Part = { consumer, turn, generation, state: { phase: 'connecting' } };
    this.parts.set(partition, part);
    consumer.paused = this.held;
    consumer.start();
  }

  private end(partition: number, part: Part): Promise<void> {
    return (part.ending ??= part.consumer
      .stop(0)
      .then(() => part.consumer.finished)
      .catch((error: unknown) => this.handler.log('error', messageOf(error)))
      .then(() => {
        this.acknowledgedBefore += part.consumer.acknowledged;
        this.parts.delete(partition);
        this.changed();
      }));
  }

  /** Now and then: what is done needn't be copied any longer, and the copy must be as the stream is. */
  private async look(): Promise<void> {
    const nc = this.connection.open;
    if (!nc || this.looking || this.parts.size === 0) return;
    this.looking = true;
    try {
      await this.lookAt(nc);
    } catch (error) {
      const { durable } = this.settings;
      if (this.connection.open && !this.stopping.signal.aborted)
        this.warn(
          say`The copy that the durable "${durable}" reads can't be looked after: ${messageOf(error)}`,
        );
    } finally {
      this.looking = false;
    }
  }

  private async lookAt(nc: NatsConnection): Promise<void> {
    const whole = this.whole(nc);
    const { generation } = this.group.table;
    const copy = copyName(whole.stream, whole.durable, generation);
    // Whoever has the first looks after the whole.
    if (this.parts.has(0)) {
      const look = await lookAfter(whole, generation);
      if (!look || this.isStuck(nc, look)) return this.group.renewLayout(generation);
      if (this.cleared !== generation) await clearUp(whole, generation);
      this.cleared = generation;
    }
    for (const [partition, part] of this.parts) {
      if (part.generation !== generation || !part.turn.held) continue;
      const key = `${generation} ${partition}`;
      this.floors.set(key, await dropDone(whole, copy, partition, this.floors.get(key) ?? 0));
    }
  }

  private isStuck(nc: NatsConnection, { lag, lastSequence }: { lag: number; lastSequence: number }): boolean {
    const goesOn = lag === 0 || lastSequence !== this.stuck.at || serverAtLeast(nc, 2, 11);
    this.stuck = { at: lastSequence, looks: goesOn ? 0 : this.stuck.looks + 1 };
    return this.stuck.looks >= STUCK;
  }

  private fail(error: FlowError, log = true): void {
    if (log && this.failing?.message !== error.message) this.handler.log('error', error.message);
    this.failing = error;
    this.report();
  }

  private report(): void {
    const states = [...this.parts.values()].map(({ state }) => state);
    const failed = states.find(({ phase }) => phase === 'failing');
    const { owners } = this.group.table;
    if (this.failing) this.state = { phase: 'failing', error: this.failing };
    else if (failed) this.state = failed;
    else if (!this.begun) this.state = { phase: 'connecting' };
    else if (!states.some(({ phase }) => phase === 'ready')) this.state = { phase: 'standby' };
    else this.state = { phase: 'ready', partitions: { owned: states.length, all: owners.length } };
    this.handler.state(this.state);
  }
}

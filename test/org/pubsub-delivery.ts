/** One subscriber's stream: what it has asked for, what it has got, keepalives in between. */
import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { authenticate, authenticateAgain } from './pubsub-auth';
import { type Desk } from './pubsub-desk';
import { GrpcError, oversized, statusOf } from './pubsub-errors';
import { troubleFor, type Trouble } from './pubsub-faults';
import { type LogEntry } from './pubsub-log';
import {
  isOversized,
  type FetchResponse,
  type ManagedFetchResponse,
  type Oversized,
} from './pubsub-messages';
import { type Topic } from './pubsub-topics';

/** Over all requests; who asks for more gets so many. */
const MOST_OUTSTANDING = 100;
/** A response stays below the 4 MB that clients take. */
const RESPONSE_BYTES = 3 * 1024 * 1024;

type Call<Request> = ServerDuplexStream<Request | Oversized, FetchResponse>;

export class Delivery<Request extends object> {
  /** Number of the last position that was delivered, or told in a keepalive. */
  position = 0;
  /** Its replay id, once there is one. */
  #latest: Buffer = Buffer.alloc(0);
  readonly #rpcId = randomUUID();
  readonly #onPublished = (): void => this.#guard(() => this.#deliver());
  #topic: Topic | undefined;
  #outstanding = 0;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #tail = Promise.resolve();
  #closeEntry: (status: number) => void = () => undefined;
  #addRecords: (count: number) => void = () => undefined;

  /** `onRequest` starts the delivery with the first request and says how many events are asked for. */
  constructor(
    private readonly desk: Desk,
    private readonly call: Call<Request>,
    private readonly onRequest: (request: Request) => void,
    private readonly onClose: () => void = () => undefined,
  ) {}

  open(): void {
    const { call, desk } = this;
    const { entry, close } = desk.org.ledger.open('GRPC', call.getPath());
    this.#closeEntry = close;
    this.#addRecords = (count) => void (entry.records += count);
    call.on('data', (request: Request | Oversized) => {
      this.#tail = this.#tail.then(() => this.#take(request)).catch((thrown: unknown) => this.#end(thrown));
    });
    call.on('end', () => void this.#tail.then(() => this.#end()));
    call.on('cancelled', () => this.#stop(status.CANCELLED));
    call.on('error', () => this.#stop(status.CANCELLED));
    this.#guard(() => void authenticate(desk.org, call.metadata));
  }

  async #take(request: Request | Oversized): Promise<void> {
    if (this.#over) return;
    if (isOversized(request)) throw oversized();
    authenticateAgain(this.desk.org, this.call.metadata);
    const named = 'topicName' in request && typeof request.topicName === 'string' ? request.topicName : '';
    const trouble = this.#trouble(named === '' ? this.#topic?.name : named);
    await trouble.before();
    if (this.#isOver()) return;
    this.onRequest(request);
    this.#deliver(trouble);
  }

  #trouble(topic: string | undefined): Trouble {
    return troubleFor(this.desk.org, { method: 'GRPC', path: this.call.getPath(), topic }, () =>
      this.desk.drop(this.call),
    );
  }

  /** Delivers this topic's events from behind a position on; from now on where none is given. */
  start(topic: Topic, position: number | undefined): void {
    this.#topic = topic;
    if (position === undefined) this.#moveToTip();
    else this.position = position;
    this.desk.bus.log.on('published', this.#onPublished);
  }

  request(count: number): void {
    this.#outstanding = Math.min(MOST_OUTSTANDING, this.#outstanding + count);
  }

  /** A response beside the events: what a commit has come to. */
  respond(response: Partial<ManagedFetchResponse>): void {
    this.#write([], response);
  }

  #deliver(trouble?: Trouble): void {
    const topic = this.#topic;
    if (!topic) return;
    let delivered = false;
    while (this.#outstanding > 0) {
      const entries = this.desk.bus.log.after(this.position, topic.has, this.#outstanding, RESPONSE_BYTES);
      if (entries.length === 0) break;
      if (!delivered) authenticateAgain(this.desk.org, this.call.metadata);
      delivered = true;
      this.#spend(entries.length);
      this.#outstanding -= entries.length;
      this.#write(entries);
    }
    if (delivered) (trouble ?? this.#trouble(topic.name)).after();
    this.#wait();
  }

  /** Every event that a subscriber gets counts. */
  #spend(count: number): void {
    const daily = this.desk.org.limits.DailyDeliveredPlatformEvents;
    if (!daily) return;
    if (daily.Remaining < count)
      throw new GrpcError(
        status.RESOURCE_EXHAUSTED,
        'subscription.limit.exceeded',
        'You have exceeded the event delivery limit for your org.',
      );
    daily.Remaining -= count;
  }

  #write(entries: readonly LogEntry[], more: Partial<ManagedFetchResponse> = {}): void {
    const last = entries.at(-1);
    if (last) [this.position, this.#latest] = [last.position, last.replayId];
    this.#addRecords(entries.length);
    this.call.write({
      events: entries.flatMap(({ event }) => event ?? []),
      latestReplayId: this.#latest,
      rpcId: this.#rpcId,
      pendingNumRequested: this.#outstanding,
      ...more,
    });
  }

  #moveToTip(): void {
    const tip = this.desk.bus.log.tip();
    [this.position, this.#latest] = [tip.position, tip.replayId];
  }

  #keepAlive(): void {
    authenticateAgain(this.desk.org, this.call.metadata);
    const pending = this.desk.bus.log.after(this.position, this.#topic?.has ?? (() => false), 1, 0);
    // Who goes on from the tip must miss nothing.
    if (pending.length === 0) this.#moveToTip();
    this.#write([]);
    this.#wait();
  }

  /** A subscriber that waits for events hears of it; one that asks for none is let go. */
  #wait(): void {
    clearTimeout(this.#timer);
    const { keepAliveMs, fetchIdleMs } = this.desk.org.switches;
    this.#timer =
      this.#outstanding === 0
        ? setTimeout(() => this.#end(), fetchIdleMs)
        : setTimeout(() => this.#guard(() => this.#keepAlive()), keepAliveMs);
  }

  #guard(work: () => void): void {
    if (this.#over) return;
    try {
      work();
    } catch (thrown) {
      this.#end(thrown);
    }
  }

  #isOver(): boolean {
    return this.#over;
  }

  #stop(code: number): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.desk.bus.log.off('published', this.#onPublished);
    this.#closeEntry(code);
    this.onClose();
  }

  #end(thrown?: unknown): void {
    if (this.#over) return;
    this.#stop(
      thrown === undefined ? status.OK : thrown instanceof GrpcError ? thrown.code : status.INTERNAL,
    );
    if (thrown === undefined) this.call.end();
    else this.call.emit('error', statusOf(thrown, this.#rpcId));
  }
}

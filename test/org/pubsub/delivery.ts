/** One subscriber's stream: what it has asked for, what it has got, keepalives in between. */
import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { authenticate, authenticateAgain } from './auth';
import { type Desk } from './desk';
import { GrpcError, oversized, statusOf } from './errors';
import { troubleFor, type Trouble } from './faults';
import { type LogEntry } from './log';
import { isOversized, type FetchResponse, type ManagedFetchResponse, type Oversized } from './messages';
import { type Topic } from './topics';

/** Over all requests; who asks for more gets so many. */
const MOST_OUTSTANDING = 100;
/** A response stays below the 4 MB that clients take. */
const RESPONSE_BYTES = 3 * 1024 * 1024;

type Call<Request> = ServerDuplexStream<Request | Oversized, FetchResponse>;

export class Delivery<Request extends object> {
  /** Number of the last position that was delivered, or told in a keepalive. */
  position = 0;
  #latest: Buffer = Buffer.alloc(0);
  /** What a request has met that strikes after the next delivery. */
  #held: Trouble | undefined;
  readonly #rpcId = randomUUID();
  readonly #onPublished = (): void => this.#enqueue(() => this.#deliver());
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
    call.on('data', (request: Request | Oversized) => this.#enqueue(() => this.#take(request)));
    call.on('end', () => void this.#tail.then(() => this.#end()));
    call.on('cancelled', () => this.#stop(status.CANCELLED));
    call.on('error', () => this.#stop(status.CANCELLED));
    this.#guard(() => void authenticate(desk.org, call.metadata));
  }

  /** Requests and deliveries are one after the other. */
  #enqueue(work: () => Promise<void>): void {
    this.#tail = this.#tail
      .then(() => (this.#over ? undefined : work()))
      .catch((thrown: unknown) => this.#end(thrown));
  }

  async #take(request: Request | Oversized): Promise<void> {
    if (isOversized(request)) throw oversized();
    authenticateAgain(this.desk.org, this.call.metadata);
    const named = 'topicName' in request && typeof request.topicName === 'string' ? request.topicName : '';
    const trouble = await this.#trouble(named === '' ? this.#topic?.name : named);
    if (this.#over) return;
    this.onRequest(request);
    this.#held ??= trouble;
    await this.#deliver();
  }

  /** The trouble of a request or a delivery, after what it does beforehand. */
  async #trouble(topic: string | undefined): Promise<Trouble | undefined> {
    const { org, drop } = this.desk;
    const occasion = { method: 'GRPC', path: this.call.getPath(), topic };
    const trouble = troubleFor(org, occasion, () => drop(this.call));
    await trouble?.before();
    return trouble;
  }

  /** Delivers this topic's events from behind a position on; from now on where none is given. */
  start(topic: Topic, position: number | undefined): void {
    this.#topic = topic;
    if (position === undefined) this.#moveToTip();
    else [this.position, this.#latest] = [position, this.desk.bus.log.replayIdOf(position)];
    this.desk.bus.log.on('published', this.#onPublished);
  }

  request(count: number): void {
    this.#outstanding = Math.min(MOST_OUTSTANDING, this.#outstanding + count);
  }

  /** A response beside the events: what a commit has come to. */
  respond(response: Partial<ManagedFetchResponse>): void {
    this.#write([], response);
  }

  async #deliver(): Promise<void> {
    if (this.#outstanding > 0 && this.#waiting(1).length > 0) {
      const trouble = this.#held ?? (await this.#trouble(this.#topic?.name));
      this.#held = undefined;
      if (this.#over) return;
      authenticateAgain(this.desk.org, this.call.metadata);
      this.#send();
      trouble?.after();
    }
    if (this.#topic) this.#wait();
  }

  #send(): void {
    while (this.#outstanding > 0) {
      const entries = this.#waiting(this.#outstanding);
      if (entries.length === 0) return;
      this.#spend(entries.length);
      this.#outstanding -= entries.length;
      this.#write(entries);
    }
  }

  /** Events that are wanted and not delivered. */
  #waiting(count: number): LogEntry[] {
    const topic = this.#topic;
    return topic ? this.desk.bus.log.after(this.position, topic.has, count, RESPONSE_BYTES) : [];
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
    // Who goes on from the tip must miss nothing.
    if (this.#waiting(1).length === 0) this.#moveToTip();
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

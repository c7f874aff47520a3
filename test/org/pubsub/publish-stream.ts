/** PublishStream: requests take their time side by side; they are published and answered in order. */
import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { authenticate, authenticateAgain } from './auth';
import { simulatedTime, type Desk } from './desk';
import { GrpcError, invalid, statusOf } from './errors';
import { isOversized, type Oversized, type PublishRequest, type PublishResponse } from './messages';
import { publishOne } from './publish';

type Call = ServerDuplexStream<PublishRequest | Oversized, PublishResponse>;

export function publishStream(desk: Desk) {
  return (call: Call): void => new PublishStream(desk, call).open();
}

class PublishStream {
  readonly #rpcId = randomUUID();
  #topicName = '';
  #over = false;
  #idle: NodeJS.Timeout | undefined;
  #tail = Promise.resolve();

  constructor(
    private readonly desk: Desk,
    private readonly call: Call,
  ) {}

  open(): void {
    const { call } = this;
    try {
      authenticate(this.desk.org, call.metadata);
    } catch (thrown) {
      this.#end(thrown);
      return;
    }
    this.#stayAwake();
    call.on('data', (request: PublishRequest | Oversized) => {
      this.#stayAwake();
      const latency = simulatedTime(this.desk.org);
      this.#tail = this.#tail
        .then(() => this.#work(request, latency))
        .catch((thrown: unknown) => this.#end(thrown));
    });
    call.on('end', () => void this.#tail.then(() => this.#end()));
    call.on('cancelled', () => this.#stop());
    call.on('error', () => this.#stop());
  }

  async #work(request: PublishRequest | Oversized, latency: Promise<void>): Promise<void> {
    if (this.#over) return;
    const { call, desk } = this;
    authenticateAgain(desk.org, call.metadata);
    const response = await publishOne(desk, isOversized(request) ? request : this.#named(request), {
      path: call.getPath(),
      rpcId: this.#rpcId,
      latency,
      drop: () => desk.drop(call),
    });
    if (!this.#isOver()) call.write(response);
  }

  /** The first request names the topic; later ones may leave it out. */
  #named(request: PublishRequest): PublishRequest {
    const topicName = request.topicName === '' ? this.#topicName : request.topicName;
    if (this.#topicName !== '' && topicName !== this.#topicName)
      throw invalid('publish.topic.mismatch', `The topic of the stream, ${this.#topicName}, can't change.`);
    this.#topicName = topicName;
    return { ...request, topicName };
  }

  #stayAwake(): void {
    const { publishIdleMs } = this.desk.org.switches;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#end(sweeperTimeout(publishIdleMs)), publishIdleMs);
  }

  #isOver(): boolean {
    return this.#over;
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#idle);
  }

  #end(thrown?: unknown): void {
    if (this.#over) return;
    this.#stop();
    if (thrown === undefined) this.call.end();
    else this.call.emit('error', statusOf(thrown, this.#rpcId));
  }
}

function sweeperTimeout(ms: number): GrpcError {
  return new GrpcError(
    status.UNAVAILABLE,
    'publish.stream.sweeper.timeout',
    `No publish request came within ${ms / 1000} seconds.`,
  );
}

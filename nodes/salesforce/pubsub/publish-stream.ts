import { PubSubRefusal, type PubSub } from './client';
import { CallLost, type RpcError } from './errors';
import type { ProducerEvent, PublishRequest, PublishResponse, RpcStream } from './messages';
import { say } from '../../shared/say';

/** The request behind one that the org refused, on the same stream: nobody has looked at it. */
export class RequestUnread extends Error {}

type Stream = RpcStream<PublishRequest>;

interface Request {
  events: ProducerEvent[];
  mayGo: () => boolean;
  written: boolean;
  resolve: (response: PublishResponse) => void;
  reject: (error: Error) => void;
}

/** An answer that takes longer is lost. */
const ANSWER_MS = 60_000;
/** The org closes a stream that is idle for 70 s (by the .proto); closed before, it can't be closed under a request. */
const IDLE_MS = 30_000;

/**
 * Publishes over one PublishStream, which costs half of single calls and keeps the order of requests however many
 * are under way. The stream is opened by the first request, and again after it broke or was idle.
 */
export class PublishStream {
  private stream: Stream | undefined;
  private opening: Promise<void> | undefined;
  /** Requests without an answer, in their order. */
  private waiting: Request[] = [];
  private timer: NodeJS.Timeout | undefined;
  /** The request whose answer the timer is for; none while the stream is idle. */
  private awaited: Request | undefined;
  private token = '';
  /** The session was renewed, and nothing has been answered since. */
  private renewed = false;
  private closed = false;

  constructor(
    private readonly pubsub: PubSub,
    private readonly topic: string,
  ) {}

  /**
   * `mayGo` is asked right before they go out. Resolves with one result for each event. Rejects with OrgOutage (not carried out, or nobody knows), PubSubRefusal,
   * or RequestUnread, also where they may not go.
   */
  send(events: ProducerEvent[], mayGo: () => boolean = () => true): Promise<PublishResponse> {
    if (this.closed) return Promise.reject(streamEnded(this.topic));
    return new Promise((resolve, reject) => {
      this.waiting.push({ events, mayGo, written: false, resolve, reject });
      this.write();
    });
  }

  /** Requests under way fail, and so does whatever is sent afterwards. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.stream?.cancel();
    this.rejectAll(streamEnded(this.topic));
  }

  private write(): void {
    const { stream } = this;
    if (!stream) {
      this.opening ??= this.open();
      return;
    }
    for (const request of [...this.waiting]) {
      if (request.written) continue;
      if (!request.mayGo()) {
        this.waiting.splice(this.waiting.indexOf(request), 1);
        request.reject(new RequestUnread());
        continue;
      }
      request.written = true;
      stream.write({ topic_name: this.topic, events: request.events });
    }
    this.watch();
  }

  private async open(): Promise<void> {
    try {
      const channel = await this.pubsub.open();
      const grant = await this.pubsub.login(this.pubsub.session.login());
      if (this.closed) throw streamEnded(this.topic);
      const stream: Stream = channel.publishStream(grant, {
        data: (response) => this.answered(response),
        over: (error) => this.broken(stream, error),
      });
      this.token = grant.accessToken;
      this.stream = stream;
      this.opening = undefined;
      this.write();
    } catch (error) {
      // Before anybody is told: what is sent then is for another stream.
      this.opening = undefined;
      this.rejectAll(error as Error);
    }
  }

  /** One answer is awaited at a time: that of the first request. */
  private watch(): void {
    const [first] = this.waiting;
    if (first && first === this.awaited) return;
    clearTimeout(this.timer);
    this.awaited = first;
    this.timer = first
      ? setTimeout(() => this.stream?.cancel(), ANSWER_MS)
      : setTimeout(() => this.rest(), IDLE_MS);
  }

  private rest(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.end();
  }

  private answered(response: PublishResponse): void {
    // An answer without results only says that the stream is alive.
    if (response.results.length === 0) return;
    this.renewed = false;
    this.waiting.shift()?.resolve(response);
    this.watch();
  }

  private broken(stream: Stream, error: RpcError | undefined): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.awaited = undefined;
    clearTimeout(this.timer);
    if (this.waiting.length === 0) return;
    const trouble = error && this.pubsub.troubleOf(error, say`topic ${this.topic}`);
    if (!trouble) return this.rejectAll(streamEnded(this.topic));
    if (trouble.kind === 'outage') return this.rejectAll(trouble.outage);
    if (trouble.kind !== 'session') return this.refused(new PubSubRefusal(trouble));
    if (this.renewed) return this.rejectAll(this.pubsub.explain(error, this.topic));
    this.renewed = true;
    this.pubsub.login(this.pubsub.session.relogin(this.token)).then(
      () => this.writeAgain(),
      (failure: Error) => this.rejectAll(failure),
    );
  }

  private writeAgain(): void {
    for (const request of this.waiting) request.written = false;
    this.write();
  }

  /** Requests are read one after the other, so it is the first without an answer that was refused. */
  private refused(refusal: PubSubRefusal): void {
    const [first, ...behind] = this.waiting.splice(0);
    first?.reject(refusal);
    for (const request of behind) request.reject(new RequestUnread());
  }

  private rejectAll(error: Error): void {
    for (const request of this.waiting.splice(0)) request.reject(error);
  }
}

function streamEnded(topic: string): CallLost {
  return new CallLost(
    'unreachable',
    'STREAM_ENDED',
    say`The org ended the stream to ${topic} before it answered`,
    true,
  );
}

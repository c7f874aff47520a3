import { FlowError, codeOf } from '../../shared/errors';
import { encode, encodeMessage } from './encoding';
import { OrgOutage } from '../org/outage';
import { PubSubRefusal, type PubSub } from '../pubsub/client';
import { CallLost } from '../pubsub/errors';
import { PublishStream, RequestUnread } from '../pubsub/publish-stream';
import { asFlowError, closed, failedRepeatedly, limitSpent, notPublished, resultsOf } from './outcome';
import {
  EventQueue,
  REQUEST_EVENTS,
  isOpen,
  split,
  type EventError,
  type PublishMessage,
  type PublishResult,
  type QueuedEvent,
} from './queue';
import type { TopicSchema } from '../pubsub/schemas';
import type { PublishResponse } from '../pubsub/messages';

export interface PublisherOptions {
  topic: string;
  /** Publish requests without an answer; their events keep their order, and all of them may have to be sent again. */
  maxRequests: number;
  /** While the org can't be used, messages wait (hold) or fail at once, retryable (fail). */
  onOutage: 'hold' | 'fail';
  /** Repetitions of an event that was refused by itself: first pause in ms, and how many; for tests. */
  retry?: { first: number; times: number };
}

export interface PublisherState {
  /** Requests under way and the events in them. */
  requests: number;
  events: number;
  /** Events that wait. */
  waiting: number;
}

const RETRY = { first: 500, times: 3 };
/** A request that was lost twice is taken apart to find who spoils it; nobody is sent more often than this. */
const LOSSES_BEFORE_SPLIT = 2;
const MOST_LOSSES = 10;
/** A definition this old (ms) is asked for again: the org may take events by an earlier one, and drop fields. */
const SCHEMA_AGE = 60_000;

interface Refused {
  event: QueuedEvent;
  error: EventError;
}

interface Waiting {
  resolve: (results: PublishResult[]) => void;
  reject: (error: unknown) => void;
  pause: () => () => void;
  resume?: () => void;
}

/**
 * Publishes the messages of one node to one topic, in their order: an idle publisher sends at once; while a request
 * is under way events gather, and another starts beside it only when it is full. An event whose answer was lost is
 * sent again, with the same id.
 */
export class Publisher {
  private readonly queue = new EventQueue();
  private readonly stream: PublishStream;
  private readonly requests = new Map<QueuedEvent[], Promise<void>>();
  private readonly messages = new Map<PublishMessage, Waiting>();
  /** Messages whose events are not encoded yet. */
  private incoming: PublishMessage[] = [];
  private incomingEvents = 0;
  private current: TopicSchema | undefined;
  private asking: Promise<void> | undefined;
  private readonly retry: NonNullable<PublisherOptions['retry']>;
  private readonly stopListening: () => void;
  private timer: NodeJS.Timeout | undefined;
  private tick: NodeJS.Immediate | undefined;
  private closing = false;
  /** Requests of which it is not clear yet what comes back of them: nothing may overtake that. */
  private recovering = 0;
  private admitted = 0;

  constructor(
    private readonly pubsub: PubSub,
    private readonly options: PublisherOptions,
    /** Told after anything that `state` shows has changed. */
    private readonly changed: () => void = () => undefined,
  ) {
    this.retry = options.retry ?? RETRY;
    this.stream = new PublishStream(pubsub, options.topic);
    this.stopListening = pubsub.onChange(() => this.availabilityChanged());
  }

  get state(): PublisherState {
    const events = [...this.requests.keys()].reduce((sum, request) => sum + request.length, 0);
    return { requests: this.requests.size, events, waiting: this.queue.size + this.incomingEvents };
  }

  /**
   * Publishes one message: one result for each record, in order, all of them successes. Rejects with FlowError,
   * with the results in `details`, where any event was not published. `pause` stops the processing clock of the
   * message while the org is out of reach.
   */
  publish(
    records: readonly unknown[],
    ids: readonly string[],
    pause: () => () => void,
  ): Promise<PublishResult[]> {
    return new Promise((resolve, reject) => {
      if (this.closing) throw closed();
      const { current } = this.pubsub.availability;
      if (current && this.options.onOutage === 'fail')
        throw new FlowError(current.code, current.message, true);
      const message: PublishMessage = {
        arrivedAt: performance.now(),
        records,
        ids,
        results: new Array<undefined>(records.length),
        open: records.length,
      };
      this.messages.set(message, { resolve, reject, pause, resume: current && pause() });
      this.incoming.push(message);
      this.incomingEvents += records.length;
      this.schedulePump();
    });
  }

  /**
   * Sends nothing more. Requests under way have `limit` milliseconds to finish; then, and for what was not begun,
   * the messages fail so that their consumer delivers them again.
   */
  async close(limit: number): Promise<void> {
    this.closing = true;
    this.stopListening();
    clearTimeout(this.timer);
    clearImmediate(this.tick);
    this.giveUpAll(closed());
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, limit)));
    await Promise.race([Promise.all(this.requests.values()), timeout]);
    clearTimeout(timer);
    for (const request of this.requests.keys()) this.giveUp(request, closed());
    this.stream.close();
  }

  /** Messages of the same moment go together. */
  private schedulePump(): void {
    this.tick ??= setImmediate(() => {
      this.tick = undefined;
      this.pump();
    });
  }

  private pump(): void {
    clearTimeout(this.timer);
    if (this.closing) return;
    if (!this.pubsub.availability.current) {
      const now = performance.now();
      while (this.recovering === 0 && this.requests.size < this.options.maxRequests) {
        this.admit();
        const request = this.queue.take(now, this.requests.size > 0);
        if (!request) break;
        this.requests.set(request, this.send(request));
      }
      const ready = this.requests.size === 0 ? this.queue.nextReady() : undefined;
      if (ready !== undefined) this.timer = setTimeout(() => this.pump(), Math.max(0, ready - now));
    }
    this.changed();
  }

  /**
   * Encodes messages that have come, for one request: the org is at work while the next ones are encoded. A message of
   * which anything can't be published fails as a whole, before anything of it is sent.
   */
  private admit(): void {
    let admitted = 0;
    for (; admitted < this.incoming.length && this.queue.ready < REQUEST_EVENTS; admitted++) {
      if (!this.current) {
        this.askSchema();
        break;
      }
      if (this.current.askedAt < performance.now() - SCHEMA_AGE) this.askSchema();
      const message = this.incoming[admitted] as PublishMessage;
      try {
        this.queue.add(
          encodeMessage(message, this.current.schema, this.pubsub.session.userId, this.admitted),
        );
        this.admitted += message.records.length;
      } catch (error) {
        // The field may be newer than what is known of the event.
        if (codeOf(error) === 'UNKNOWN_FIELD' && this.current.askedAt < message.arrivedAt) {
          this.askSchema();
          break;
        }
        this.fail(message, asFlowError(error));
      }
      this.settle(message);
    }
    this.leaveIncoming(admitted);
  }

  private leaveIncoming(count: number): PublishMessage[] {
    const messages = this.incoming.splice(0, count);
    for (const { records } of messages) this.incomingEvents -= records.length;
    return messages;
  }

  private askSchema(): void {
    this.asking ??= this.pubsub.schemas
      .refresh(this.options.topic)
      .then(
        (answer) => this.useSchema(answer),
        (error: unknown) => this.schemaFailed(error),
      )
      .finally(() => {
        this.asking = undefined;
        this.schedulePump();
      });
  }

  private schemaFailed(error: unknown): void {
    this.current = undefined;
    if (error instanceof OrgOutage) return this.outage(error);
    // Whatever waits would be refused for the same reason.
    for (const message of this.leaveIncoming(Infinity)) this.fail(message, asFlowError(error));
  }

  private useSchema(answer: TopicSchema): void {
    this.current = answer;
    this.reencode(this.queue.all);
    this.queue.keep(isOpen);
  }

  /** Events that were written by an earlier schema. */
  private reencode(events: readonly QueuedEvent[]): void {
    const { current } = this;
    if (!current) return;
    for (const event of events) {
      if (event.schemaId === current.schema.id) continue;
      try {
        event.payload = encode(
          event.message.records[event.index],
          current.schema,
          this.pubsub.session.userId,
        );
        event.schemaId = current.schema.id;
      } catch (error) {
        this.giveUp([event], asFlowError(error));
      }
    }
  }

  private async send(request: QueuedEvent[]): Promise<void> {
    const events = request.map(({ id, schemaId, payload }) => ({ id, schema_id: schemaId, payload }));
    try {
      await this.recover(this.judge(request, await this.stream.send(events)));
    } catch (error) {
      await this.recover(this.requestFailed(request, error)).catch((other: unknown) =>
        this.requestFailed(request, other),
      );
    }
    this.requests.delete(request);
    if (this.closing) this.giveUp(request, closed());
    else this.schedulePump();
  }

  /** Nothing is sent meanwhile: what comes back goes first. */
  private async recover(work: Promise<void> | undefined): Promise<void> {
    if (!work) return;
    this.recovering++;
    await work.finally(() => this.recovering--);
  }

  /** Settles what was published; gives the work that is left with what wasn't. */
  private judge(request: QueuedEvent[], { results }: PublishResponse): Promise<void> | undefined {
    if (results.length !== request.length) {
      const text = `The answer of the org has ${results.length} results for ${request.length} events`;
      throw new CallLost('unreachable', 'UNREADABLE_ANSWER', text, true);
    }
    const refused: Refused[] = [];
    request.forEach((event, i) => {
      const { error, replay_id } = results[i] as PublishResponse['results'][number];
      if (error) refused.push({ event, error: { code: error.code, message: error.msg } });
      else this.finish(event, { replayId: replay_id.toString('base64'), success: true });
    });
    if (refused.length < request.length) this.pubsub.worked();
    const limit = refused.find(({ error }) => /LIMIT_EXCEEDED/.test(error.message));
    if (!limit) return refused.length > 0 ? this.refused(refused) : undefined;
    this.putBack(refused.map(({ event }) => event));
    this.outage(limitSpent(limit.error.message));
    return undefined;
  }

  /** Events the org didn't take, each by itself: repeated apart from the others, unless a new schema is what they need. */
  private async refused(refused: Refused[]): Promise<void> {
    const renewed = await this.schemaChanged(refused[0]?.event.schemaId).catch(() => false);
    for (const { event, error } of refused) {
      if (renewed) continue;
      if (event.refusals >= this.retry.times)
        this.giveUp([event], notPublished(event, error, this.options.topic));
      event.notBefore =
        performance.now() + this.retry.first * 2 ** event.refusals * (0.75 + Math.random() / 2);
      event.refusals++;
    }
    this.putBack(refused.map(({ event }) => event));
  }

  private async requestFailed(request: QueuedEvent[], error: unknown): Promise<void> {
    if (error instanceof RequestUnread) return this.putBack(request);
    if (error instanceof OrgOutage) {
      if (error instanceof CallLost) this.lost(request, error);
      this.putBack(request);
      return this.outage(error);
    }
    if (!(error instanceof PubSubRefusal)) return this.giveUp(request, asFlowError(error));
    const { kind, error: reason } = error.trouble;
    if (kind === 'topic') {
      this.current = undefined;
      return this.giveUp(request, reason);
    }
    if (await this.schemaChanged(request[0]?.schemaId)) return this.putBack(request);
    // One event may have spoilt it for the others.
    if (request.length === 1) return this.giveUp(request, reason);
    split(request);
    this.putBack(request);
  }

  /** Asks the org for the topic's schema: true if it is another one than the events were written by. */
  private async schemaChanged(id: string | undefined): Promise<boolean> {
    try {
      const answer = await this.pubsub.schemas.refresh(this.options.topic);
      this.useSchema(answer);
      return answer.schema.id !== id;
    } catch (error) {
      if (error instanceof OrgOutage) throw error;
      return false;
    }
  }

  private lost(request: QueuedEvent[], error: CallLost): void {
    for (const event of request) {
      event.losses++;
      if (event.losses >= MOST_LOSSES) this.giveUp([event], failedRepeatedly(event, error));
    }
    if (request.some((event) => event.losses >= LOSSES_BEFORE_SPLIT)) split(request);
  }

  private putBack(events: QueuedEvent[]): void {
    // What doesn't fit a newer definition fails now, and is not to be sent any more.
    this.reencode(events);
    this.queue.putBack(events.filter(isOpen));
  }

  private outage(error: OrgOutage): void {
    // Requests that closing has cut off say nothing about the org.
    if (this.closing) return;
    this.pubsub.begin(error, this.options.topic);
    if (this.options.onOutage === 'fail') this.giveUpAll(error);
  }

  private giveUpAll(error: FlowError): void {
    this.giveUp(this.queue.drain(), error);
    for (const message of this.leaveIncoming(Infinity)) this.fail(message, error);
  }

  /** The events fail, and their messages with them. */
  private giveUp(events: readonly QueuedEvent[], error: FlowError): void {
    for (const event of events.filter(isOpen)) {
      event.message.failure ??= error;
      this.finish(event, {
        replayId: null,
        success: false,
        error: { code: error.code, message: error.message },
      });
    }
  }

  /** The whole message fails before anything of it was sent. */
  private fail(message: PublishMessage, error: FlowError): void {
    message.failure = error;
    message.open = 0;
    this.settle(message);
  }

  private finish(event: QueuedEvent, result: PublishResult): void {
    if (!isOpen(event)) return;
    event.message.results[event.index] = result;
    event.message.open--;
    this.settle(event.message);
  }

  private settle(message: PublishMessage): void {
    const waiting = message.open === 0 ? this.messages.get(message) : undefined;
    if (!waiting) return;
    this.messages.delete(message);
    waiting.resume?.();
    try {
      waiting.resolve(resultsOf(message, this.options.topic));
    } catch (error) {
      waiting.reject(error);
    }
  }

  private availabilityChanged(): void {
    const { current } = this.pubsub.availability;
    if (!current) {
      for (const waiting of this.messages.values()) {
        waiting.resume?.();
        waiting.resume = undefined;
      }
      return this.schedulePump();
    }
    if (this.options.onOutage === 'fail') this.giveUpAll(new FlowError(current.code, current.message, true));
    else for (const waiting of this.messages.values()) waiting.resume ??= waiting.pause();
    this.changed();
  }
}

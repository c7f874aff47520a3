import type { FlowError } from '../../shared/errors';
import type { Hold } from '../../shared/flow/delivery';
import { Admission, type AdmissionHandler } from './admission';
import { asFlowError, limitSpent, notPublished, resultsOf } from './outcome';
import {
  REQUEST_EVENTS,
  eventsOf,
  isOpen,
  type EventError,
  type PublishMessage,
  type PublishResult,
  type QueuedEvent,
} from './queue';
import { Dispatcher, closed, type Carrier, type DispatcherOptions } from '../org/dispatcher';
import { OrgOutage } from '../org/outage';
import type { Retry } from '../org/repeats';
import { PubSubRefusal, type PubSub } from '../pubsub/client';
import { CallLost } from '../pubsub/errors';
import type { PublishResponse } from '../pubsub/messages';
import { PublishStream, RequestUnread } from '../pubsub/publish-stream';
import { say } from '../../shared/say';

/** Of several requests under way the events keep their order, and all of them may have to be sent again. */
export interface PublisherOptions extends Pick<DispatcherOptions, 'maxRequests' | 'onOutage'> {
  topic: string;
  /** Other repetitions of an event that was refused by itself; for tests. */
  retry?: Pick<Retry, 'first' | 'times'>;
}

export interface PublisherState {
  /** Requests under way and the events in them. */
  requests: number;
  events: number;
  /** Events that wait. */
  waiting: number;
}

const RETRY: Retry = { first: 500, longest: Infinity, times: 3, spread: 0.25 };

interface Refused {
  event: QueuedEvent;
  error: EventError;
}

/**
 * Publishes the messages of one node to one topic, in their order: says what each answer means for each event. An
 * event whose answer was lost is sent again, with the same id.
 */
export class Publisher implements Carrier<PublishMessage, QueuedEvent, QueuedEvent[]>, AdmissionHandler {
  private readonly admission: Admission;
  private readonly stream: PublishStream;
  private readonly dispatcher: Dispatcher<PublishMessage, QueuedEvent, QueuedEvent[], PublishResult[]>;
  /** Events that ever came: the place of the next one. */
  private accepted = 0;
  /** Requests of which it is not clear yet what comes back of them: nothing may overtake that. */
  private recovering = 0;

  constructor(
    private readonly pubsub: PubSub,
    private readonly options: PublisherOptions,
    /** Told after anything that `state` shows has changed. */
    changed: () => void = () => undefined,
  ) {
    const { topic, maxRequests, onOutage, retry } = options;
    this.stream = new PublishStream(pubsub, topic);
    this.admission = new Admission(pubsub, topic, this);
    const dispatching = { maxRequests, onOutage, largest: REQUEST_EVENTS, retry: { ...RETRY, ...retry } };
    this.dispatcher = new Dispatcher(pubsub, this.admission, this, dispatching, changed);
  }

  get state(): PublisherState {
    const requests = this.dispatcher.underWay;
    const events = requests.reduce((sum, request) => sum + request.length, 0);
    return { requests: requests.length, events, waiting: this.admission.waiting };
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
    hold?: Hold,
  ): Promise<PublishResult[]> {
    return this.dispatcher.accept(
      pause,
      () => {
        const results = new Array<undefined>(records.length);
        const message = { arrivedAt: performance.now(), records, ids, results, open: records.length };
        if (records.length > 0) this.admission.add(eventsOf(message, this.accepted));
        this.accepted += records.length;
        return message;
      },
      hold,
    );
  }

  /**
   * Sends nothing more. Requests under way have `limit` milliseconds to finish; then, and for what was not begun,
   * the messages fail so that their consumer delivers them again.
   */
  async close(limit: number): Promise<void> {
    for (const request of await this.dispatcher.close(limit)) this.giveUp(request, closed());
    this.stream.close();
  }

  mayBegin(): boolean {
    return this.recovering === 0;
  }

  wake(): void {
    this.dispatcher.wake();
  }

  /** Publishes the request, and gives each event its result, or back. */
  async send(request: QueuedEvent[]): Promise<void> {
    const events = request.map(({ id, schemaId, payload }) => ({ id, schema_id: schemaId, payload }));
    try {
      await this.recover(
        this.answered(request, await this.stream.send(events, () => this.dispatcher.isHeld(request))),
      );
    } catch (error) {
      await this.recover(this.requestFailed(request, error)).catch((other: unknown) =>
        this.requestFailed(request, other),
      );
    }
  }

  /** Nothing is sent meanwhile: what comes back goes first. */
  private async recover(work: Promise<void> | undefined): Promise<void> {
    if (!work) return;
    this.recovering++;
    await work.finally(() => this.recovering--);
  }

  /** Settles what was published; gives the work that is left with what wasn't. */
  private answered(request: QueuedEvent[], { results }: PublishResponse): Promise<void> | undefined {
    if (results.length !== request.length) {
      const text = say`The answer of the org has ${results.length} results for ${request.length} events`;
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
    const outage = limitSpent(limit.error.message);
    this.dispatcher.putBack(
      refused.map(({ event }) => event),
      outage,
    );
    this.unavailable(outage);
    return undefined;
  }

  /** Events the org didn't take, each by itself: repeated apart from the others, unless a new schema is what they need. */
  private async refused(refused: Refused[]): Promise<void> {
    const renewed = await this.admission.schemaChanged(refused[0]?.event.schemaId).catch(() => false);
    if (renewed) return this.dispatcher.putBack(refused.map(({ event }) => event));
    for (const { event, error } of refused) {
      if (this.dispatcher.isExhausted(event))
        this.giveUp([event], notPublished(event, error, this.options.topic));
      else this.dispatcher.retryLater([event]);
    }
  }

  private async requestFailed(request: QueuedEvent[], error: unknown): Promise<void> {
    if (error instanceof RequestUnread) return this.dispatcher.putBack(request);
    if (error instanceof OrgOutage) {
      if (error instanceof CallLost) this.dispatcher.lost(request, error);
      else this.dispatcher.putBack(request, error);
      return this.unavailable(error);
    }
    if (!(error instanceof PubSubRefusal)) return this.giveUp(request, asFlowError(error));
    const { kind, error: reason } = error.trouble;
    if (kind === 'topic') {
      this.admission.forget();
      return this.giveUp(request, reason);
    }
    if (await this.admission.schemaChanged(request[0]?.schemaId)) return this.dispatcher.putBack(request);
    // One event may have spoilt it for the others.
    if (request.length === 1) this.giveUp(request, reason);
    else this.dispatcher.sendApart(request);
  }

  /** Nothing is sent until a probe says that the org is back. */
  unavailable(outage: OrgOutage): void {
    // Requests that closing has cut off say nothing about the org.
    if (!this.dispatcher.closing) this.pubsub.begin(outage, this.options.topic);
  }

  /** The events fail, and their messages with them. */
  giveUp(events: readonly QueuedEvent[], error: FlowError): void {
    for (const event of events.filter(isOpen)) {
      event.message.failure ??= error;
      const { code, message } = error;
      this.finish(event, { replayId: null, success: false, error: { code, message } });
    }
  }

  /** The whole message fails before anything of it was sent. */
  refuse(message: PublishMessage, error: FlowError): void {
    message.failure = error;
    message.open = 0;
    this.settle([message]);
  }

  private finish(event: QueuedEvent, result: PublishResult): void {
    // A late answer comes for what was given up.
    if (!isOpen(event)) return;
    event.message.results[event.index] = result;
    event.message.open--;
    this.settle([event.message]);
  }

  /** Answers those of the messages that are over. */
  settle(messages: Iterable<PublishMessage>): void {
    for (const message of messages) {
      if (message.open === 0) this.dispatcher.answer(message, () => resultsOf(message, this.options.topic));
    }
  }
}

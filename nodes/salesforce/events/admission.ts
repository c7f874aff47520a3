import { codeOf, type FlowError } from '../../shared/errors';
import { encodeEvent } from './encoding';
import { asFlowError } from './outcome';
import { EventQueue, REQUEST_EVENTS, isOpen, type PublishMessage, type QueuedEvent } from './queue';
import type { Queue } from '../org/dispatcher';
import { OrgOutage } from '../org/outage';
import type { PubSub } from '../pubsub/client';
import type { TopicSchema } from '../pubsub/schemas';

/** What becomes of messages and events that can't be written by the definition. */
export interface AdmissionHandler {
  /** The whole message fails before anything of it was sent. */
  refuse(message: PublishMessage, error: FlowError): void;
  /** An event that was written before fails, and its message with it. */
  giveUp(events: readonly QueuedEvent[], error: FlowError): void;
  /** The definition can't be asked for just now. */
  unavailable(outage: OrgOutage): void;
  /** The definition is known, or whatever waited for it has failed. */
  wake(): void;
}

/** A definition this old (ms) is asked for again: the org may take events by an earlier one, and drop fields. */
const SCHEMA_AGE = 60_000;

/**
 * The queue of a topic whose events are written when a request needs them, by the topic's definition. It asks for
 * that when there is none, when it is old, and when a message has a field that it doesn't know.
 */
export class Admission implements Queue<QueuedEvent, QueuedEvent[]> {
  private readonly queue = new EventQueue();
  private incoming: QueuedEvent[][] = [];
  private current: TopicSchema | undefined;
  private asking: Promise<void> | undefined;
  private unwritten = 0;

  constructor(
    private readonly pubsub: PubSub,
    private readonly topic: string,
    private readonly handler: AdmissionHandler,
  ) {}

  /** The events of a message come in. */
  add(events: QueuedEvent[]): void {
    this.incoming.push(events);
    this.unwritten += events.length;
  }

  /** Events that wait. */
  get waiting(): number {
    return this.queue.size + this.unwritten;
  }

  take(now: number, onlyFull: boolean): QueuedEvent[] | undefined {
    this.admit();
    return this.queue.take(now, onlyFull);
  }

  nextReady(): number | undefined {
    return this.queue.nextReady();
  }

  /** What doesn't fit a newer definition fails now, and is not to be sent any more. */
  putBack(events: readonly QueuedEvent[]): void {
    this.renew(events);
    this.queue.putBack(events.filter(isOpen));
  }

  drain(): QueuedEvent[] {
    return [...this.queue.drain(), ...this.leave(this.incoming.length).flat()];
  }

  withdraw(unwanted: (event: QueuedEvent) => boolean): QueuedEvent[] {
    const written = this.queue.all.filter(unwanted);
    if (written.length > 0) this.queue.keep((event) => !unwanted(event));
    const coming = this.leave(this.incoming.length);
    // The events of a message are wanted or not all together.
    for (const events of coming) if (!events.some(unwanted)) this.add(events);
    return [...written, ...coming.filter((events) => events.some(unwanted)).flat()];
  }

  /**
   * Writes messages for one request: the org is at work while the next ones are written. A message of which anything
   * can't be published fails as a whole.
   */
  private admit(): void {
    let admitted = 0;
    for (; admitted < this.incoming.length && this.queue.ready < REQUEST_EVENTS; admitted++) {
      if (!this.current) {
        this.ask();
        break;
      }
      if (this.current.askedAt < performance.now() - SCHEMA_AGE) this.ask();
      const events = this.incoming[admitted] as QueuedEvent[];
      const { message } = events[0] as QueuedEvent;
      try {
        for (const event of events) encodeEvent(event, this.current.schema, this.pubsub.session.userId);
        this.queue.add(events);
      } catch (error) {
        // The field may be newer than what is known of the event.
        if (codeOf(error) === 'UNKNOWN_FIELD' && this.current.askedAt < message.arrivedAt) {
          this.ask();
          break;
        }
        this.handler.refuse(message, asFlowError(error));
      }
    }
    this.leave(admitted);
  }

  /** Asks for the definition: true if it is another one than that with this id. Throws OrgOutage. */
  async schemaChanged(id: string | undefined): Promise<boolean> {
    try {
      const answer = await this.pubsub.schemas.refresh(this.topic);
      this.use(answer);
      return answer.schema.id !== id;
    } catch (error) {
      if (error instanceof OrgOutage) throw error;
      return false;
    }
  }

  /** The next message asks what the topic is. */
  forget(): void {
    this.current = undefined;
  }

  private ask(): void {
    this.asking ??= this.pubsub.schemas
      .refresh(this.topic)
      .then(
        (answer) => this.use(answer),
        (error: unknown) => this.failed(error),
      )
      .finally(() => {
        this.asking = undefined;
        this.handler.wake();
      });
  }

  private failed(error: unknown): void {
    this.forget();
    if (error instanceof OrgOutage) return this.handler.unavailable(error);
    // Whatever waits would be refused for the same reason.
    for (const [event] of this.leave(this.incoming.length))
      if (event) this.handler.refuse(event.message, asFlowError(error));
  }

  private use(answer: TopicSchema): void {
    this.current = answer;
    this.renew(this.queue.all);
    this.queue.keep(isOpen);
  }

  /** Writes events anew that were written by another definition. */
  private renew(events: readonly QueuedEvent[]): void {
    const { current } = this;
    for (const event of events) {
      if (!current || event.schemaId === current.schema.id) continue;
      try {
        encodeEvent(event, current.schema, this.pubsub.session.userId);
      } catch (error) {
        this.handler.giveUp([event], asFlowError(error));
      }
    }
  }

  private leave(count: number): QueuedEvent[][] {
    const left = this.incoming.splice(0, count);
    for (const events of left) this.unwritten -= events.length;
    return left;
  }
}

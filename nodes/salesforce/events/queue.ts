import type { FlowError } from '../../shared/errors';
import { FRESH, type Item } from '../org/repeats';

/** Events of a publish request at most, and bytes: Salesforce recommends 3 MB, and loses requests above 4 MB. */
export const REQUEST_EVENTS = 200;
export const REQUEST_BYTES = 3_000_000;
/** What an event takes beside its payload: its id, the schema's id, and the frames of the fields. */
const EVENT_OVERHEAD = 100;
const NOTHING = Buffer.alloc(0);

/** What became of one event. `replayId` is base64, as it is opaque. */
export interface PublishResult {
  replayId: string | null;
  success: boolean;
  error?: EventError;
}

export interface EventError {
  code: string;
  message: string;
}

/** One message: its events share a fate. */
export interface PublishMessage {
  /** By performance.now(). */
  readonly arrivedAt: number;
  readonly records: readonly unknown[];
  readonly ids: readonly string[];
  results: (PublishResult | undefined)[];
  open: number;
  /** Why events were given up. */
  failure?: FlowError;
}

/** One event on its way. */
export interface QueuedEvent extends Item<PublishMessage> {
  readonly index: number;
  /** Events are published by this, as far as they can be. */
  readonly order: number;
  readonly id: string;
  /** The definition that it is written by; empty before it is. */
  schemaId: string;
  payload: Buffer;
}

/** The events of a message, the first of them with the place `order`; they are yet to be written. */
export function eventsOf(message: PublishMessage, order: number): QueuedEvent[] {
  return message.records.map((_, index) => ({
    message,
    index,
    order: order + index,
    id: message.ids[index] ?? '',
    schemaId: '',
    payload: NOTHING,
    ...FRESH,
  }));
}

/** Nothing is said about it yet. */
export function isOpen(event: QueuedEvent): boolean {
  return event.message.results[event.index] === undefined;
}

/** The events that wait to be published, in order. Decides what goes into the next request; sends nothing itself. */
export class EventQueue {
  private pending: QueuedEvent[] = [];
  /** Where the first of them is: taking from the front must not cost the more the more wait. */
  private head = 0;
  /** Those that have to wait for their time. */
  private delayed: QueuedEvent[] = [];

  get size(): number {
    return this.ready + this.delayed.length;
  }

  /** Those that need not wait for their time. */
  get ready(): number {
    return this.pending.length - this.head;
  }

  get all(): readonly QueuedEvent[] {
    return [...this.delayed, ...this.pending.slice(this.head)];
  }

  add(events: readonly QueuedEvent[]): void {
    for (const event of events) this.pending.push(event);
  }

  /** Back to their places. */
  putBack(events: readonly QueuedEvent[]): void {
    const now = performance.now();
    this.delayed.push(...events.filter((event) => event.notBefore > now));
    this.restore(events.filter((event) => event.notBefore <= now));
  }

  drain(): QueuedEvent[] {
    const all = [...this.all];
    this.replace([], []);
    return all;
  }

  keep(wanted: (event: QueuedEvent) => boolean): void {
    this.replace(this.pending.slice(this.head).filter(wanted), this.delayed.filter(wanted));
  }

  /** The next request's events; undefined if none may go now or, where `onlyFull`, if more would still fit. */
  take(now: number, onlyFull: boolean): QueuedEvent[] | undefined {
    this.wake(now);
    const taken: QueuedEvent[] = [];
    let bytes = 0;
    let full = false;
    for (let next = this.head; next < this.pending.length && !full; next++) {
      const event = this.pending[next] as QueuedEvent;
      bytes += event.payload.length + EVENT_OVERHEAD;
      const fits = taken.length === 0 || (bytes <= REQUEST_BYTES && event.group === taken[0]?.group);
      if (fits) taken.push(event);
      full = !fits || taken.length === REQUEST_EVENTS;
    }
    if (taken.length === 0 || (onlyFull && !full)) return undefined;
    this.head += taken.length;
    if (this.head > this.pending.length / 2) this.replace(this.pending.slice(this.head), this.delayed);
    return taken;
  }

  /** When the first of the events that wait for their time may go; undefined if none waits. */
  nextReady(): number | undefined {
    return this.delayed.length === 0
      ? undefined
      : Math.min(...this.delayed.map(({ notBefore }) => notBefore));
  }

  private wake(now: number): void {
    if (this.delayed.length === 0) return;
    const ready = this.delayed.filter((event) => event.notBefore <= now);
    this.delayed = this.delayed.filter((event) => event.notBefore > now);
    this.restore(ready);
  }

  private restore(events: readonly QueuedEvent[]): void {
    if (events.length === 0) return;
    const pending = [...events, ...this.pending.slice(this.head)].sort((a, b) => a.order - b.order);
    this.replace(pending, this.delayed);
  }

  private replace(pending: QueuedEvent[], delayed: QueuedEvent[]): void {
    this.pending = pending;
    this.head = 0;
    this.delayed = delayed;
  }
}

import { setTimeout as wait } from 'node:timers/promises';
import type { JetStreamClient } from 'nats';
import { until } from '../../test/support/until';

/** A contact as an event brings it. `LastName` is who it is, `Title` which event it comes from. */
export interface Contact {
  LastName?: string;
  Title: string;
  ExternalId__c?: string;
  Description?: string;
}

export interface Event {
  /** 1, 2, 3 … */
  number: number;
  contacts: Contact[];
  /** The org can't take it, as a last name is missing: it has to become a dead letter, and nothing of it be written. */
  refused: boolean;
  /** In the stream; undefined until the server has stored it. */
  sequence?: number;
}

export interface LoadOptions {
  subject: string;
  /** The subject of an event ends with its first contact. */
  bySubject?: boolean | undefined;
  /** Milliseconds between two events. */
  gap: number;
  /**
   * When an event may change a contact that an earlier one brought: `at once`, with both on their way, as their
   * order is kept there; `settled`, when the earlier one is acknowledged: one that is delivered again after a crash
   * comes behind those that came in between, as with any consumer of several messages at a time.
   */
  changes: 'at once' | 'settled' | 'never';
  /** The events carry external ids. */
  externalIds: boolean;
  /** Characters that each contact has besides. */
  filler: number;
  /** All messages up to this sequence are acknowledged. */
  ackFloor: () => Promise<number>;
}

const FLOOR_EVERY = 250;

/** Publishes contact events at a steady rate, each until the server has stored it, and knows what must become of them. */
export class Load {
  readonly events: Event[] = [];
  /** Milliseconds between two events. */
  gap: number;
  private readonly latest = new Map<string | undefined, Event>();
  private floor = 0;
  private people = 0;
  private stopping = false;
  private running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly jetstream: JetStreamClient,
    private readonly options: LoadOptions,
  ) {
    this.gap = options.gap;
  }

  start(): void {
    this.running = Promise.all([this.publish(), this.watchFloor()]);
  }

  /** Resolves when so many events more are stored. */
  async more(count: number): Promise<void> {
    const enough = this.events.length + count;
    await until(() => this.events.length > enough, {
      timeout: 120_000,
      what: `${count} more events to be stored`,
    });
  }

  /** Ends when there are at least so many events, and each is stored. */
  async stop(atLeast = 0): Promise<void> {
    await this.more(atLeast - this.events.length);
    this.stopping = true;
    await this.running;
  }

  private async publish(): Promise<void> {
    while (!this.stopping) {
      const event = this.next();
      this.events.push(event);
      await this.store(event);
      await wait(this.gap);
    }
  }

  /** By its message id an event is stored once, however often it is sent. */
  private async store(event: Event): Promise<void> {
    const [first] = event.contacts;
    const data = JSON.stringify(event.contacts.length === 1 ? first : event.contacts);
    const { bySubject, subject } = this.options;
    const name = event.contacts.find(({ LastName }) => LastName !== undefined)?.LastName ?? 'nobody';
    const to = bySubject ? `${subject}.${name.replaceAll(' ', '-')}` : subject;
    const sending = { msgID: `event-${event.number}`, timeout: 2_000 };
    const { seq } = await until(() => this.jetstream.publish(to, data, sending), {
      timeout: 120_000,
      interval: 100,
      what: `event ${event.number} to be stored`,
    });
    event.sequence = seq;
  }

  private async watchFloor(): Promise<void> {
    while (!this.stopping) {
      // A durable that is away or made anew has no floor to tell: what was known holds.
      this.floor = Math.max(this.floor, await this.options.ackFloor().catch(() => 0));
      await wait(FLOOR_EVERY);
    }
  }

  /** One event in ten can't be written, one in seven changes contacts of an earlier one, one in thirty is an array. */
  private next(): Event {
    const number = this.events.length + 1;
    if (number % 10 === 7) {
      const bad = { ...this.contact(number), LastName: undefined };
      return { number, refused: true, contacts: number % 20 === 7 ? [bad] : [this.contact(number), bad] };
    }
    const earlier = number % 6 === 3 ? this.changeable(number % 5) : undefined;
    const size = number % 20 === 5 ? 2 + (number % 19) : 1;
    const contacts = earlier
      ? earlier.contacts.map((contact) => ({ ...contact, Title: titleOf(number) }))
      : Array.from({ length: size }, () => this.contact(number));
    const event = { number, refused: false, contacts };
    for (const { LastName } of contacts) this.latest.set(LastName, event);
    return event;
  }

  private contact(event: number): Contact {
    const name = `Contact ${++this.people}`;
    return {
      LastName: name,
      Title: titleOf(event),
      ...(this.options.externalIds && { ExternalId__c: name }),
      ...(this.options.filler > 0 && { Description: 'x'.repeat(this.options.filler) }),
    };
  }

  /** The newest event but the last `except` whose contacts may all be changed. */
  private changeable(except: number): Event | undefined {
    const { changes } = this.options;
    if (changes === 'never') return undefined;
    return this.events.findLast(
      (event) =>
        event.number <= this.events.length - except &&
        (changes === 'at once' || (event.sequence ?? Infinity) <= this.floor) &&
        event.contacts.every(({ LastName }) => this.latest.get(LastName) === event),
    );
  }
}

export function titleOf(event: number): string {
  return `event ${event}`;
}

import { connect, type NatsConnection } from 'nats';
import { until } from '../test/support/until';
import type { Stack } from './demo-stack';

const EVENTS = 1_000;
const STREAM = 'crm';
const SUBJECT = 'crm.contacts.upsert';
const DURABLE = 'salesforce_composite_upsert_contact';

type Contact = Record<'ExternalId__c' | 'FirstName' | 'LastName' | 'Email' | 'Title', string>;

export interface ContactsReport {
  /** Messages published, and how many of them were arrays. */
  events: number;
  arrays: number;
  /** Records in all of them; different contacts among those. */
  records: number;
  contacts: number;
  /** From the first message published to the last one acknowledged. */
  milliseconds: number;
  apiCalls: number;
  /** What is not as it must be, in words. Empty: all is right. */
  problems: string[];
}

/** Publishes 1,000 contact events with a plain NATS client and checks every contact in the org. */
export async function contactsThroughJetStream({ nats, org, login }: Stack): Promise<ContactsReport> {
  const events = contactEvents();
  const expected = new Map(events.flat().map((contact) => [contact.ExternalId__c, contact]));
  const nc = await connect({ servers: nats.url, ...login });
  try {
    const jsm = await nc.jetstreamManager();
    const consumer = () => jsm.consumers.info(STREAM, DURABLE);
    await until(consumer, { timeout: 30_000, what: `the consumer ${DURABLE} to be created by the flow` });
    const writes = () => org.requests().filter(({ method, path }) => isWrite(method, path)).length;
    const callsBefore = writes();
    const started = performance.now();
    await publish(nc, events);
    const unfinished = await until(
      async () => {
        const { num_pending, num_ack_pending } = await consumer();
        return num_pending + num_ack_pending === 0;
      },
      { timeout: 120_000, interval: 50, what: 'every message to be acknowledged' },
    ).then(
      () => undefined,
      (error: Error) => error.message,
    );
    return {
      events: events.length,
      arrays: events.filter((event) => event.length > 1).length,
      records: events.flat().length,
      contacts: expected.size,
      milliseconds: Math.round(performance.now() - started),
      apiCalls: writes() - callsBefore,
      problems: [...(unfinished ? [unfinished] : []), ...differences(expected, org.records('Contact'))],
    };
  } finally {
    await nc.close();
  }
}

/**
 * Single contacts and arrays of 2 to 200. Every tenth event changes contacts of an earlier one, so that what counts
 * in the end is the order.
 */
function contactEvents(): Contact[][] {
  const events: Contact[][] = [];
  let next = 0;
  for (let index = 0; index < EVENTS; index++) {
    const earlier = index % 10 === 9 ? events[index - 8] : undefined;
    if (earlier) {
      events.push(earlier.map((contact) => ({ ...contact, Title: `changed by event ${index}` })));
      continue;
    }
    const size = index % 50 === 1 ? Math.min(200, 2 + ((index * 7) % 251)) : 1;
    events.push(Array.from({ length: size }, () => contact(next++, index)));
  }
  return events;
}

function contact(number: number, event: number): Contact {
  return {
    ExternalId__c: `DEMO-${number}`,
    FirstName: 'Zoë',
    LastName: `Contact ${number}`,
    Email: `contact.${number}@example.com`,
    Title: `made by event ${event}`,
  };
}

/** The sync of the second tab calls the org too: it only reads. */
function isWrite(method: string, path: string): boolean {
  return method === 'PATCH' || /\/composite$/.test(path);
}

async function publish(nc: NatsConnection, events: Contact[][]): Promise<void> {
  const js = nc.jetstream();
  for (const event of events) {
    await js.publish(SUBJECT, JSON.stringify(event.length === 1 ? event[0] : event));
  }
}

function differences(expected: Map<string, Contact>, records: Record<string, unknown>[]): string[] {
  const found = new Map(records.map((record) => [record.ExternalId__c as string, record]));
  const problems: string[] = [];
  if (records.length !== expected.size)
    problems.push(`${records.length} contacts in the org, not ${expected.size}`);
  for (const [id, contact] of expected) {
    const record = found.get(id);
    const wrong = Object.entries(contact).filter(([field, value]) => record?.[field] !== value);
    if (!record) problems.push(`${id} is not in the org`);
    else
      for (const [field, value] of wrong)
        problems.push(`${id}: ${field} is ${String(record[field])}, not ${value}`);
  }
  return problems;
}

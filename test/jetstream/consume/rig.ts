import type { TestContext } from 'node:test';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import { openRoom, type Room } from '../room';

/** A consumer of `crm`, where a test says nothing else. */
export const SETTINGS: ConsumerSettings = {
  stream: 'crm',
  durable: 'flow',
  filters: ['crm.contacts.>'],
  deliver: 'all',
  provision: undefined,
  ackWait: 60_000,
  maxDeliver: 3,
  maxAckPending: 1_000,
  backoff: [60_000],
  processingLimit: 60_000,
  prefetch: 100,
  deadLetter: undefined,
  format: 'json',
  batchSize: 1,
  batchWait: 50,
};

export async function openWith(t: TestContext): Promise<Room> {
  const room = await openRoom();
  t.after(() => room.stop());
  return room;
}

/** What processes wrote of each record into the stream `done`, in that order. */
export async function written(room: Room): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  const { messages, last_seq } = (await room.jsm.streams.info('done')).state;
  if (messages === 0) return found;
  for (let seq = 1; seq <= last_seq; seq++) {
    const message = await room.jsm.streams.getMessage('done', { seq });
    found.set(message.subject, [...(found.get(message.subject) ?? []), Number(message.string())]);
  }
  return found;
}

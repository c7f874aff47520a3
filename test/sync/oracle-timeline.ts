import type { NatsConnection } from 'nats';

const RECORDS = 'SEQUIN-RECORDS';
const BUCKET = 'api-sync';

export interface Stored {
  kind: 'record' | 'event' | 'lease' | 'checkpoint';
  seq: number;
  /** Epoch ms, with a fraction, by the server's clock. */
  at: number;
  subject: string;
  msgId: string;
  data: string;
}

/** Makes the bucket of checkpoints so that it keeps each of them. */
export async function keepCheckpoints(nc: NatsConnection): Promise<void> {
  await nc.jetstream().views.kv(BUCKET);
  await (await nc.jetstreamManager()).streams.update(`KV_${BUCKET}`, { max_msgs_per_subject: -1 });
}

/** All records, events, leases and checkpoints that were ever stored, in the order of their times. */
export async function timeline(nc: NatsConnection): Promise<Stored[]> {
  const all = await Promise.all([
    read(nc, RECORDS, () => 'record'),
    read(nc, `${RECORDS}-EVENTS`, () => 'event'),
    read(nc, `KV_${BUCKET}`, (key) =>
      key.endsWith('.lease') ? 'lease' : key.endsWith('.control') ? undefined : 'checkpoint',
    ),
  ]);
  return all.flat().sort((a, b) => a.at - b.at);
}

async function read(
  nc: NatsConnection,
  stream: string,
  kindOf: (subject: string) => Stored['kind'] | undefined,
): Promise<Stored[]> {
  const consumer = await nc.jetstream().consumers.get(stream);
  const { num_pending } = await consumer.info();
  const found: Stored[] = [];
  if (num_pending === 0) return found;
  for await (const msg of await consumer.fetch({ max_messages: num_pending, expires: 30_000 })) {
    const { subject, seq, headers } = msg;
    const kind = kindOf(subject);
    const at = msg.info.timestampNanos / 1_000_000;
    if (kind && msg.data.length > 0)
      found.push({ kind, seq, at, subject, msgId: headers?.get('Nats-Msg-Id') ?? '', data: msg.string() });
    if (msg.info.pending === 0) break;
  }
  return found;
}

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { Consumer } from '../../../nodes/jetstream/consume/consumer';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import { Connection } from '../../../nodes/jetstream/server/connection';
import type { ServerSettings } from '../../../nodes/jetstream/server/server-settings';
import { serverAtLeast } from '../../../nodes/jetstream/streams/stream';
import { watchHeartbeat } from '../../support/heartbeat';
import { startNats } from '../../support/nats';
import { until } from '../../support/until';
import { openRoom } from '../room';

watchHeartbeat();

const SETTINGS: ConsumerSettings = {
  ...{ stream: 'crm', durable: 'flow', filters: ['crm.contacts.>'], deliver: 'all', provision: undefined },
  ...{ ackWait: 60_000, maxDeliver: 3, maxAckPending: 1_000, backoff: [60_000], processingLimit: 60_000 },
  ...{ prefetch: 100, deadLetter: undefined, format: 'json', batchSize: 1, batchWait: 60_000 },
};

/** A consumer whose flow finishes every message at once, and what it saw. */
function open(t: TestContext, server: ServerSettings, more: Partial<ConsumerSettings> = {}) {
  const rig = { seen: [] as unknown[], log: [] as string[], phase: '' };
  const consumer = new Consumer(
    new Connection(server),
    { ...SETTINGS, ...more },
    {
      deliver: (batch, payloads) => {
        rig.seen.push(...payloads);
        batch.finished(undefined);
      },
      state: ({ phase }) => void (rig.phase = phase),
      log: (level, text) => void rig.log.push(`${level}: ${text}`),
    },
  );
  t.after(async () => {
    await consumer.stop(0);
    await consumer.finished;
  });
  consumer.start();
  return rig;
}

const FIVE = [1, 2, 3, 4, 5];

describe('what is delivered anew on purpose is worked on again', () => {
  async function rigWithFiveDone(t: TestContext) {
    const room = await openRoom();
    t.after(() => room.stop());
    const rig = open(t, { servers: room.nats.url, auth: 'none' });
    for (const n of FIVE) await room.publish('crm.contacts.x', n);
    const settled = () =>
      until(async () => (await room.jsm.consumers.info('crm', 'flow')).ack_floor.stream_seq === 5, {
        timeout: 20_000,
        what: 'all five to be settled',
      });
    const seen = (count: number) =>
      until(() => rig.seen.length >= count, { timeout: 20_000, what: `${count} messages in the flow` });
    await settled();
    return { room, rig, settled, seen };
  }

  test('after a reset of the consumer', async (t) => {
    const { room, rig, settled, seen } = await rigWithFiveDone(t);
    if (!serverAtLeast(room.nc as unknown as Parameters<typeof serverAtLeast>[0], 2, 14))
      return t.skip('servers before 2.14 know no reset');
    const answer = await room.nc.request('$JS.API.CONSUMER.RESET.crm.flow', JSON.stringify({ seq: 1 }));
    assert.equal(answer.json<{ error?: unknown }>().error, undefined);
    await seen(10);
    await settled();
    assert.deepEqual(rig.seen, [...FIVE, ...FIVE]);
  });

  test('of a durable that was made anew', async (t) => {
    const { room, rig, settled, seen } = await rigWithFiveDone(t);
    // nats-server 2.10 complains where it is made anew while it is being deleted.
    await room.jsm.consumers.delete('crm', 'flow').catch(() => undefined);
    await seen(10);
    await settled();
    assert.deepEqual(rig.seen, [...FIVE, ...FIVE]);
  });

  test('of a stream that was purged, deleted, and filled again', async (t) => {
    const { room, rig, settled, seen } = await rigWithFiveDone(t);
    await room.jsm.streams.purge('crm');
    await room.jsm.streams.delete('crm');
    await room.jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
    await room.publish('crm.contacts.x', 6);
    for (const n of [7, 8, 9, 10]) await room.publish('crm.contacts.x', n);
    await seen(10);
    await settled();
    assert.deepEqual(rig.seen, [...FIVE, 6, 7, 8, 9, 10]);
  });

  test('of a stream that was restored as it was before, with its durable', async (t) => {
    const { room, rig, seen } = await rigWithFiveDone(t);
    const backup = await snapshot(room.nc, 'crm');
    for (const n of [6, 7]) await room.publish('crm.contacts.x', n);
    await seen(7);
    await room.jsm.streams.delete('crm');
    await until(() => room.nc.isClosed() || restore(room.nc, 'crm', backup), {
      what: 'the stream to be restored',
    });
    for (const n of [8, 9]) await room.publish('crm.contacts.x', n);
    await seen(9);
    assert.deepEqual(rig.seen.slice(-2), [8, 9]);
  });
});

interface Backup {
  config: object;
  state: object;
  chunks: Uint8Array[];
}

async function snapshot(nc: NatsConnection, stream: string): Promise<Backup> {
  const inbox = `_INBOX.backup.${stream}`;
  const chunks: Uint8Array[] = [];
  const sub = nc.subscribe(inbox);
  const request = { deliver_subject: inbox, chunk_size: 100_000 };
  const answer = await nc.request(`$JS.API.STREAM.SNAPSHOT.${stream}`, JSON.stringify(request), {
    timeout: 5_000,
  });
  for await (const msg of sub) {
    if (msg.data.length === 0) break;
    chunks.push(msg.data);
    msg.respond();
  }
  sub.unsubscribe();
  return { ...answer.json<{ config: object; state: object }>(), chunks };
}

/** True when it is there; false while another is. */
async function restore(
  nc: NatsConnection,
  stream: string,
  { config, state, chunks }: Backup,
): Promise<boolean> {
  const body = JSON.stringify({ config, state });
  const answer = await nc.request(`$JS.API.STREAM.RESTORE.${stream}`, body, { timeout: 5_000 });
  const { deliver_subject, error } = answer.json<{
    deliver_subject?: string;
    error?: { description: string };
  }>();
  if (!deliver_subject) {
    if (/already/.test(error?.description ?? '')) await nc.request(`$JS.API.STREAM.DELETE.${stream}`);
    return false;
  }
  for (const chunk of chunks) await nc.request(deliver_subject, chunk, { timeout: 5_000 });
  const done = await nc.request(deliver_subject, '', { timeout: 5_000 });
  return done.json<{ error?: unknown }>().error === undefined;
}

describe('a user who may not have the bucket', () => {
  const CONSUME = [
    '$JS.API.CONSUMER.INFO.crm.flow',
    '$JS.API.CONSUMER.MSG.NEXT.crm.flow',
    '$JS.ACK.crm.flow.>',
  ];
  const config = `authorization { users: [
    { user: admin, password: secret },
    { user: flow, password: secret, permissions: {
      publish: ${JSON.stringify([...CONSUME, '$JS.API.CONSUMER.CREATE.crm.flow.>'])}, subscribe: ["_INBOX.>"] } }
  ] }`;

  test('is told so once, and a message that was delivered more often than allowed is given up', async (t) => {
    const nats = await startNats({ config });
    t.after(() => nats.stop());
    const nc = await connect({ servers: nats.url, user: 'admin', pass: 'secret' });
    t.after(() => nc.close());
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
    const server = { servers: nats.url, auth: 'userpass', user: 'flow', password: 'secret' } as const;
    const settings = { maxDeliver: 1, ackWait: 1_000, filters: ['crm.contacts.x'] };
    const rig = open(t, server, settings);
    await until(() => rig.phase === 'ready');
    const taken = await until(async () => (await nc.jetstream().consumers.get('crm', 'flow')).info());
    assert.equal(taken.config.ack_wait, 1e9);
    // Three deliveries that end without a word.
    const reads = await nc.jetstream().consumers.get('crm', 'flow');
    const crash = reads.next({ expires: 10_000 });
    void crash.catch(() => undefined);
    for (let n = 1; n <= 20; n++) await nc.jetstream().publish('crm.contacts.x', `${n}`);
    const lost = await crash;
    assert.ok(lost);
    await until(async () => (await jsm.consumers.info('crm', 'flow')).ack_floor.stream_seq === 20, {
      timeout: 20_000,
      what: 'all to be settled',
    });
    assert.equal(rig.seen.length, 19);
    const warned = rig.log.filter((line) => line.includes('jetforce-tries'));
    assert.equal(warned.length, 1, rig.log.join('\n'));
    assert.match(warned[0] ?? '', /^warn: .*may not publish to "\$KV\.jetforce-tries\.crm\.flow\.[0-9a-f]+"/);
    assert.equal(rig.log.filter((line) => /delivered more than 1 times/.test(line)).length, 1);
    assert.equal(rig.phase, 'ready');
  });
});

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Connection } from '../../nodes/jetstream/server/connection';
import { Consumer } from '../../nodes/jetstream/consume/consumer';
import type { MessageBatch } from '../../nodes/jetstream/consume/settlement';
import { until } from '../support/until';
import { openRoom } from './room';

/** A consumer with a connection of its own, and ten messages for it; an ack wait that no test waits for. */
async function start(t: TestContext, deliver: (batch: MessageBatch, consumer: Consumer) => void) {
  const room = await openRoom();
  t.after(() => room.stop());
  for (let n = 0; n < 10; n++) await room.publish('crm.contacts.a', { n });
  const consumer: Consumer = new Consumer(
    new Connection({ servers: room.nats.url, auth: 'none' }),
    {
      stream: 'crm',
      durable: 'flow',
      filters: ['crm.contacts.>'],
      deliver: 'all',
      provision: undefined,
      ackWait: 60_000,
      maxDeliver: 1,
      maxAckPending: 1_000,
      backoff: [],
      processingLimit: 60_000,
      prefetch: 100,
      deadLetter: undefined,
      format: 'json',
      batchSize: 1,
      batchWait: 1_000,
    },
    { deliver: (batch) => deliver(batch, consumer), state: () => undefined, log: () => undefined },
  );
  consumer.start();
  return { room, consumer };
}

test('what arrives after the stop goes back at once, and into no flow', async (t) => {
  const units: MessageBatch[] = [];
  let stopped: Promise<void> | undefined;
  // All ten come in one piece, so that nine of them are behind the stop.
  const { room, consumer } = await start(t, (batch, one) => {
    units.push(batch);
    stopped ??= one.stop(0);
  });
  await until(() => room.settlements.filter(({ verb }) => verb === '-NAK').length === 9);
  assert.equal(units.length, 1);
  units[0]?.finished(undefined);
  await stopped;
  await consumer.finished;
  await until(() => room.settlements.some(({ verb }) => verb === '+ACK'));
});

test('what is settled right before the connection is closed reaches the server', async (t) => {
  const units: MessageBatch[] = [];
  const { room, consumer } = await start(t, (batch) => units.push(batch));
  await until(() => units.length === 10);
  const stopped = consumer.stop(5_000);
  for (const batch of units.slice(0, -1)) batch.finished(undefined);
  await until(() => room.settlements.length === 9);
  units.at(-1)?.finished(undefined);
  await stopped;
  await consumer.finished;
  const info = await room.jsm.consumers.info('crm', 'flow');
  assert.equal(info.num_ack_pending, 0);
  assert.equal(info.num_redelivered, 0);
});

import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { AckPolicy, type ConsumerInfo } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Consumer, type ConsumerSettings } from '../../../nodes/jetstream/consume/consumer';
import { TRIES_BUCKET } from '../../../nodes/jetstream/consume/ledger';
import type { MessageBatch } from '../../../nodes/jetstream/consume/settlement';
import type { TriesRecord } from '../../../nodes/jetstream/consume/tries-record';
import { FlowError } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { until } from '../../support/until';
import { openRoom, type Room } from '../room';

watchHeartbeat();

const KV = `KV_${TRIES_BUCKET}`;
const SETTINGS: ConsumerSettings = {
  ...{ stream: 'crm', durable: 'flow', filters: ['crm.contacts.>'], deliver: 'all', provision: undefined },
  ...{ ackWait: 60_000, maxDeliver: 3, maxAckPending: 1_000, backoff: [10], processingLimit: 60_000 },
  ...{ prefetch: 100, deadLetter: undefined, format: 'json', batchSize: 1, batchWait: 60_000 },
};
const progress = (held: boolean) => ({
  held,
  processingTime: () => 0,
  unfinishedNodes: () => [],
  abandon: () => undefined,
});

describe('what was tried', () => {
  let room: Room;
  let serial = 0;
  before(async () => (room = await openRoom()));
  after(() => room.stop());

  /** A consumer of a durable of its own, whose flow is the test. */
  function open(t: TestContext, more: Partial<ConsumerSettings> = {}) {
    const name = `d${serial}`;
    const settings = { ...SETTINGS, durable: name, filters: [`crm.contacts.${serial}`], ...more };
    const rig = {
      ...{ batches: [] as MessageBatch[], payloads: [] as unknown[], log: [] as string[], phase: '' },
      stop: () => Promise.resolve(),
    };
    const consumer = new Consumer(new Connection({ servers: room.nats.url, auth: 'none' }), settings, {
      deliver: (batch, payloads) => {
        batch.progress = progress(false);
        rig.batches.push(batch);
        rig.payloads.push(...payloads);
      },
      state: ({ phase }) => void (rig.phase = phase),
      log: (level, text) => void rig.log.push(`${level}: ${text}`),
    });
    rig.stop = async () => {
      await consumer.stop(0);
      for (const batch of rig.batches) batch.finished(undefined);
      await consumer.finished;
    };
    t.after(() => rig.stop());
    consumer.start();
    return rig;
  }
  const publish = (n: unknown) => room.publish(`crm.contacts.${serial}`, n);
  const records = async (): Promise<TriesRecord[]> => {
    const filter = `$KV.${TRIES_BUCKET}.crm.d${serial}.>`;
    const { subjects } = (await room.jsm.streams.info(KV, { subjects_filter: filter })).state;
    const messages = Object.keys(subjects ?? {}).map((last_by_subj) =>
      room.jsm.streams.getMessage(KV, { last_by_subj }),
    );
    return (await Promise.all(messages)).map((message) => message.json<TriesRecord>());
  };
  const info = (): Promise<ConsumerInfo> => room.jsm.consumers.info('crm', `d${serial}`);
  const seen = (rig: { payloads: unknown[] }, count: number) =>
    until(() => rig.payloads.length >= count, { what: `${count} messages in the flow` });

  async function take(name: string, messages: number): Promise<void> {
    const reader = await room.nc.jetstream().consumers.get('crm', name);
    for await (const { info } of await reader.fetch({ max_messages: messages }))
      if (info.pending === 0) break;
  }

  /** So many messages were delivered to a process that is no more, which wrote this record last. */
  async function crash(messages: number, record: Partial<TriesRecord> = {}): Promise<void> {
    const name = `d${++serial}`;
    const durable = {
      durable_name: name,
      filter_subject: `crm.contacts.${serial}`,
      ack_policy: AckPolicy.Explicit,
    };
    const { created } = await room.jsm.consumers.add('crm', { ...durable, ack_wait: 1e9 });
    for (let n = 1; n <= messages; n++) await publish(n);
    if (messages > 0) await take(name, messages);
    const last: TriesRecord = {
      ...{ made: Date.parse(created), open: true, beat: 1, crashedUntil: 0, tried: [] },
      ...record,
    };
    await room.jsm.streams.add({ name: KV, subjects: [`$KV.${TRIES_BUCKET}.>`] }).catch(() => undefined);
    await room.nc.jetstream().publish(`$KV.${TRIES_BUCKET}.crm.${name}.dead`, JSON.stringify(last));
  }

  test('is not written per message', async (t) => {
    serial++;
    const rig = open(t);
    await until(() => rig.phase === 'ready');
    const { last_seq } = (await room.jsm.streams.info(KV)).state;
    for (let n = 1; n <= 200; n++) await publish(n);
    for (let n = 0; n < 200; n++) {
      await seen(rig, n + 1);
      rig.batches[n]?.finished(undefined);
    }
    assert.equal((await room.jsm.streams.info(KV)).state.last_seq, last_seq);
  });

  test('leaves nothing behind when nothing is left to tell', async (t) => {
    serial++;
    const rig = open(t);
    await until(() => rig.phase === 'ready');
    assert.deepEqual(
      (await records()).map(({ open }) => open),
      [true],
    );
    await rig.stop();
    await until(async () => (await records()).length === 0);
  });

  test('is stored before a failed message goes back, and forgotten when it is settled', async (t) => {
    serial++;
    const rig = open(t);
    const sequence = await publish(1);
    await seen(rig, 1);
    rig.batches[0]?.finished({ error: new Error('no luck') });
    await room.waitSettled(sequence, '-NAK');
    const [record] = await records();
    assert.deepEqual(
      record?.tried.map(([seq, , ...counts]) => [seq, ...counts]),
      [[sequence, 1, 1, 0]],
    );
    await seen(rig, 2);
    rig.batches[1]?.finished(undefined);
    await room.waitSettled(sequence, '+ACK');
    await rig.stop();
    await until(async () => (await records()).length === 0);
  });

  test('by somebody else counts', async (t) => {
    await crash(0);
    const rig = open(t, { maxDeliver: 2, deadLetter: `crm.dead${serial}` });
    const sequence = await publish(1);
    await seen(rig, 1);
    rig.batches[0]?.finished({ error: new Error('no luck') });
    await seen(rig, 2);
    rig.batches[1]?.finished({ error: new Error('no luck') });
    await room.waitSettled(sequence, '+TERM');
    assert.equal(rig.batches.length, 2);
  });

  test('after a crash what was delivered comes alone, what is new waits until that is through', async (t) => {
    await crash(3);
    const rig = open(t, { ackWait: 1_000 });
    await seen(rig, 1);
    await publish(4);
    for (const n of [1, 2, 3]) {
      await seen(rig, n);
      await until(async () => (await info()).num_ack_pending === 5 - n);
      assert.equal(rig.batches.length, n, 'alone');
      rig.batches[n - 1]?.finished(undefined);
    }
    await seen(rig, 4);
    assert.deepEqual([...rig.payloads].sort(), [1, 2, 3, 4]);
    assert.equal((await records()).at(-1)?.open, true);
  });

  test('what a node holds until the org is back keeps nothing from the flow, and is not taken for guilty', async (t) => {
    await crash(2);
    const rig = open(t, { ackWait: 1_000 });
    await seen(rig, 1);
    assert.deepEqual(
      (await records()).map(({ open, tried }) => [open, tried.map((entry) => entry.at(-1))]),
      [[false, [1]]],
    );
    (rig.batches[0] as MessageBatch).progress = progress(true);
    await seen(rig, 2);
    (rig.batches[1] as MessageBatch).progress = progress(true);
    await publish(3);
    await seen(rig, 3);
    const [record] = await records();
    assert.deepEqual([record?.open, record?.tried], [true, []]);
  });

  test('a message that was alone at five crashes is given up, one that was at four is tried', async (t) => {
    await crash(2);
    const first = (await info()).delivered.stream_seq - 1;
    const second = first + 1;
    const times = await Promise.all(
      [first, second].map(async (seq) =>
        nanosOf((await room.jsm.streams.getMessage('crm', { seq })).timestamp),
      ),
    );
    await room.nc.jetstream().publish(
      `$KV.${TRIES_BUCKET}.crm.d${serial}.dead`,
      JSON.stringify({
        ...{ made: Date.parse((await info()).created), open: false, beat: 1, crashedUntil: 0 },
        tried: [
          [first, times[0], 0, 0, 5],
          [second, times[1], 0, 0, 4],
        ],
      }),
    );
    const rig = open(t, { ackWait: 1_000 });
    await room.waitSettled(first, '+TERM');
    assert.match(rig.log.join('\n'), /Message \d+ .* ended 5 times in a row while the message was alone/);
    await seen(rig, 1);
    assert.deepEqual(rig.payloads, [2]);
  });

  test('a stranger’s record, or one of a durable of before, is no harm', async (t) => {
    await crash(1, { made: 1, crashedUntil: 1e9 });
    await room.nc.jetstream().publish(`$KV.${TRIES_BUCKET}.crm.d${serial}.odd`, 'hello');
    const rig = open(t, { ackWait: 1_000 });
    await seen(rig, 1);
    const old = room.jsm.streams.getMessage(KV, { last_by_subj: `$KV.${TRIES_BUCKET}.crm.d${serial}.dead` });
    await assert.rejects(old, /no message found/);
    assert.deepEqual(rig.log, []);
  });

  test('an outage burns none, however often it comes back', async (t) => {
    serial++;
    const rig = open(t, { maxDeliver: 1, deadLetter: `crm.dead${serial}` });
    const sequence = await publish(1);
    for (let n = 1; n <= 3; n++) {
      await seen(rig, n);
      rig.batches[n - 1]?.finished({ error: new FlowError('CLOSED', 'stopped') });
    }
    await seen(rig, 4);
    rig.batches[3]?.finished({ error: new Error('its own') });
    await room.waitSettled(sequence, '+TERM');
  });
});

/** "2026-01-31T12:00:00.123456789Z" as the server has it in its ack subjects. */
function nanosOf(iso: string): string {
  const [seconds = '', fraction = ''] = iso.replace('Z', '').split('.');
  return `${Date.parse(`${seconds}Z`) / 1_000}${fraction.padEnd(9, '0')}`;
}

test('the bucket is bounded, and there once for all', async (t) => {
  const room = await openRoom();
  t.after(() => room.stop());
  const phases: string[] = [];
  const both = ['a', 'b'].map(
    (durable) =>
      new Consumer(
        new Connection({ servers: room.nats.url, auth: 'none' }),
        { ...SETTINGS, durable },
        {
          deliver: (batch) => batch.finished(undefined),
          state: ({ phase }) => void phases.push(phase),
          log: () => undefined,
        },
      ),
  );
  for (const one of both) one.start();
  t.after(async () => {
    for (const one of both) await one.stop(0);
    for (const one of both) await one.finished;
  });
  await until(() => phases.filter((phase) => phase === 'ready').length >= 2);
  const { config } = await room.jsm.streams.info(KV);
  assert.deepEqual(
    [config.max_bytes, config.max_msgs_per_subject, config.max_age, config.discard],
    [8 * 1024 * 1024, 1, 7 * 86_400 * 1e9, 'old'],
  );
});

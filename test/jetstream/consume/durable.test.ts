import assert from 'node:assert/strict';
import '../../../nodes/shared/language';
import { after, before, describe, test } from 'node:test';
import { AckPolicy, connect, ReplayPolicy, type ConsumerConfig } from 'nats';
import { consumerInfo, ensureDurable } from '../../../nodes/jetstream/consume/durable';
import type { DurableSettings } from '../../../nodes/jetstream/consume/durable-config';
import { openRoom, type Room } from '../room';

describe('durable', () => {
  let room: Room;
  let serial = 0;
  before(async () => {
    room = await openRoom({
      config: `authorization { users: [
        { user: admin, password: admin },
        { user: reader, password: reader, permissions: {
          publish: ["$JS.API.CONSUMER.INFO.>", "$JS.API.STREAM.INFO.>"], subscribe: "_INBOX.>" } } ] }
        no_auth_user: admin`,
    });
  });
  after(() => room.stop());

  const wanted = (more: Partial<DurableSettings> = {}): DurableSettings => ({
    stream: 'crm',
    durable: `d${serial}`,
    filters: [],
    deliver: 'all',
    ackWait: 30_000,
    maxDeliver: 5,
    maxAckPending: 1_000,
    ...more,
  });
  const ensure = (more: Partial<DurableSettings> = {}) => ensureDurable(room.nc, undefined, wanted(more));
  const config = async () => (await consumerInfo(room.nc, undefined, 'crm', `d${serial}`))?.config;
  const metadata = async () => {
    const all = Object.entries((await config())?.metadata ?? {});
    return Object.fromEntries(all.filter(([key]) => !key.startsWith('_nats.')));
  };
  /** A durable as an administrator made it. */
  async function foreign(more: Partial<ConsumerConfig> = {}): Promise<void> {
    await room.jsm.consumers.add('crm', {
      durable_name: `d${++serial}`,
      ack_policy: AckPolicy.Explicit,
      metadata: { owner: 'x' },
      ...more,
    });
  }

  test('what others have set on a durable stays when it is updated', async () => {
    await foreign({
      description: 'by hand',
      filter_subjects: ['crm.a', 'crm.b'],
      replay_policy: ReplayPolicy.Original,
      headers_only: true,
      sample_freq: '50%',
      max_waiting: 77,
    });
    await ensure({ ackWait: 12_000, maxAckPending: 50 });
    const after = await config();
    assert.deepEqual([after?.ack_wait, after?.max_ack_pending, after?.max_deliver], [12e9, 50, -1]);
    assert.deepEqual(await metadata(), { owner: 'x' });
    assert.deepEqual(after?.filter_subjects, ['crm.a', 'crm.b']);
    assert.deepEqual(
      [after.description, after.replay_policy, after.headers_only, after.sample_freq, after.max_waiting],
      ['by hand', 'original', true, '50%', 77],
    );
    await ensure({ ackWait: 12_000, maxAckPending: 50 });
    assert.deepEqual((await config())?.filter_subjects, ['crm.a', 'crm.b'], 'also the next time');
  });

  test('one filter of a durable that is bound by its name alone stays too', async () => {
    await foreign({ filter_subject: 'crm.a' });
    await ensure();
    assert.equal((await config())?.filter_subject, 'crm.a');
  });

  test('a subject that the node names is what the durable reads, whoever made it', async () => {
    await foreign({ filter_subjects: ['crm.a', 'crm.b'] });
    await ensure({ filters: ['crm.c'] });
    const { filter_subject, filter_subjects } = (await config()) ?? {};
    assert.deepEqual([filter_subject, filter_subjects], ['crm.c', undefined]);
    assert.deepEqual(await metadata(), { owner: 'x' });
  });

  test('a durable of our own reads everything again when the node names no subject', async () => {
    serial++;
    await ensure({ filters: ['crm.a', 'crm.b'] });
    await ensure();
    const { filter_subject, filter_subjects } = (await config()) ?? {};
    assert.deepEqual([filter_subject, filter_subjects], [undefined, undefined]);
  });

  test('metadata that others put on a durable of our own stays beside ours', async () => {
    serial++;
    await ensure();
    const { config } = await room.jsm.consumers.info('crm', `d${serial}`);
    await room.jsm.consumers.update('crm', `d${serial}`, {
      ...config,
      metadata: { ...config.metadata, team: 'sales' },
    });
    await ensure({ maxDeliver: 9 });
    assert.deepEqual(await metadata(), { team: 'sales', 'jetforce.max_deliver': '9' });
  });

  test('a durable that is as asked is left alone', async () => {
    serial++;
    const seen: string[] = [];
    const writes = room.nc.subscribe('$JS.API.CONSUMER.CREATE.>', {
      callback: (_error, msg) => seen.push(msg.subject),
    });
    await ensure({ filters: ['crm.a'] });
    await ensure({ filters: ['crm.a'] });
    writes.unsubscribe();
    assert.deepEqual(seen, [`$JS.API.CONSUMER.CREATE.crm.d${serial}.crm.a`]);
  });

  test('two that make it at the same time both get it', async () => {
    serial++;
    const both = await Promise.all([ensure(), ensure(), ensure()]);
    assert.deepEqual(new Set(both.map(({ info }) => info.created)).size, 1);
  });

  test('a push consumer, and one that acknowledges otherwise, is refused with a way out', async () => {
    await foreign({ deliver_subject: 'push.here' });
    await assert.rejects(ensure(), { code: 'NOT_A_PULL_CONSUMER', message: /choose another durable name/ });
    await foreign({ ack_policy: AckPolicy.All });
    await assert.rejects(ensure(), { code: 'DURABLE_NOT_UPDATABLE', message: /ack policy all/ });
  });

  test('one with priority groups, in which nobody here pulls, is refused with a way out', async (t) => {
    await foreign({ priority_groups: ['g'], priority_policy: 'pinned_client' } as object);
    if (room.nc.info?.version.startsWith('2.10.')) return t.skip('there are none yet');
    await assert.rejects(ensure(), {
      code: 'DURABLE_NOT_UPDATABLE',
      message: /priority groups \(g\), .* choose another durable name/,
    });
  });

  test('a stream that is missing is named', async () => {
    await assert.rejects(ensure({ stream: 'none' }), { code: 'JETSTREAM_10059', message: /"none"/ });
  });

  test('a user who may not change it uses it as it is, and is told', async () => {
    await foreign({ ack_wait: 5e9 });
    const nc = await connect({ servers: room.nats.url, user: 'reader', pass: 'reader' });
    const { info, warnings } = await ensureDurable(nc, undefined, wanted());
    await nc.close();
    assert.equal(info.config.ack_wait, 5e9);
    assert.match(
      warnings.join(),
      /differs in Ack wait, Max ack pending.* may not change it|differs in Ack wait/,
    );
  });
});

import assert from 'node:assert/strict';
import '../../nodes/shared/language';
import { after, before, describe, test } from 'node:test';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { ensureDurable } from '../../nodes/jetstream/consume/durable';
import type { DurableSettings } from '../../nodes/jetstream/consume/durable-config';
import { provisionStream, type Provisioned } from '../../nodes/jetstream/streams/provision';
import { streamConfig, type StreamForm } from '../../nodes/jetstream/streams/stream';
import { until } from '../support/until';
import { startCluster, startNats, type Nats } from '../support/nats';

for (const version of ['latest', '2.10'] as const) {
  describe(`nats-server ${version}`, () => {
    let nats: Nats;
    let nc: NatsConnection;
    let jsm: JetStreamManager;
    before(async () => {
      nats = await startNats({ version });
      nc = await connect({ servers: nats.url });
      jsm = await nc.jetstreamManager();
    });
    after(async () => {
      await nc.close();
      await nats.stop();
    });

    let serial = 0;
    const name = (): string => `s${++serial}`;
    const provisioned = (stream: string, form: StreamForm, narrow = false): Promise<Provisioned> =>
      provisionStream(nc, undefined, streamConfig(stream, { subjects: [`${stream}.>`], ...form }), narrow);
    const provision = async (stream: string, form: StreamForm, narrow = false): Promise<string> =>
      (await provisioned(stream, form, narrow)).outcome;
    const refused = (stream: string, form: StreamForm, pattern: RegExp): Promise<void> =>
      assert.rejects(provision(stream, form, true), { message: pattern });

    test('a stream is created with every setting of the form', async () => {
      const stream = name();
      const form: StreamForm = {
        subjects: `${stream}.a.>, ${stream}.b`,
        maxAge: '1h',
        maxBytes: '2147483648',
        maxMsgs: '1000000',
        maxMsgsPerSubject: 1,
        maxMsgSize: '1MiB',
        retention: 'limits',
        discard: 'old',
        storage: 'file',
        replicas: 1,
        duplicateWindow: '2m',
        denyDelete: true,
        denyPurge: true,
        allowRollup: false,
        compression: 's2',
      };
      assert.equal(await provision(stream, form), 'created');
      const { config } = await jsm.streams.info(stream);
      assert.deepEqual(config.subjects, [`${stream}.a.>`, `${stream}.b`]);
      assert.equal(config.max_age, 3_600e9);
      assert.equal(config.max_bytes, 2_147_483_648);
      assert.equal(config.max_msgs, 1_000_000);
      assert.equal(config.max_msgs_per_subject, 1);
      assert.equal(config.max_msg_size, 1_048_576);
      assert.equal(config.duplicate_window, 120e9);
      assert.equal(config.deny_delete, true);
      assert.equal(config.deny_purge, true);
      assert.equal((config as { compression?: string }).compression, 's2');
      assert.equal(await provision(stream, form), 'unchanged');
    });

    test('only what differs is changed, and what others set stays', async () => {
      const stream = name();
      await jsm.streams.add({
        name: stream,
        subjects: [`${stream}.>`],
        description: 'theirs',
        max_msgs: 500,
      });
      assert.equal(await provision(stream, { maxAge: '30m' }, true), 'updated');
      const { config } = await jsm.streams.info(stream);
      assert.equal(config.max_age, 1_800e9);
      assert.equal(config.max_msgs, 500);
      assert.equal(config.description, 'theirs');
      assert.equal(await provision(stream, { maxMsgs: -1 }), 'updated');
      assert.equal((await jsm.streams.info(stream)).config.max_msgs, -1);
    });

    test('a stream that exists gets subjects and room, and loses nothing', async () => {
      const stream = name();
      await jsm.streams.add({
        name: stream,
        subjects: [`${stream}.orders`, `${stream}.x`],
        max_msgs: 10,
        max_age: 3_600e9,
        max_bytes: 2 ** 20,
      });
      const { changes, warnings } = await provisioned(stream, {
        subjects: [`${stream}.orders`, `${stream}.contacts.>`],
        maxMsgs: 20,
        maxAge: '2h',
        maxBytes: -1 as never,
        maxMsgsPerSubject: 1,
      });
      const { config } = await jsm.streams.info(stream);
      assert.deepEqual(config.subjects, [`${stream}.orders`, `${stream}.x`, `${stream}.contacts.>`]);
      assert.deepEqual(
        [config.max_msgs, config.max_age, config.max_bytes, config.max_msgs_per_subject],
        [20, 7_200e9, -1, -1],
      );
      assert.deepEqual(changes.slice().sort(), [
        `The stream "${stream}" was changed: Max age: 1h → 2h`,
        `The stream "${stream}" was changed: Max messages: 10 → 20`,
        `The stream "${stream}" was changed: Max size: 1MiB → without limit`,
        `The stream "${stream}" was changed: Stream subjects: ${stream}.orders, ${stream}.x → ${stream}.orders, ${stream}.x, ${stream}.contacts.>`,
      ]);
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? '',
        /keeps "Max per subject" \(no limit\), though this node asks for 1, .*set no limit here, or tick "Change it/,
      );
    });

    test('what would take something away is left, and said option by option', async () => {
      const stream = name();
      const theirs = {
        name: stream,
        subjects: [`${stream}.>`, `${stream}_more`],
        max_msg_size: 5_000,
        duplicate_window: 120e9,
      };
      await jsm.streams.add(theirs);
      for (let n = 0; n < 5; n++) await nc.jetstream().publish(`${stream}.same`, String(n));
      const before = (await jsm.streams.info(stream)).config;
      const asked: StreamForm = {
        subjects: [`${stream}.orders`],
        maxAge: '1h',
        maxBytes: '1MiB',
        maxMsgs: 3,
        maxMsgsPerSubject: 1,
        maxMsgSize: 100 as never,
        duplicateWindow: '1m',
        retention: 'workqueue',
        discard: 'new',
        storage: 'memory',
        replicas: 3,
        denyDelete: true,
        denyPurge: true,
        allowRollup: true,
      };
      const { outcome, changes, warnings } = await provisioned(stream, asked);
      assert.deepEqual([outcome, changes], ['unchanged', []]);
      assert.deepEqual((await jsm.streams.info(stream)).config, before);
      assert.equal((await jsm.streams.info(stream)).state.messages, 5);
      const named = warnings.map((each) => /keeps "([^"]+)" \(/.exec(each)?.[1]).sort();
      assert.deepEqual(named, [
        'A message may replace all before it (allow rollup)',
        'Duplicate window',
        'Keep messages',
        'Max age',
        'Max messages',
        'Max per message',
        'Max per subject',
        'Max size',
        "Messages can't be deleted singly (deny delete)",
        'Replicas',
        'Storage',
        "The stream can't be purged (deny purge)",
        'When full',
      ]);
      assert.match(warnings.find((each) => each.includes('Storage')) ?? '', /make a new stream/);
    });

    test('with narrow the stream becomes as asked, and the log lists each change', async () => {
      const stream = name();
      await jsm.streams.add({ name: stream, subjects: [`${stream}.a`, `${stream}.b`] });
      for (let n = 0; n < 5; n++) await nc.jetstream().publish(`${stream}.a`, String(n));
      const form: StreamForm = { subjects: [`${stream}.a`], maxMsgsPerSubject: 1 };
      const { changes, warnings } = await provisioned(stream, form, true);
      assert.deepEqual(warnings, []);
      assert.deepEqual(changes.slice().sort(), [
        `The stream "${stream}" was changed: Max per subject: without limit → 1`,
        `The stream "${stream}" was changed: Stream subjects: ${stream}.a, ${stream}.b → ${stream}.a`,
      ]);
      const { config } = await jsm.streams.info(stream);
      assert.deepEqual([config.subjects, config.max_msgs_per_subject], [[`${stream}.a`], 1]);
    });

    test('a subject that holds others takes their place, one that is held is there already', async () => {
      const stream = name();
      await provision(stream, { subjects: [`${stream}.a`, `${stream}.b.*`] });
      assert.equal(await provision(stream, { subjects: [`${stream}.b.c`] }), 'unchanged');
      assert.equal(await provision(stream, { subjects: [`${stream}.>`] }), 'updated');
      assert.deepEqual((await jsm.streams.info(stream)).config.subjects, [`${stream}.>`]);
      assert.equal(await provision(stream, { subjects: [`${stream}.a`] }), 'unchanged');
    });

    test('a duplicate window that the age of the messages does not allow is not asked for', async () => {
      const stream = name();
      await provision(stream, { maxAge: '1m', duplicateWindow: '1m' });
      const { outcome, warnings } = await provisioned(stream, { duplicateWindow: '2m' });
      assert.equal(outcome, 'unchanged');
      assert.match(warnings[0] ?? '', /keeps "Duplicate window" \(1m\)/);
    });

    test('many who provision one stream at once, over two connections, lose no subject', async () => {
      const stream = name();
      const other = await connect({ servers: nats.url });
      const subjects = Array.from({ length: 12 }, (_, i) => `${stream}.${i}`);
      await Promise.all(
        subjects.map((subject, i) =>
          provisionStream(i % 2 === 0 ? nc : other, undefined, streamConfig(stream, { subjects: [subject] })),
        ),
      );
      await other.close();
      assert.deepEqual((await jsm.streams.info(stream)).config.subjects?.slice().sort(), subjects.sort());
    });

    test('a maximum age below the default duplicate window takes the window with it', async () => {
      const stream = name();
      await provision(stream, {});
      assert.equal(await provision(stream, { maxAge: '30s' }, true), 'updated');
      assert.equal((await jsm.streams.info(stream)).config.duplicate_window, 30e9);
    });

    test('what a server can not change is named, with the way out', async () => {
      const stream = name();
      await provision(stream, { storage: 'file' });
      await refused(
        stream,
        { storage: 'memory' },
        /has "Storage: file", which can't be changed to memory: set it to file here, or make a new stream/,
      );
      await refused(
        stream,
        { retention: 'workqueue' },
        /has "Keep messages: limits", which can't be changed to workqueue/,
      );
      const strict = name();
      await provision(strict, { denyDelete: true });
      assert.equal(
        await provision(strict, { denyDelete: false }),
        'unchanged',
        'a box that is not ticked asks for nothing',
      );
    });

    test('overlapping subjects, too many replicas and wrong values are explained', async () => {
      const stream = name();
      await provision(stream, {});
      await refused(
        name(),
        { subjects: [`${stream}.x`] },
        /another stream of the account already takes some of them/,
      );
      await refused(name(), { replicas: 3 }, /can't have 3 replicas.*set replicas to 1/);
      assert.throws(() => streamConfig('a b', {}), /not a stream name/);
      assert.throws(() => streamConfig('a', { maxAge: 'soon' }), /Max age: "soon" is not a duration/);
      assert.throws(() => streamConfig('a', { maxBytes: '2 lots' }), /Max size: "2 lots" is not a size/);
      assert.throws(() => streamConfig('a', { subjects: 'a..b' }), /has an empty token/);
    });

    test('a feature that the server does not have is refused before anything is sent', async () => {
      const outcome = provision(name(), { allowAtomic: true });
      if (version === '2.10') await assert.rejects(outcome, { code: 'SERVER_TOO_OLD' });
      else assert.equal(await outcome, 'created');
    });

    const durable = (stream: string, more: Partial<DurableSettings> = {}): DurableSettings => ({
      stream,
      durable: 'd',
      filters: [],
      deliver: 'all',
      ackWait: 30_000,
      maxDeliver: 5,
      maxAckPending: 100,
      ...more,
    });

    test('a durable is made as asked, with one filter, several, or none', async () => {
      for (const filters of [[], ['a'], ['a', 'b.>']]) {
        const stream = name();
        await provision(stream, {});
        const named = filters.map((filter) => `${stream}.${filter}`);
        const { warnings } = await ensureDurable(nc, undefined, durable(stream, { filters: named }));
        assert.deepEqual(warnings, []);
        const { config } = await jsm.consumers.info(stream, 'd');
        assert.deepEqual(
          config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []),
          named,
        );
        assert.equal(config.ack_wait, 30e9);
        assert.equal(config.max_ack_pending, 100);
        assert.equal(
          config.max_deliver,
          -1,
          'kept by the node, so that a crash at the last delivery loses nothing',
        );
        assert.equal(config.metadata?.['jetforce.max_deliver'], '5');
        assert.equal(config.ack_policy, 'explicit');
      }
    });

    test('every deliver policy starts where it says', async () => {
      const stream = name();
      await provision(stream, {});
      const js = nc.jetstream();
      for (const subject of ['a', 'b', 'a']) await js.publish(`${stream}.${subject}`);
      const pending = async (more: Partial<DurableSettings>): Promise<number> => {
        const { info } = await ensureDurable(nc, undefined, durable(stream, { durable: name(), ...more }));
        return info.num_pending;
      };
      assert.equal(await pending({ deliver: 'all' }), 3);
      assert.equal(await pending({ deliver: 'new' }), 0);
      assert.equal(await pending({ deliver: 'last' }), 1);
      assert.equal(await pending({ deliver: 'last_per_subject', filters: [`${stream}.>`] }), 2);
      assert.equal(await pending({ deliver: 'by_start_sequence', startSequence: 2 }), 2);
      assert.equal(
        await pending({ deliver: 'by_start_time', startTime: new Date(Date.now() - 60_000).toISOString() }),
        3,
      );
    });

    test('changed options of a durable are applied, its position stays', async () => {
      const stream = name();
      await provision(stream, {});
      await ensureDurable(nc, undefined, durable(stream, { filters: [`${stream}.a`] }));
      const changed = durable(stream, {
        filters: [`${stream}.a`, `${stream}.b`],
        ackWait: 60_000,
        maxAckPending: 7,
        maxDeliver: 9,
      });
      await ensureDurable(nc, undefined, changed);
      const { config } = await jsm.consumers.info(stream, 'd');
      assert.deepEqual(config.filter_subjects, [`${stream}.a`, `${stream}.b`]);
      assert.equal(config.filter_subject, undefined);
      assert.deepEqual([config.ack_wait, config.max_ack_pending], [60e9, 7]);
      assert.equal(config.metadata?.['jetforce.max_deliver'], '9');
      await ensureDurable(nc, undefined, durable(stream, { filters: [] }));
      const bare = (await jsm.consumers.info(stream, 'd')).config;
      assert.deepEqual(bare.filter_subjects ?? bare.filter_subject, undefined);
    });

    test("a backoff that somebody set on the server is taken away: it distorts the node's own", async () => {
      const stream = name();
      await provision(stream, {});
      await jsm.consumers.add(stream, {
        durable_name: 'd',
        ack_policy: 'explicit' as never,
        max_deliver: 5,
        backoff: [1e9, 2e9],
      });
      await ensureDurable(nc, undefined, durable(stream));
      const { config } = await jsm.consumers.info(stream, 'd');
      assert.deepEqual([config.backoff, config.max_deliver], [undefined, -1]);
    });

    test('what a server can not change of a durable is named, with the way out', async () => {
      const stream = name();
      await provision(stream, {});
      await ensureDurable(nc, undefined, durable(stream));
      await assert.rejects(
        ensureDurable(nc, undefined, durable(stream, { deliver: 'new' })),
        /has "Start with: all", which can't be changed to new: .*choose another durable name/,
      );
      await jsm.consumers.add(stream, {
        durable_name: 'push',
        ack_policy: 'explicit' as never,
        deliver_subject: 'x',
      });
      await assert.rejects(
        ensureDurable(nc, undefined, durable(stream, { durable: 'push' })),
        /is a push consumer/,
      );
      await jsm.consumers.add(stream, { durable_name: 'none', ack_policy: 'none' as never });
      await assert.rejects(
        ensureDurable(nc, undefined, durable(stream, { durable: 'none' })),
        /has ack policy none, which can't be changed, .* choose another durable name, or delete the durable/,
      );
      await assert.rejects(ensureDurable(nc, undefined, durable('missing')), /There is no stream "missing"/);
    });

    test("an administrator's durable is bound to as it is: metadata, filter and replay stay", async () => {
      const stream = name();
      await provision(stream, {});
      const { config: theirs } = await jsm.consumers.add(stream, {
        durable_name: 'd',
        ack_policy: 'explicit' as never,
        replay_policy: 'original' as never,
        filter_subject: `${stream}.only`,
        metadata: { owner: 'x' },
        max_waiting: 3,
        max_batch: 7,
        max_expires: 1e9,
        headers_only: true,
        inactive_threshold: 3_600e9,
      });
      const { warnings } = await ensureDurable(nc, undefined, durable(stream));
      const { config } = await jsm.consumers.info(stream, 'd');
      assert.equal(config.metadata?.['owner'], 'x');
      assert.equal(config.metadata?.['jetforce.max_deliver'], undefined);
      const kept = ['filter_subject', 'replay_policy', 'max_waiting', 'max_batch', 'max_expires'] as const;
      for (const option of [...kept, 'headers_only', 'inactive_threshold'] as const)
        assert.equal(config[option], theirs[option], option);
      assert.equal(warnings.length, 2);
      assert.match(warnings[0] ?? '', /delivers headers only \(headers_only\): every payload is empty/);
      assert.match(warnings[1] ?? '', /nobody has read it for 1h \(inactive_threshold\)/);
      await ensureDurable(nc, undefined, durable(stream, { filters: [`${stream}.asked`] }));
      assert.equal((await jsm.consumers.info(stream, 'd')).config.filter_subject, `${stream}.asked`);
    });

    test('a filter that nothing can ever match is warned about', async () => {
      const stream = name();
      await provision(stream, {});
      const { warnings } = await ensureDurable(
        nc,
        undefined,
        durable(stream, { filters: ['elsewhere.x', `${stream}.ok`] }),
      );
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /nothing can ever arrive for "elsewhere.x"/);
    });
  });
}

test('three replicas in a cluster of three', async () => {
  const cluster = await startCluster(3);
  const nc = await connect({ servers: cluster.url.split(',') });
  const config = streamConfig('crm', { subjects: ['crm.>'], replicas: 3 });
  // A cluster this young may elect once more.
  await until(() => provisionStream(nc, undefined, config), { timeout: 30_000 });
  const jsm = await until(() => nc.jetstreamManager());
  const info = await until(() => jsm.streams.info('crm'));
  assert.equal(info.config.num_replicas, 3);
  assert.equal(info.cluster?.replicas?.length, 2);
  await nc.close();
  await cluster.stop();
});

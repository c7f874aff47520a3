import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { ConsumerInfo } from 'nats';
import { AckRoom } from '../../../nodes/jetstream/consume/ack-room';
import { ensureDurable } from '../../../nodes/jetstream/consume/durable';
import type { DurableSettings } from '../../../nodes/jetstream/consume/durable-config';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { startNats } from '../../support/nats';
import { until } from '../../support/until';
import { openRoom, type Room } from '../room';

describe('room beside what is worked on', () => {
  let room: Room;
  let connection: Connection;
  let release: () => Promise<void>;
  let serial = 0;
  before(async () => {
    room = await openRoom();
    connection = new Connection({ servers: room.nats.url, auth: 'none' });
    release = connection.use({});
    await connection.ready(new AbortController().signal);
  });
  after(async () => {
    await release();
    await room.stop();
  });

  async function open(t: TestContext, maxAckPending: number, idle?: number) {
    const settings: DurableSettings = {
      ...{ stream: 'crm', durable: `room${++serial}`, filters: ['crm.contacts.>'], deliver: 'all' as const },
      ...{ ackWait: 60_000, maxDeliver: 5, maxAckPending },
    };
    const nc = await connection.ready(new AbortController().signal);
    const ensure = async () => (await ensureDurable(nc, undefined, settings)).info;
    const state = { needed: 0, warnings: [] as string[] };
    const ackRoom = new AckRoom(
      connection,
      settings,
      () => state.needed,
      (text) => void state.warnings.push(text),
      idle,
    );
    t.after(() => ackRoom.stop());
    ackRoom.begin(await ensure());
    const info = (): Promise<ConsumerInfo> => room.jsm.consumers.info('crm', settings.durable);
    const most = async (): Promise<number | undefined> => (await info()).config.max_ack_pending;
    return { settings, state, ackRoom, ensure, most, info };
  }

  test('comes before it is used up, in few steps', async (t) => {
    const { state, ackRoom, most } = await open(t, 10);
    let steps = 0;
    for (let before = 10; state.needed < 1_000;) {
      state.needed++;
      ackRoom.look();
      if (state.needed <= before - 5) continue;
      before = await until(async () => ((await most()) ?? 0) > before && ((await most()) as number));
      steps++;
    }
    assert.ok(steps <= 8, `${steps} steps`);
  });

  test('is not needed for a few, and never with one at a time, or without a limit', async (t) => {
    for (const [max, needed] of [
      [10, 5],
      [1, 50],
      [-1, 50],
    ] as const) {
      const { state, ackRoom, most } = await open(t, max);
      const before = await most();
      state.needed = needed;
      ackRoom.look();
      await room.nc.flush();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await most(), before, `max ack pending ${max}`);
    }
  });

  test('stays over a restart, and ends when the setting is another one', async (t) => {
    const { settings, state, ackRoom, ensure, most } = await open(t, 10);
    state.needed = 20;
    ackRoom.look();
    await until(async () => (await most()) === 50);
    assert.equal((await ensure()).config.max_ack_pending, 50);
    settings.maxAckPending = 12;
    assert.equal((await ensure()).config.max_ack_pending, 12);
  });

  test('goes back when nothing needs it any more', async (t) => {
    const { state, ackRoom, most, info } = await open(t, 10, 0);
    state.needed = 20;
    ackRoom.look();
    await until(async () => (await most()) === 50);
    state.needed = 0;
    await until(async () => (await most()) === 10);
    assert.equal((await info()).config.metadata?.['jetforce.max_ack_pending'], undefined);
  });

  test('where the user may not change the durable, that is said once', async (t) => {
    const publish = '["$JS.API.CONSUMER.INFO.>", "$JS.API.STREAM.>", "$JS.API.INFO"]';
    const nats = await startNats({
      config: `authorization { users: [
        {user: admin, password: p},
        {user: u, password: p, permissions: {publish: ${publish}, subscribe: "_INBOX.>"}}] }`,
    });
    t.after(() => nats.stop());
    const admin = new Connection({ servers: nats.url, auth: 'userpass', user: 'admin', password: 'p' });
    const own = new Connection({ servers: nats.url, auth: 'userpass', user: 'u', password: 'p' });
    const releases = [admin.use({}), own.use({})];
    t.after(() => Promise.all(releases.map((over) => over())));
    const { signal } = new AbortController();
    const nc = await admin.ready(signal);
    await (await nc.jetstreamManager()).streams.add({ name: 'crm', subjects: ['crm.>'] });
    const settings: DurableSettings = {
      ...{ stream: 'crm', durable: 'd', filters: [], deliver: 'all' as const },
      ...{ ackWait: 60_000, maxDeliver: 5, maxAckPending: 10 },
    };
    const { info } = await ensureDurable(nc, undefined, settings);
    await own.ready(signal);
    const warnings: string[] = [];
    const ackRoom = new AckRoom(
      own,
      settings,
      () => 30,
      (text) => void warnings.push(text),
    );
    t.after(() => ackRoom.stop());
    ackRoom.begin(info);
    ackRoom.look();
    await until(() => warnings.length === 1);
    ackRoom.look();
    assert.match(warnings[0] ?? '', /can't be raised .*CONSUMER\.CREATE/s);
    assert.equal(warnings.length, 1);
  });

  test('is asked for again when the durable was looked at anew, whatever the server has said before', async (t) => {
    const { settings, state, ackRoom, ensure, most } = await open(t, 10);
    const { config } = await room.jsm.streams.info('crm');
    await room.jsm.streams.delete('crm');
    state.needed = 20;
    ackRoom.look();
    await until(() => state.warnings.length === 1);
    assert.match(state.warnings[0] ?? '', /can't be raised/);
    await room.jsm.streams.add(config);
    ackRoom.begin(await ensure());
    ackRoom.look();
    await until(async () => (await most()) === 50, { what: `room in ${settings.durable}` });
  });

  test('is asked for in vain once a second at most', async (t) => {
    const nats = await startNats({ jetstream: false });
    t.after(() => nats.stop());
    const deaf = new Connection({ servers: nats.url, auth: 'none' });
    const over = deaf.use({});
    t.after(over);
    const nc = await deaf.ready(new AbortController().signal);
    const settings: DurableSettings = {
      ...{ stream: 'crm', durable: 'd', filters: [], deliver: 'all' as const },
      ...{ ackWait: 60_000, maxDeliver: 5, maxAckPending: 10 },
    };
    const ackRoom = new AckRoom(
      deaf,
      settings,
      () => 30,
      () => undefined,
    );
    t.after(() => ackRoom.stop());
    ackRoom.begin({ config: { max_ack_pending: 10 } } as unknown as Parameters<typeof ackRoom.begin>[0]);
    const before = nc.stats().outMsgs;
    ackRoom.look();
    for (let turn = 0; turn < 20; turn++) await nc.flush();
    assert.equal(nc.stats().outMsgs - before, 1);
    await until(() => nc.stats().outMsgs - before > 1, { what: 'the next try' });
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

const outNode = (more: object = {}): FlowNode => ({
  id: 'out',
  type: 'jetstream-out',
  z: 'tab',
  server: 'server',
  subject: 'out.{{payload.kind}}',
  msgId: '',
  headers: [],
  window: 256,
  wires: [['after']],
  ...more,
});

describe('jetstream-out', () => {
  let room: Room;
  let red: EmbeddedNodeRed;
  before(async () => {
    room = await openRoom();
    await room.jsm.streams.add({ name: 'out', subjects: ['out.>'], max_msg_size: 1_000 });
    red = await embedNodeRed({ flows: [] });
  });
  after(async () => {
    await red.stop();
    await room.stop();
  });

  async function deploy(more: object = {}): Promise<void> {
    const caught: FlowNode = {
      id: 'catch',
      type: 'catch',
      z: 'tab',
      scope: ['out'],
      uncaught: false,
      wires: [['failed']],
    };
    await red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        outNode(more),
        caught,
        functionNode('after', 'return null;'),
        functionNode('failed', 'return null;'),
      ].map(placed),
    );
  }
  /** What comes out, by success or by Catch. */
  async function send(
    msg: Record<string, unknown>,
  ): Promise<{ ack?: Record<string, unknown>; error?: { message: string; code?: string } }> {
    const [done, failed] = [red.received('after').length, red.received('failed').length];
    red.send('out', msg);
    return until(() => {
      const ok = red.received('after')[done] as { jetstream: { ack: Record<string, unknown> } } | undefined;
      const bad = red.received('failed')[failed] as { error: { message: string; code?: string } } | undefined;
      return ok ? { ack: ok.jetstream.ack } : bad && { error: bad.error };
    });
  }
  const stored = async (seq: unknown) => room.jsm.streams.getMessage('out', { seq: Number(seq) });

  test('passes the message on after the PubAck, with stream and sequence', async () => {
    await deploy();
    const { ack } = await send({ payload: { kind: 'a', n: 1 } });
    assert.equal(ack?.stream, 'out');
    assert.equal(ack?.duplicate, false);
    const message = await stored(ack?.seq);
    assert.equal(message.subject, 'out.a');
    assert.deepEqual(message.json(), { kind: 'a', n: 1 });
  });

  test('a message id makes a repeat harmless, and the flow is told', async () => {
    await deploy({ msgId: 'id-{{payload.n}}' });
    const first = await send({ payload: { kind: 'a', n: 7 } });
    const again = await send({ payload: { kind: 'a', n: 7 } });
    assert.deepEqual([first.ack?.duplicate, again.ack?.duplicate], [false, true]);
    assert.equal(again.ack?.seq, first.ack?.seq);
  });

  test('headers are templates', async () => {
    await deploy({ headers: [{ name: 'X-Kind', value: 'kind {{payload.kind}}' }] });
    const { ack } = await send({ payload: { kind: 'h' } });
    assert.equal((await stored(ack?.seq)).header.get('X-Kind'), 'kind h');
  });

  test('text and buffers are published as they are', async () => {
    await deploy({ subject: 'out.raw' });
    const text = await send({ payload: 'just text' });
    assert.equal(new TextDecoder().decode((await stored(text.ack?.seq)).data), 'just text');
    const bytes = await send({ payload: Buffer.from([0, 255, 1]) });
    assert.deepEqual([...(await stored(bytes.ack?.seq)).data], [0, 255, 1]);
  });

  test('each refusal says which it is', async () => {
    await deploy({ subject: '{{topic}}' });
    const refusal = async (msg: Record<string, unknown>): Promise<string | undefined> =>
      (await send(msg)).error?.code;
    assert.equal(await refusal({ topic: 'a b', payload: 1 }), 'INVALID_SUBJECT');
    assert.equal(await refusal({ topic: 'out.*', payload: 1 }), 'INVALID_SUBJECT');
    assert.equal(await refusal({ payload: 1 }), 'TEMPLATE_MISSING_PATH');
    assert.equal(await refusal({ topic: 'out.x' }), 'NO_PAYLOAD');
    assert.equal(await refusal({ topic: 'nobody.takes.this', payload: 1 }), 'NO_STREAM');
    assert.equal(await refusal({ topic: 'out.x', payload: 'x'.repeat(1_001) }), 'MESSAGE_TOO_LARGE');
    assert.equal(await refusal({ topic: 'out.x', payload: 'x'.repeat(1_100_000) }), 'MESSAGE_TOO_LARGE');
    await room.jsm.streams.add({ name: 'full', subjects: ['full'], max_msgs: 1, discard: 'new' as never });
    assert.equal((await send({ topic: 'full', payload: 1 })).error, undefined);
    assert.equal(await refusal({ topic: 'full', payload: 2 }), 'STREAM_FULL');
    assert.ok((await send({ topic: 'out.x', payload: 'still connected' })).ack);
  });

  test('a window of messages in flight keeps their order', async () => {
    await deploy({ subject: 'out.order', window: 8 });
    const from = red.received('after').length;
    for (let n = 0; n < 500; n++) red.send('out', { payload: n });
    await until(() => red.received('after').length - from === 500);
    const { state } = await room.jsm.streams.info('out');
    const first = state.last_seq - 499;
    for (const n of [0, 1, 250, 499]) assert.equal((await stored(first + n)).json(), n);
  });

  test('messages wait while the server is away, and are published once each', async () => {
    await deploy({ subject: 'out.away.{{payload.n}}', msgId: 'away-{{payload.n}}' });
    await send({ payload: { n: 0 } });
    await room.nats.kill();
    await until(() => red.statusOf('out')?.text === 'disconnected');
    const from = red.received('after').length;
    for (let n = 1; n <= 20; n++) red.send('out', { payload: { n } });
    await room.restart();
    await until(() => red.received('after').length - from === 20, { timeout: 20_000 });
    // The test's own connection may be back later than the node's.
    const { state } = await until(() => room.jsm.streams.info('out', { subjects_filter: 'out.away.>' }));
    assert.equal(
      Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0),
      21,
    );
  });

  test('behind jetstream-in with the same message: copied once, acknowledged after the PubAck', async () => {
    await red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        inNode({ wires: [['out']], durable: 'copy' }),
        outNode({ subject: 'out.copy', msgId: 'copy-{{msg.jetstream.sequence}}' }),
        functionNode('after', 'return null;'),
      ].map(placed),
    );
    const sequence = await room.publish('crm.contacts.c', { n: 1 });
    await room.waitSettled(sequence, '+ACK');
    const message = await room.jsm.streams.getMessage('out', { last_by_subj: 'out.copy' });
    assert.deepEqual(message.json(), { n: 1 });
  });

  test('a message can have an age of its own on servers that know it, and is refused on others', async () => {
    await deploy({ subject: '{{topic}}', headers: [{ name: 'Nats-TTL', value: '1h' }] });
    const { error } = await send({ topic: 'out.ttl', payload: 1 });
    const [, minor] = (room.nc.info?.version ?? '').split('.').map(Number);
    if ((minor ?? 0) < 11) {
      assert.equal(error?.code, 'SERVER_TOO_OLD');
      return;
    }
    assert.match(error?.message ?? '', /TTL/i, 'the stream does not allow it');
    const config = { name: 'ttl', subjects: ['ttl'], allow_msg_ttl: true };
    await room.nc.request('$JS.API.STREAM.CREATE.ttl', JSON.stringify(config));
    const { ack } = await send({ topic: 'ttl', payload: 1 });
    assert.equal(ack?.stream, 'ttl');
  });

  test('wrong settings are said at the start, and every message fails with them', async () => {
    const from = red.log.length;
    await deploy({ subject: 'out.{{' + 'pay load}}' });
    await red.waitForLog(/is not a path/, { from });
    assert.equal(red.statusOf('out')?.fill, 'red');
    assert.equal((await send({ payload: 1 })).error?.code, 'INVALID_TEMPLATE');
  });

  test('a message can not reach the API of the server', async () => {
    await room.jsm.streams.add({ name: 'victim', subjects: ['victim'] });
    await deploy({ subject: '{{topic}}' });
    const { error } = await send({ topic: '$JS.API.STREAM.DELETE.victim', payload: '' });
    assert.equal(error?.code, 'INVALID_SUBJECT');
    assert.equal((await room.jsm.streams.info('victim')).config.name, 'victim');
  });

  test('an answer of somebody else is not success', async () => {
    const stray = room.nc.subscribe('stray', { callback: (_error, msg) => void msg.respond('{}') });
    await deploy({ subject: 'stray' });
    assert.equal((await send({ payload: 1 })).error?.code, 'NO_PUBACK');
    stray.unsubscribe();
  });

  test('while the server is away what waits is bounded, counted, and fails at a deploy in true words', async () => {
    const away = { server: 'nowhere', subject: 'out.x', queue: 20, whenFull: 'hold' };
    const flows = (more: object = {}): FlowNode[] =>
      [
        TAB,
        { ...serverNode('nats://127.0.0.1:1'), id: 'nowhere' },
        outNode({ ...away, ...more }),
        { id: 'catch', type: 'catch', z: 'tab', scope: null, uncaught: false, wires: [['failed']] },
        functionNode('after', 'return null;'),
        functionNode('failed', 'return null;'),
      ].map(placed);
    await red.deploy(flows());
    await until(() => red.statusOf('out')?.text === 'disconnected');
    const failed = (): { code?: string; message: string }[] =>
      red
        .received('failed')
        .slice(from)
        .map((msg) => (msg as { error: { code?: string; message: string } }).error);
    const from = red.received('failed').length;
    for (let n = 0; n < 25; n++) red.send('out', { payload: n });
    await until(() => failed().length === 5);
    assert.deepEqual(new Set(failed().map(({ code }) => code)), new Set(['QUEUE_FULL']));
    await until(() => red.statusOf('out')?.text === 'away (20)');
    await red.deploy(flows());
    await until(() => failed().length === 25);
    for (const { code, message } of failed().slice(5)) {
      assert.equal(code, 'NOT_SENT');
      assert.match(message, /it is not stored, and nothing sends it again by itself/);
    }
    const payloads = red
      .received('failed')
      .slice(from + 5)
      .map((msg) => (msg as { payload: number }).payload);
    assert.deepEqual(
      payloads,
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  test('a jetstream-in behind it stops reading while it holds, and nothing of that is counted', async () => {
    await room.jsm.streams.add({ name: 'crm', subjects: ['crm.>'] }).catch(() => undefined);
    const flows: FlowNode[] = [
      TAB,
      serverNode(room.nats.url),
      { ...serverNode('nats://127.0.0.1:1'), id: 'nowhere' },
      inNode({
        durable: 'held',
        subject: 'crm.contacts.held',
        prefetch: 5,
        processingLimit: '1s',
        maxDeliver: 2,
        wires: [['out']],
      }),
      outNode({ server: 'nowhere', subject: 'out.held', queue: 0 }),
      functionNode('after', 'return null;'),
    ].map(placed);
    await red.deploy(flows);
    const before = room.settlements.length;
    let last = 0;
    for (let n = 0; n < 12; n++) last = await room.publish('crm.contacts.held', { n });
    await until(() => red.statusOf('out')?.text === 'away (5)');
    const held = async () => room.jsm.consumers.info('crm', 'held');
    // Longer than the processing limit.
    const began = Date.now();
    await until(() => Date.now() - began > 2_500, { interval: 100 });
    const { num_ack_pending: pending, num_redelivered: again, delivered } = await held();
    assert.deepEqual([pending, again, delivered.consumer_seq], [5, 0, 5]);
    assert.deepEqual(
      room.settlements.slice(before).filter(({ verb }) => verb !== '+WPI'),
      [],
    );
    await red.deploy(flows.map((node) => (node.id === 'out' ? { ...node, server: 'server' } : node)));
    await until(async () => (await held()).ack_floor.stream_seq === last, { timeout: 20_000 });
  });
});

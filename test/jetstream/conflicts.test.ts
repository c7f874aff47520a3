import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

let room: Room;
let red: EmbeddedNodeRed;
before(async () => {
  room = await openRoom();
  red = await embedNodeRed({ flows: [] });
});
after(async () => {
  await red.stop();
  await room.stop();
});

const flow = (...nodes: FlowNode[]): FlowNode[] =>
  [
    TAB,
    serverNode(room.nats.url),
    ...nodes,
    ...['f1', 'f2'].map((id) => functionNode(id, 'return null;')),
  ].map(placed);
const status = (id: string, text: string): Promise<unknown> =>
  until(() => red.statusOf(id)?.text === text, {
    what: `${id} to be "${text}", not "${red.statusOf(id)?.text}"`,
  });
const errorsOf = (pattern: RegExp): string[] =>
  red.log.map(({ text }) => text).filter((line) => pattern.test(line));

describe('two jetstream-in on one durable', () => {
  const a = (more: object = {}) =>
    inNode({
      id: 'a',
      name: 'orders',
      provision: false,
      durable: 'one',
      subject: 'crm.a',
      wires: [['f1']],
      ...more,
    });
  const b = (more: object = {}) =>
    inNode({
      id: 'b',
      name: 'copy',
      provision: false,
      durable: 'one',
      subject: 'crm.b',
      wires: [['f2']],
      ...more,
    });

  test('with different filters neither takes the messages of the other: each names the other', async () => {
    await red.deploy(flow(a(), b()));
    await status('a', 'conflict, see log');
    await status('b', 'conflict, see log');
    assert.match(
      errorsOf(/jetstream-in "orders" and jetstream-in "copy" both read the durable "one"/)[0] ?? '',
      /stream "crm" with different settings \(Subjects\), .* make them equal, or choose another durable name/,
    );
    assert.ok(errorsOf(/jetstream-in "copy" and jetstream-in "orders" both read/).length > 0);
    await assert.rejects(room.jsm.consumers.info('crm', 'one'), 'nobody has made it');
  });

  test('made equal, they share the work', async () => {
    await red.deploy(flow(a(), b({ subject: 'crm.a' })));
    await status('a', 'ready');
    await status('b', 'ready');
  });

  test('a copy that is deployed later waits, and starts when the first is gone', async () => {
    await red.deploy(flow(a()));
    await status('a', 'ready');
    await red.deploy(flow(a(), b()), 'nodes');
    await status('b', 'conflict, see log');
    await room.publish('crm.a', { n: 1 });
    await until(() => red.received('f1').length > 0);
    assert.deepEqual((await room.jsm.consumers.info('crm', 'one')).config.filter_subject, 'crm.a');
    await red.deploy(flow(b()), 'nodes');
    await status('b', 'ready');
    assert.deepEqual((await room.jsm.consumers.info('crm', 'one')).config.filter_subject, 'crm.b');
  });

  test('over two jetstream-server nodes for one system it is the same durable', async () => {
    const second = { ...serverNode(room.nats.url.replace('nats://', '')), id: 'server2' };
    await red.deploy([...flow(a(), b({ server: 'server2' })), second]);
    await status('b', 'conflict, see log');
    await red.deploy([...flow(a(), b({ server: 'server2', durable: 'two' })), second]);
    await status('b', 'ready');
  });
});

describe('two nodes that provision one stream', () => {
  const provisioning = (id: string, durable: string, streamConfig: object, more: object = {}) =>
    inNode({ id, name: id, stream: 'both', durable, subject: '', deadLetter: '', streamConfig, ...more });

  test('with different subjects both have theirs', async () => {
    await red.deploy(
      flow(
        provisioning('p', 'dp', { subjects: ['both.a'] }, { wires: [['f1']] }),
        provisioning('q', 'dq', { subjects: ['both.b'], maxMsgs: '' }, { wires: [['f2']] }),
      ),
    );
    await status('p', 'ready');
    await status('q', 'ready');
    const { config } = await room.jsm.streams.info('both');
    assert.deepEqual(config.subjects.slice().sort(), ['both.a', 'both.b']);
  });

  test('limits that contradict are an error that names both', async () => {
    await red.deploy(
      flow(
        provisioning('p', 'dp', { subjects: ['both.a'], maxAge: '1h' }, { wires: [['f1']] }),
        provisioning('q', 'dq', { subjects: ['both.b'], maxAge: '2h' }, { wires: [['f2']] }),
      ),
    );
    await status('p', 'conflict, see log');
    await status('q', 'conflict, see log');
    assert.match(
      errorsOf(/jetstream-in "p" and jetstream-in "q" both provision the stream "both"/)[0] ?? '',
      /with different settings \(Max age\)/,
    );
    assert.equal((await room.jsm.streams.info('both')).config.max_age, 0);
  });

  test('one that would take away the subjects of the other contradicts it', async () => {
    await red.deploy(
      flow(
        provisioning('p', 'dp', { subjects: ['both.a'] }, { wires: [['f1']], narrow: true }),
        provisioning('q', 'dq', { subjects: ['both.b'] }, { wires: [['f2']] }),
      ),
    );
    await status('p', 'conflict, see log');
    assert.deepEqual((await room.jsm.streams.info('both')).config.subjects.slice().sort(), [
      'both.a',
      'both.b',
    ]);
  });

  test('alone, and with narrow, it takes them away, and says so', async () => {
    await red.deploy(
      flow(provisioning('p', 'dp', { subjects: ['both.a'] }, { wires: [['f1']], narrow: true })),
    );
    await status('p', 'ready');
    assert.deepEqual((await room.jsm.streams.info('both')).config.subjects, ['both.a']);
    assert.ok(
      errorsOf(/The stream "both" was changed: Stream subjects: both\.a, both\.b → both\.a/).length > 0,
    );
  });

  test('api-sync-out leaves a stream that exists as it is, and says what it would have changed', async () => {
    await room.jsm.streams.add({ name: 'RECORDS', subjects: ['rec.>', 'other.x'] });
    for (let n = 0; n < 5; n++) await room.publish('rec.same', { n });
    const source = {
      id: 'source',
      type: 'api-source',
      syncId: 'own',
      provider: 'flow',
      collections: ['things'],
    };
    const sync = (id: string, more: object = {}) => ({
      id,
      name: id,
      type: 'api-sync-out',
      z: 'tab',
      server: 'server',
      stream: 'RECORDS',
      subjectPrefix: 'rec',
      checkpoint: 'context',
      source: 'source',
      wires: [[]],
      ...more,
    });
    const record = {
      id: 'send',
      type: 'inject',
      z: 'tab',
      once: true,
      onceDelay: 0.2,
      props: [{ p: 'payload' }],
      payload: '{"collection_id":"things","upstream_id":"1","data":{"a":1}}',
      payloadType: 'json',
      wires: [['s']],
    };
    await red.deploy([...flow(sync('s'), record), source]);
    await until(() => errorsOf(/"RECORDS" keeps "Max per subject" \(no limit\)/).length > 0);
    const { config, state } = await room.jsm.streams.info('RECORDS');
    assert.deepEqual(config.subjects, ['rec.>', 'other.x']);
    assert.ok(state.messages >= 5);
    await red.deploy([...flow(sync('s'), sync('t', { streamConfig: { maxMsgsPerSubject: 3 } })), source]);
    await status('s', 'conflict, see log');
    await status('t', 'conflict, see log');
    assert.ok(
      errorsOf(/api-sync-out "s" and api-sync-out "t" both provision the stream "RECORDS"/).length > 0,
    );
  });
});

test(
  'a paused durable is shown until its time',
  { skip: process.env.NATS_TEST_VERSION === '2.10' },
  async () => {
    await red.deploy(flow(inNode({ id: 'a', provision: false, durable: 'held', wires: [['f1']] })));
    await status('a', 'ready');
    const pause = (until: Date): Promise<unknown> =>
      room.nc.request('$JS.API.CONSUMER.PAUSE.crm.held', JSON.stringify({ pause_until: until }));
    await pause(new Date(Date.now() + 3_600_000));
    await until(() => /^paused until 20\d\d-/.test(red.statusOf('a')?.text ?? ''), { timeout: 20_000 });
    await pause(new Date(0));
    await until(() => red.statusOf('a')?.text === 'ready', { timeout: 20_000 });
  },
);

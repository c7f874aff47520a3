import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { connect } from 'nats';
import { startOrg, type Org } from '../org/org';
import { freePort } from '../support/cleanup';
import { startNats } from '../support/nats';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { code, example, orgNode, receiveNode, sink, tab } from './event-flows';
import { TOPIC, orders } from './pubsub/rig';

let org: Org;
let red: EmbeddedNodeRed;
before(async () => {
  org = await startOrg({ pubsub: true });
  red = await embedNodeRed({ flows: tab(orgNode(org)) });
});
afterEach(async () => {
  await red.deploy(tab(orgNode(org)));
  org.faults.clear();
  org.bus().log.forget();
});
after(async () => {
  await red.stop();
  await org.close();
});

const publish = (count: number, from = 0) => org.bus().publish(TOPIC, ...orders(count, from));

interface Message {
  payload: Record<string, unknown>;
  topic: string;
  salesforce: Record<string, unknown>;
}

/** Deploys the node with what follows it; gives what has arrived at a node of the flow since. */
async function use(node: FlowNode, ...next: FlowNode[]): Promise<(id?: string) => Message[]> {
  const bases = new Map(['next', ...next.map(({ id }) => id)].map((id) => [id, red.received(id).length]));
  await red.deploy(tab(orgNode(org), node, ...next));
  return (id = 'next') => red.received(id).slice(bases.get(id)) as unknown as Message[];
}

const ids = (messages: Message[]) => messages.map(({ payload }) => payload.Order_ID__c);

describe('messages', () => {
  test('an event arrives with its fields, its topic and where it came from, all of it plain data', async () => {
    publish(1);
    const received = await use(receiveNode(), sink('next'));
    await until(() => received().length === 1);
    const [message] = received() as [Message];
    const [event] = org.events(TOPIC);
    assert.equal(message.payload.Order_ID__c, 'O-0');
    assert.equal(message.topic, TOPIC);
    const { token, ...salesforce } = message.salesforce;
    assert.equal(typeof token, 'string');
    assert.deepEqual(salesforce, {
      topic: TOPIC,
      replayId: event?.replayId,
      id: event?.id,
      schemaId: event?.schemaId,
      deliveries: 1,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(message.payload)), message.payload);
    assert.equal(Object.getPrototypeOf(message.payload), Object.prototype);
  });

  test('events come in order, and the status says how many are in the flow', async () => {
    publish(250);
    const received = await use(
      receiveNode({ wires: [['hold']] }),
      code('hold', 'setTimeout(() => { node.send(msg); node.done(); }, 1000);', [['next']]),
      sink('next'),
    );
    await until(() => /^\d+ in the flow$/.test(red.statusOf('receive')?.text ?? ''));
    await until(() => received().length === 250);
    assert.deepEqual(
      ids(received()),
      Array.from({ length: 250 }, (_, i) => `O-${i}`),
    );
    await until(() => red.statusOf('receive')?.text === 'ready');
  });
});

describe('acknowledgement', () => {
  test('flow: an event whose path is not finished comes again after a deploy, finished ones don’t', async () => {
    publish(3);
    const node = receiveNode({ replay: 'stored', wires: [['check']] });
    // Without node.done O-1 is never finished.
    const holds = `if (msg.payload.Order_ID__c !== 'O-1') { node.send(msg); node.done(); }`;
    const first = await use(node, code('check', holds, [['next']]), sink('next'));
    await until(() => first().length === 2);
    const second = await use(node, code('check', 'return msg;', [['next']]), sink('next'));
    await until(() => second().length === 2);
    assert.deepEqual(ids(second()), ['O-1', 'O-2'], 'from the first that was not finished');
  });

  test('flow: an error on any path brings the event again', async () => {
    publish(1);
    const fail = `const count = (context.get('count') ?? 0) + 1; context.set('count', count);
      if (count === 1) { node.error('first time', msg); node.done(new Error('first time')); } else { node.send(msg); node.done(); }`;
    const from = red.log.length;
    const received = await use(
      receiveNode({ wires: [['ok', 'failing']] }),
      sink('ok'),
      code('failing', fail, [['next']]),
      sink('next'),
    );
    await red.waitForLog(/first time.*\(delivery 1\) failed in function.* and comes again in 10s/, {
      from,
    });
    await until(() => received().length === 1, { timeout: 15_000 });
    assert.equal(received()[0]?.salesforce.deliveries, 2);
    assert.equal(received('ok').length, 2);
  });

  test('flow: a jetstream-out behind it is redeployed: the event comes again at once, and that is no try', async (t) => {
    const nats = await startNats();
    t.after(() => nats.stop());
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    await (await nc.jetstreamManager()).streams.add({ name: 'done', subjects: ['done.>'] });
    const flow = (server: string) => [
      orgNode(org),
      { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' },
      { id: 'away', type: 'jetstream-server', servers: `nats://127.0.0.1:${port}`, auth: 'none' },
      receiveNode({ wires: [['out']] }),
      { id: 'out', type: 'jetstream-out', z: 'tab', server, subject: 'done.x', wires: [['next']] },
      sink('next'),
    ];
    const port = await freePort();
    const from = red.log.length;
    const before = red.received('next').length;
    publish(1);
    await red.deploy(tab(...flow('away')));
    await until(() => red.statusOf('receive')?.text === '1 in the flow');
    await red.deploy(tab(...flow('server')), 'nodes');
    await until(() => red.received('next').length > before, { timeout: 5_000 });
    const [message] = red.received('next').slice(before) as unknown as [Message];
    assert.equal(message.salesforce.deliveries, 1);
    const said = red.log.slice(from).filter(({ text }) => /(^|\. )The event /.test(text));
    assert.ok(said.length > 0 && said.every(({ level }) => level === 'debug'));
    const how =
      /^The node was stopped.* The event .* was given back in jetstream-out \S+ and comes again at once, uncounted$/;
    assert.match(said[0]?.text ?? '', how);
  });

  test('flow: an error that can’t be mended by repeating passes the event over, and the log names it', async () => {
    publish(2);
    const from = red.log.length;
    const func = `if (msg.payload.Order_ID__c === 'O-0') throw Object.assign(new Error('bad data'), { retryable: false }); return msg;`;
    const received = await use(
      receiveNode({ wires: [['check']] }),
      code('check', func, [['next']]),
      sink('next'),
    );
    await until(() => received().length === 1);
    const [bad] = org.events(TOPIC);
    const entry = await red.waitForLog(/bad data.* is passed over/, { from });
    assert.ok(entry.text.includes(bad?.replayId ?? '?'));
    assert.equal(entry.level, 'error');
  });

  test('manual: it is for jetstream-ack to say, also behind a node that overwrites what it can', async () => {
    publish(2);
    const node = receiveNode({ replay: 'stored', ack: 'manual', wires: [['change']] });
    const change = code('change', 'msg.payload = { done: msg.payload.Order_ID__c }; return { ...msg };', [
      ['ack', 'next'],
    ]);
    const ack: FlowNode = {
      id: 'ack',
      type: 'jetstream-ack',
      z: 'tab',
      action: 'ack',
      delay: '',
      wires: [[]],
    };
    const first = await use(node, change, ack, sink('next'));
    await until(() => first().length === 2);
    publish(1, 2);
    await until(() => first().length === 3);
    const again = await use(node, code('change', 'return msg;', [['next']]), sink('next'));
    publish(1, 3);
    await until(() => again().length > 0);
    assert.deepEqual(ids(again()), ['O-3']);
    const held = await use(node, code('change', 'return msg;', [['next']]), sink('next'));
    await until(() => held().length === 1);
    assert.deepEqual(ids(held()), ['O-3'], 'nobody has acknowledged it');
  });

  test('delivery: it is done with when it is handed over', async () => {
    publish(2);
    const node = receiveNode({ replay: 'stored', ack: 'delivery', wires: [['never']] });
    const never = code('never', 'node.send(msg);', [['next']], { initialize: '' });
    const first = await use(node, never, sink('next'));
    await until(() => first().length === 2);
    const second = await use(node, never, sink('next'));
    publish(1, 2);
    await until(() => second().length === 1);
    assert.deepEqual(ids(second()), ['O-2']);
  });

  test('a node without a wire reads nothing: nobody would see it', async () => {
    publish(1);
    await use(receiveNode({ replay: 'stored', wires: [[]] }));
    await until(() => red.statusOf('receive')?.text === 'not wired');
    const received = await use(receiveNode({ replay: 'stored' }), sink('next'));
    await until(() => received().length === 1);
  });
});

describe('dead letter', () => {
  const deadSubject = 'dead.orders';
  /** With a stream of NATS for the dead letters; `letters` reads what is in there. */
  async function withLetters(t: TestContext, more: object = {}) {
    const nats = await startNats();
    t.after(() => nats.stop());
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    const jsm = await nc.jetstreamManager();
    const addStream = () => jsm.streams.add({ name: 'DEAD', subjects: ['dead.>'] });
    const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
    const node = receiveNode({ server: 'server', deadLetter: deadSubject, wires: [['check']], ...more });
    const letters = async () => {
      const { state } = await jsm.streams.info('DEAD');
      const all = Array.from({ length: state.messages }, (_, i) =>
        jsm.streams.getMessage('DEAD', { seq: i + 1 }),
      );
      return (await Promise.all(all)).map(({ data, header }) => ({
        data: Buffer.from(data),
        header: (name: string) => header.get(`Jetforce-${name}`),
      }));
    };
    return { server, node, letters, addStream };
  }
  const refusing = (id: string, how: string) =>
    code('check', `if (msg.payload.Order_ID__c === '${id}') { ${how} } node.send(msg); node.done();`, [
      ['next'],
    ]);
  const forGood = `node.done(Object.assign(new Error('no such order'), { retryable: false })); return;`;

  test('an event that fails for good goes there with what went wrong, and those behind it go on', async (t) => {
    const { server, node, letters, addStream } = await withLetters(t);
    await addStream();
    publish(3);
    const received = await use(node, server, refusing('O-1', forGood), sink('next'));
    await until(() => received().length === 2);
    const [letter] = await until(async () => ((await letters()).length === 1 ? letters() : undefined));
    assert.equal((JSON.parse(String(letter?.data)) as Message['payload']).Order_ID__c, 'O-1');
    const header = (name: string) => letter?.header(name);
    const [, event] = org.events(TOPIC);
    assert.deepEqual(
      [header('Topic'), header('Replay-Id'), header('Event-Id'), header('Deliveries')],
      [TOPIC, event?.replayId, event?.id, '1'],
    );
    assert.match(header('Error') ?? '', /function.*no such order/);
  });

  test('an event that is given up after its failures goes there although no other succeeds', async (t) => {
    const { server, node, letters, addStream } = await withLetters(t, { maxDeliver: 1 });
    await addStream();
    publish(1);
    await use(node, server, refusing('O-0', `node.done(new Error('not today')); return;`), sink('next'));
    const [letter] = await until(async () => ((await letters()).length === 1 ? letters() : undefined));
    assert.match(letter?.header('Error') ?? '', /not today/);
  });

  test('an event that can’t be read goes there as the bytes that it is made of', async (t) => {
    const { server, node, letters, addStream } = await withLetters(t);
    await addStream();
    publish(1);
    org.bus().log.publish(TOPIC, [{ id: 'odd', schemaId: 'no-such-schema', payload: Buffer.from([2, 9]) }]);
    publish(1, 1);
    const received = await use(node, server, refusing('', ''), sink('next'));
    await until(() => received().length === 2);
    const [letter] = await until(async () => ((await letters()).length === 1 ? letters() : undefined));
    assert.deepEqual([letter?.data, letter?.header('Schema-Id')], [Buffer.from([2, 9]), 'no-such-schema']);
  });

  test('the position stays before an event until its dead letter is stored', async (t) => {
    const { server, node, letters, addStream } = await withLetters(t, { replay: 'stored', id: 'careful' });
    publish(1);
    const from = red.log.length;
    await use(node, server, refusing('O-0', forGood), sink('next'));
    await red.waitForLog(/its dead letter can't be stored yet/, { from });
    const again = await use(node, server, code('check', 'return msg;', [['next']]), sink('next'));
    await until(() => again().length === 1, { what: 'the event, once more' });
    await use({ ...node, id: 'careful-2' }, server, refusing('O-0', forGood), sink('next'));
    await addStream();
    await until(async () => (await letters()).length === 1, { timeout: 20_000 });
  });

  test('without a server for it the settings are wrong', async () => {
    const from = red.log.length;
    await use(receiveNode({ deadLetter: deadSubject }), sink('next'));
    await red.waitForLog(/Dead letters need a stream: choose a jetstream-server/, { from });
  });
});

describe('position', () => {
  test('in memory it is lost with the process, and the node says so', async () => {
    const from = red.log.length;
    await use(receiveNode({ replay: 'stored' }), sink('next'));
    const { level } = await red.waitForLog(/is kept in memory.*contextStorage/, { from });
    assert.equal(level, 'warn');
  });

  test('a lost one reaches a Catch node with the gap in time, and what the org still has comes', async () => {
    const node = receiveNode({ replay: 'stored' });
    const catching: FlowNode = {
      id: 'catch',
      type: 'catch',
      z: 'tab',
      scope: ['receive'],
      wires: [['caught']],
    };
    publish(2);
    const before = await use(node, sink('next'), catching, sink('caught'));
    await until(() => before().length === 2);
    await red.deploy(tab(orgNode(org)));
    org.bus().log.forget();
    publish(1, 2);
    const after = await use(node, sink('next'), catching, sink('caught'));
    await until(() => after().length === 1 && after('caught').length === 1);
    const [{ payload, error }] = after('caught') as [Message & { error: { message: string } }];
    assert.match(error.message, /does not know the position.*a gap of at most \d+/);
    assert.equal(Date.parse(String(payload.to)) - Date.parse(String(payload.from)), payload.ms);
    assert.deepEqual(ids(after()), ['O-2']);
  });

  test('in a bucket of NATS it outlives whatever happens to Node-RED', async (t) => {
    const nats = await startNats();
    t.after(() => nats.stop());
    const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
    const node = receiveNode({ replay: 'stored', checkpoint: 'kv', server: 'server', bucket: 'positions' });
    publish(2);
    const before = await use(node, server, sink('next'));
    await until(() => before().length === 2);
    await red.deploy(tab(orgNode(org)));
    publish(1, 2);
    const after = await use(node, server, sink('next'));
    await until(() => after().length === 1);
    assert.deepEqual(ids(after()), ['O-2']);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    const kv = await until(() =>
      nc
        .jetstream()
        .views.kv('positions', { bindOnly: true })
        .catch(() => undefined),
    );
    const position = (): Promise<{ replayId?: string }> =>
      kv.get('receive').then((entry) => entry?.json() ?? {});
    await until(async () => (await position()).replayId === org.events(TOPIC)[2]?.replayId);
  });

  test('in a bucket that another Node-RED moves, too, it is left to that one, and that is said once', async (t) => {
    const nats = await startNats();
    t.after(() => nats.stop());
    const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
    const node = receiveNode({ replay: 'stored', checkpoint: 'kv', server: 'server', bucket: 'positions' });
    publish(1);
    const received = await use(node, server, sink('next'));
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    const kv = await until(() =>
      nc
        .jetstream()
        .views.kv('positions', { bindOnly: true })
        .catch(() => undefined),
    );
    const position = (): Promise<object> => kv.get('receive').then((entry) => entry?.json() ?? {});
    await until(async () => 'replayId' in (await position()));
    const foreign = { ...(await position()), replayId: 'AAAAAAAAAAk=', by: 'another' };
    await kv.put('receive', JSON.stringify(foreign));
    const from = red.log.length;
    publish(1, 1);
    const { level } = await red.waitForLog(/position of .* is moved by another process/, { from });
    assert.equal(level, 'error');
    publish(3, 2);
    await until(() => received().length === 5);
    await until(() => red.statusOf('receive')?.text === 'position taken');
    assert.deepEqual(await position(), foreign);
    const said = red.log.slice(from).filter(({ text }) => /moved by another process/.test(text));
    assert.equal(said.length, 1);
  });

  test('while the bucket can’t be read nothing is: it does not begin somewhere else', async (t) => {
    const nats = await startNats();
    t.after(() => nats.stop());
    await nats.kill();
    const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
    publish(1);
    const node = receiveNode({ replay: 'stored', checkpoint: 'kv', server: 'server', id: 'late' });
    const received = await use(node, server, sink('next'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const from = red.log.length;
    await red.deploy(tab(orgNode(org), { ...node, name: 'again' }, server, sink('next')));
    assert.ok(
      !red.log.slice(from).some(({ text }) => /timed out/i.test(text)),
      'it can be stopped all the same',
    );
    assert.equal(received().length, 0);
    await nats.restart();
    await until(() => received().length === 1, { timeout: 20_000 });
  });
});

describe('settings', () => {
  for (const [what, more, text] of [
    ['no org', { org: '' }, /No sfdc-org is chosen/],
    ['no topic', { topic: ' ' }, /is not a topic to read/],
    ['a bucket without a server', { replay: 'stored', checkpoint: 'kv' }, /choose a jetstream-server/],
  ] as const) {
    test(`${what} is said`, async () => {
      const from = red.log.length;
      await use(receiveNode(more), sink('next'));
      assert.equal((await red.waitForLog(text, { from })).level, 'error');
      await until(() => red.statusOf('receive')?.text === 'wrong settings');
    });
  }

  test('a topic that is not there is in the status', async () => {
    await use(receiveNode({ topic: '/event/Nowhere__e' }), sink('next'));
    await until(() => red.statusOf('receive')?.text === 'no such topic');
  });
});

test('the example: every change of a contact is in JetStream once, under its type', async (t) => {
  const nats = await startNats();
  t.after(() => nats.stop());
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
  await red.deploy(example('Contact changes to JetStream', org, nats.url));
  org.write('Contact', { LastName: 'Doe', ExternalId__c: 'example' });
  const id = String(org.records('Contact').find((row) => row.ExternalId__c === 'example')?.Id);
  org.write('Contact', { Id: id, Phone: '1' });
  org.remove('Contact', [id]);
  await until(async () => (await jsm.streams.info('crm')).state.messages === 3);
  const subjects = (await jsm.streams.info('crm', { subjects_filter: 'crm.>' })).state.subjects;
  assert.deepEqual(subjects, {
    'crm.contacts.changes.CREATE': 1,
    'crm.contacts.changes.UPDATE': 1,
    'crm.contacts.changes.DELETE': 1,
  });
});

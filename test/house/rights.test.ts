import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'nats';
import { startNats } from '../support/nats';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { root } from '../support/user-dir';

// The table of docs/nats-rights.md: what it says is enough must be enough.

const CONSUME = ['$JS.API.CONSUMER.INFO.S.C', '$JS.API.CONSUMER.MSG.NEXT.S.C', '$JS.ACK.S.C.>'];
const MAKE_DURABLE = ['$JS.API.CONSUMER.CREATE.S.C.>'];
const PROVISION = ['$JS.API.STREAM.INFO.S', '$JS.API.STREAM.CREATE.S', '$JS.API.STREAM.UPDATE.S'];

const user = (name: string, publish: string[]) => `{
  user: ${name}, password: secret,
  permissions: { publish: ${JSON.stringify(publish)}, subscribe: ["_INBOX_${name}.>"] }
}`;

const flow = (name: string, provision: boolean): FlowNode[] => [
  { id: 'tab', type: 'tab' },
  {
    id: 'server',
    type: 'jetstream-server',
    servers: '${NATS_URL}',
    auth: 'userpass',
    user: name,
    inboxPrefix: `_INBOX_${name}`,
    credentials: { password: 'secret' },
  },
  {
    id: 'in',
    type: 'jetstream-in',
    z: 'tab',
    server: 'server',
    stream: 'S',
    provision,
    streamConfig: { subjects: ['s.>'] },
    subject: 's.in',
    durable: 'C',
    format: 'json',
    deadLetter: 's.dead',
    wires: [['out']],
  },
  { id: 'out', type: 'jetstream-out', z: 'tab', server: 'server', subject: 's.out', wires: [['end']] },
  { id: 'end', type: 'debug', z: 'tab', active: false, wires: [] },
];

test('the rights that docs/nats-rights.md names are enough, with an inbox of the user’s own', async (t) => {
  const server = await startNats({
    config: `authorization { users: [
      { user: admin, password: secret },
      ${user('maker', [...PROVISION, ...CONSUME, ...MAKE_DURABLE, 's.out', 's.dead'])},
      ${user('worker', [...CONSUME, 's.out', 's.dead'])}
    ] }`,
  });
  t.after(() => server.stop());
  process.env.NATS_URL = server.url;
  const nc = await connect({ servers: server.url, user: 'admin', pass: 'secret' });
  t.after(() => nc.close());
  const js = nc.jetstream();
  const jsm = await nc.jetstreamManager();
  const red = await embedNodeRed({ flows: flow('maker', true) });
  t.after(() => red.stop());

  for (const [round, name] of ['maker', 'worker'].entries()) {
    if (name === 'worker') await red.deploy(flow(name, false));
    const consumer = await until(() => jsm.consumers.info('S', 'C'), {
      what: `the durable, made by ${name}`,
    });
    assert.equal(consumer.config.filter_subject, 's.in');
    await js.publish('s.in', JSON.stringify({ good: name }));
    await js.publish('s.in', 'not JSON');
    await until(async () => (await jsm.streams.info('S')).state.messages === (round + 1) * 4, {
      what: `${name}: two messages in, one published on, one dead letter`,
    });
    await until(async () => (await jsm.consumers.info('S', 'C')).num_ack_pending === 0, {
      what: `${name}: both settled`,
    });
  }
  const complaints = red.log.filter(({ level, text }) => level === 'error' && !/JSON/.test(text));
  assert.deepEqual(complaints, []);
});

test('docs/nats-rights.md names these rights', () => {
  const page = readFileSync(join(root, 'docs/nats-rights.md'), 'utf8');
  for (const right of [...CONSUME, ...MAKE_DURABLE, ...PROVISION]) {
    assert.ok(page.includes(`\`${right}\``), right);
  }
});

test('the user of docs/nats-rights.md runs the flow that the page says, and has the tries kept', async (t) => {
  const page = readFileSync(join(root, 'docs/nats-rights.md'), 'utf8');
  const [, config = ''] = /^```\n(authorization[\s\S]*?)^```$/m.exec(page) ?? [];
  const admin = '{ user: admin, password: secret }';
  const server = await startNats({
    config: config.replace('$ACTIVATION_PASSWORD', 'secret').replace('users: [', `users: [ ${admin}`),
  });
  t.after(() => server.stop());
  process.env.NATS_URL = server.url;
  const nc = await connect({ servers: server.url, user: 'admin', pass: 'secret' });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager();

  const example = readFileSync(join(root, 'examples/Upsert contacts from JetStream.json'), 'utf8');
  const nodes = JSON.parse(example) as FlowNode[];
  const source = nodes.find(({ type }) => type === 'jetstream-in') ?? assert.fail();
  const red = await embedNodeRed({
    flows: [
      ...nodes.filter(({ type }) => type === 'tab'),
      {
        ...nodes.find(({ type }) => type === 'jetstream-server'),
        ...{ auth: 'userpass', user: 'activation', inboxPrefix: '_INBOX_activation' },
        credentials: { password: 'secret' },
      } as FlowNode,
      { ...source, format: 'json', wires: [['end']] },
      { id: 'end', type: 'debug', z: source.z, active: false, wires: [] },
    ],
  });
  t.after(() => red.stop());

  await until(() => jsm.consumers.info('crm', String(source.durable)), { what: 'the durable' });
  nc.publish('crm.contacts.upsert', '{}');
  nc.publish('crm.contacts.upsert', 'not JSON');
  await until(async () => (await jsm.streams.info('crm')).state.messages === 3, { what: 'the dead letter' });
  await until(async () => (await jsm.streams.info('KV_jetforce-tries')).state.last_seq > 0, {
    what: 'what was tried',
  });
  const answer = await fetch(`${red.url}/jetforce/state`);
  const { durables } = (await answer.json()) as { durables: { deadLetter: { stored: number } }[] };
  assert.equal(durables[0]?.deadLetter.stored, 1);
  const complaints = red.log.filter(({ text }) => /right|permission/i.test(text));
  assert.deepEqual(complaints, []);
});

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'nats';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { startNats, type Nats } from '../support/nats';
import { until } from '../support/until';
import { functionNode, inNode, placed, serverNode, TAB } from './room';

/** Rights that an administrator takes from the user of running nodes, and gives back. */

const accounts = (permissions: string): string => `accounts: { APP: { jetstream: enabled, users: [
  { user: "admin", password: "admin" },
  { user: "app", password: "app", permissions: ${permissions} }
] } }`;
const ALL = accounts('{ publish: ">", subscribe: ">" }');

function reload(nats: Nats, users: string): void {
  const file = join(nats.dir, 'nats.conf');
  const rest = readFileSync(file, 'utf8').replace(/accounts: [^]*$/, '');
  writeFileSync(file, rest + users);
  process.kill(nats.pid, 'SIGHUP');
}

async function open() {
  const nats = await startNats({ config: ALL });
  const nc = await connect({ servers: nats.url, user: 'admin', pass: 'admin' });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
  await jsm.streams.add({ name: 'out', subjects: ['out.>'] });
  const flows: FlowNode[] = [
    TAB,
    serverNode(nats.url, { auth: 'userpass', user: 'app', credentials: { password: 'app' } }),
    inNode({ provision: false, wires: [['out']] }),
    { id: 'out', type: 'jetstream-out', z: 'tab', server: 'server', subject: 'out.x', wires: [['end']] },
    functionNode('end', 'return null;'),
  ];
  const red = await embedNodeRed({ flows: flows.map(placed) });
  await until(() => red.statusOf('in')?.text === 'ready');
  return {
    nats,
    jsm,
    red,
    publish: async (count: number) => {
      for (let n = 0; n < count; n++) await nc.jetstream().publish('crm.contacts.x', '{}');
    },
    stored: async () => (await jsm.streams.info('out')).state.messages,
    stop: async () => {
      await red.stop();
      await nc.close();
      await nats.stop();
    },
  };
}

test('without its inbox nothing is received or confirmed: it is named once, and all goes on when it is back', async () => {
  const { nats, jsm, red, publish, stored, stop } = await open();
  await publish(5);
  await until(async () => (await stored()) === 5);
  reload(nats, accounts('{ publish: ">", subscribe: { allow: ">", deny: "_INBOX.>" } }'));
  await until(() => red.statusOf('in')?.text === 'right missing');
  await publish(5);
  reload(nats, ALL);
  await until(async () => (await stored()) === 10, { timeout: 20_000 });
  await until(async () => (await jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
  await until(() => red.statusOf('in')?.text === 'ready');
  const said = red.log.filter(({ text }) => /may not subscribe to "_INBOX\.>"/.test(text));
  assert.equal(said.length, 1);
  await stop();
});

test('acknowledgements that are refused are named once, by the right that is missing', async () => {
  const { nats, red, publish, stop } = await open();
  reload(nats, accounts('{ publish: { allow: ">", deny: "$JS.ACK.>" }, subscribe: ">" }'));
  await until(() => nats.log.some((line) => /Reloaded server config/.test(line)));
  await publish(20);
  await until(() => red.received('end').length === 20);
  const said = () => red.log.filter(({ text }) => text.includes('"$JS.ACK.'));
  await until(() => said().length > 0);
  await publish(5);
  await until(() => nats.log.filter((line) => /Publish Violation.*ACK\.crm\.flow/.test(line)).length >= 25);
  assert.deepEqual(
    said().map(({ text }) => /"(\$JS.*?)"/.exec(text)?.[1]),
    ['$JS.ACK.crm.flow.>'],
  );
  await stop();
});

test('the status is true again soon after a right to acknowledge was given back, though nothing new comes', async () => {
  const { nats, jsm, red, publish, stop } = await open();
  reload(nats, accounts('{ publish: { allow: ">", deny: "$JS.ACK.>" }, subscribe: ">" }'));
  await until(() => nats.log.some((line) => /Reloaded server config/.test(line)));
  await publish(3);
  await until(() => red.statusOf('in')?.text === 'right missing');
  reload(nats, ALL);
  // Long before the ack wait of 30 s.
  await until(() => red.statusOf('in')?.text === 'ready', { timeout: 15_000 });
  await until(async () => (await jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
  assert.equal(red.received('end').length, 3, 'what was acknowledged late does not come again');
  await stop();
});

test('the status is true again soon after the right to ask for messages was given back', async () => {
  const { nats, red, publish, stored, stop } = await open();
  reload(nats, accounts('{ publish: { allow: ">", deny: "$JS.API.CONSUMER.MSG.NEXT.>" }, subscribe: ">" }'));
  await until(() => red.statusOf('in')?.text === 'right missing', { timeout: 15_000 });
  reload(nats, ALL);
  await publish(3);
  await until(async () => (await stored()) === 3, { timeout: 15_000 });
  await until(() => red.statusOf('in')?.text === 'ready', { timeout: 15_000 });
  await stop();
});

test('whoever may not look at the durable any more still receives, and says so', async () => {
  const { nats, red, publish, stored, stop } = await open();
  reload(nats, accounts('{ publish: { allow: ">", deny: "$JS.API.CONSUMER.INFO.>" }, subscribe: ">" }'));
  await until(() => nats.log.some((line) => /Publish Violation.*CONSUMER\.INFO/.test(line)), {
    timeout: 15_000,
  });
  await publish(3);
  await until(async () => (await stored()) === 3);
  await until(() => red.statusOf('in')?.text === 'ready');
  await stop();
});

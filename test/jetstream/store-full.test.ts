import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, DiscardPolicy } from 'nats';
import { explainPublish } from '../../nodes/jetstream/publish/errors';
import { codeOf } from '../../nodes/shared/errors';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { startNats } from '../support/nats';
import { until } from '../support/until';
import { functionNode, inNode, placed, serverNode, TAB } from './room';

test('an account that may store no more is no fault of the messages: they wait, and go on when there is room', async () => {
  const nats = await startNats({
    config: 'accounts: { APP: { jetstream: { max_file: 1MB }, users: [{ user: app, password: app }] } }',
  });
  const nc = await connect({ servers: nats.url, user: 'app', pass: 'app' });
  const jsm = await nc.jetstreamManager();
  const js = nc.jetstream();
  for (const name of ['crm', 'out', 'fill'])
    await jsm.streams.add({ name, subjects: [`${name}.>`], discard: DiscardPolicy.New });
  for (let n = 1; n <= 10; n++) await js.publish('crm.contacts.x', JSON.stringify({ n }));
  for (const size of [50_000, 100]) {
    let room = true;
    while (room) room = await js.publish('fill.x', 'x'.repeat(size)).then(() => true, () => false); // prettier-ignore
  }
  const flows: FlowNode[] = [
    TAB,
    serverNode(nats.url, { auth: 'userpass', user: 'app', credentials: { password: 'app' } }),
    inNode({ provision: false, maxDeliver: 1, wires: [['out']] }),
    { id: 'out', type: 'jetstream-out', z: 'tab', server: 'server', subject: 'out.x', wires: [['end']] },
    functionNode('end', 'return null;'),
  ];
  const red = await embedNodeRed({ flows: flows.map(placed) });
  const refused = () => red.log.filter(({ text }) => /^JetStream has no room for "out\.x"/.test(text)).length;
  await until(() => refused() >= 10);
  await jsm.streams.purge('fill');
  await until(async () => (await jsm.streams.info('out')).state.messages === 10, { timeout: 20_000 });
  const { state } = await jsm.streams.info('crm', { subjects_filter: 'crm.dead' });
  assert.equal(state.subjects?.['crm.dead'], undefined, 'nothing was given up');
  await red.stop();
  await nc.close();
  await nats.stop();
});

test('a disk that is full is told from a stream that is full', () => {
  const code = (description: string) =>
    codeOf(explainPublish({ code: '503', api_error: { err_code: 10077, description } }, 'a', 1));
  assert.equal(code('write /data/jetstream/$G/streams/a/msgs/1.blk: no space left on device'), 'STORE_FULL');
  assert.equal(code('maximum bytes exceeded'), 'STREAM_FULL');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'nats';
import { startCluster, startNats } from './nats';
import { until } from './until';

test('a killed server comes back on its port with what it stored', async (t) => {
  const server = await startNats();
  t.after(() => server.stop());
  const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager({ timeout: 500 });
  await jsm.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
  await nc.jetstream().publish('kept.a', 'x');
  const before = server.pid;
  await server.kill();
  await server.restart();
  assert.notEqual(server.pid, before);
  const info = await until(() => jsm.streams.info('KEPT'), { what: 'the stream after the restart' });
  assert.equal(info.state.messages, 1);
});

test('a suspended server does not answer until it is resumed', async (t) => {
  const server = await startNats();
  t.after(() => server.stop());
  const nc = await connect({ servers: server.url });
  t.after(() => nc.close());
  server.suspend();
  const answer = nc.rtt();
  assert.equal(
    await Promise.race([answer, new Promise((r) => setTimeout(() => r('nothing'), 300))]),
    'nothing',
  );
  server.resume();
  await answer;
});

test('the 2.10 line and extra configuration', async (t) => {
  const server = await startNats({ version: '2.10', config: 'authorization { token: "t0k" }' });
  t.after(() => server.stop());
  await assert.rejects(connect({ servers: server.url, maxReconnectAttempts: 0 }), /Authorization/i);
  const nc = await connect({ servers: server.url, token: 't0k' });
  t.after(() => nc.close());
  assert.match(nc.info?.version ?? '', /^2\.10\./);
});

test('a cluster of three stores with three replicas and survives the loss of a leader', async (t) => {
  const cluster = await startCluster(3);
  t.after(() => cluster.stop());
  const nc = await connect({
    servers: cluster.url.split(','),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager({ timeout: 500 });
  const add = () => jsm.streams.add({ name: 'R3', subjects: ['r3.>'], num_replicas: 3 });
  const { cluster: placed } = await until(add, { timeout: 30_000, what: 'the stream' });
  await until(() => nc.jetstream().publish('r3.a', 'x', { msgID: 'x' }), {
    timeout: 30_000,
    what: 'its PubAck',
  });
  await cluster.server(placed?.leader ?? '').kill();
  const info = await until(() => jsm.streams.info('R3'), { timeout: 30_000, what: 'another leader' });
  assert.equal(info.state.messages, 1);
});

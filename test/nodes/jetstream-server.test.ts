import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import jetstreamOut from '../../nodes/jetstream/jetstream-out';
import jetstreamServer, { type ServerNode } from '../../nodes/jetstream/jetstream-server';
import { startNats, type Nats } from '../support/nats';
import { until } from '../support/until';
import { inbox, stage } from './helper';

const red = stage(jetstreamServer, jetstreamOut);
let nats: Nats;
before(async () => (nats = await startNats({ config: 'authorization { user: flows, password: secret }' })));
after(() => nats.stop());

const server = (more: object = {}) => ({
  id: 'server',
  type: 'jetstream-server',
  name: 'orders',
  servers: nats.url,
  auth: 'userpass',
  user: 'flows',
  credentials: { password: 'secret' },
  ...more,
});
const out = { id: 'out', type: 'jetstream-out', server: 'server', subject: 'a', wires: [['next']] };

const phaseOf = (node: unknown) => (node as ServerNode).connection?.state.phase;

test('is registered, with what its form says', async () => {
  await red.load(server());
  assert.equal(red.node('server').type, 'jetstream-server');
  assert.equal(red.node('server').name, 'orders');
});

test('does not connect while no node uses it', async () => {
  await red.load(server());
  assert.equal(phaseOf(red.node('server')), 'idle');
});

test('connects with its credentials for a node that uses it', async () => {
  await red.load(server(), out, inbox('next'));
  await red.waitForStatus('out', 'status.ready');
});

test('without an address it says so where it is used', async () => {
  await red.load(server({ servers: undefined }), out, inbox('next'));
  await red.waitForStatus('out', 'status.disconnected');
  assert.match(red.logged('ERROR').join('\n'), /No NATS server is set/);
});

test('answers the form: a connection that works, one that does not', async () => {
  await red.load(server());
  const ask = (config: object, credentials: object) =>
    red.ask('/jetforce/jetstream-server/test', { id: 'server', config, credentials });
  const { servers, auth, user } = server();
  const works = (await ask({ servers, auth, user }, { password: '__PWRD__' })) as { ok: boolean };
  assert.equal(works.ok, true);
  const refused = (await ask({ servers, auth, user }, { password: 'wrong' })) as { error: { code: string } };
  assert.equal(refused.error.code, 'AUTHORIZATION');
});

test('closing it closes the connection', async () => {
  await red.load(server(), out, inbox('next'));
  await red.waitForStatus('out', 'status.ready');
  const node = red.node('server');
  await red.close();
  await until(() => phaseOf(node) === 'idle');
});

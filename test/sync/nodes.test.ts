import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { escapeToken } from '../../nodes/shared/token';
import { apiFor } from '../apis/support';
import { startOrg, type Org } from '../org/org';
import { startNats, type Nats } from '../support/nats';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import type { Progress } from '../../nodes/sync/engine/progress';
import { orgNode } from '../salesforce/event-flows';
import { contacts, SYNC_ID } from './rig';
import { differences, readTable } from './table';

let org: Org;
let nats: Nats;
let nc: NatsConnection;
let jsm: JetStreamManager;
let red: EmbeddedNodeRed;

const serverNode = (): FlowNode => ({
  id: 'server',
  type: 'jetstream-server',
  servers: nats.url,
  auth: 'none',
});
const source = (more: object = {}): FlowNode => ({
  id: 'source',
  type: 'api-source',
  provider: 'salesforce',
  syncId: SYNC_ID,
  collections: ['salesforce:contact'],
  org: 'org',
  mode: 'poll',
  pollInterval: '200ms',
  lookback: '1m',
  ...more,
});
const sync = (more: object = {}): FlowNode => ({
  id: 'sync',
  type: 'api-sync-out',
  z: 'tab',
  server: 'server',
  source: 'source',
  bucket: 'positions',
  lease: '3s',
  wires: [['progress']],
  ...more,
});
const flow = (...nodes: FlowNode[]): FlowNode[] =>
  [
    { id: 'tab', type: 'tab', label: 'Test' },
    serverNode(),
    orgNode(org),
    ...nodes,
    { id: 'progress', type: 'debug', z: 'tab', active: false, wires: [] },
    { id: 'catch', type: 'catch', z: 'tab', scope: null, wires: [['caught']] },
    { id: 'caught', type: 'debug', z: 'tab', active: false, wires: [] },
    { id: 'complete', type: 'complete', z: 'tab', scope: ['sync'], wires: [['completed']] },
    { id: 'completed', type: 'debug', z: 'tab', active: false, wires: [] },
  ].map((one) => (one.z ? { x: 1, y: 1, ...one } : one));

const table = (collection = 'salesforce:contact', stream?: string) => readTable(nc, collection, stream);
const equal = () =>
  until(async () => differences(org, await table(), 'Contact') === '', {
    timeout: 20_000,
    interval: 100,
    what: 'the stream to say what the org says',
  });
const status = () => red.statusOf('sync')?.text;
const live = () => until(() => status() === 'live', { what: 'the sync to be live', timeout: 20_000 });
const progress = (): Progress[] => red.received('progress').map(({ payload }) => payload as Progress);

before(async () => {
  [org, nats] = await Promise.all([startOrg(), startNats()]);
  nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  jsm = await nc.jetstreamManager();
  red = await embedNodeRed({ flows: flow() });
});
after(async () => {
  await red.stop();
  await nc.close();
  await Promise.all([nats.stop(), org.close()]);
});
beforeEach(async () => {
  await red.deploy(flow());
  for await (const { config } of jsm.streams.list()) await jsm.streams.delete(config.name);
  org.remove(
    'Contact',
    org.records('Contact').map(({ Id }) => String(Id)),
    { hard: true },
  );
  for (const id of ['progress', 'caught', 'completed']) red.received(id).length = 0;
});

describe('api-sync-out', () => {
  test('streams an org as the guide says, and tells how it is getting on', async () => {
    org.write('Contact', ...contacts(20));
    await red.deploy(flow(source(), sync()));
    await live();
    await equal();
    const { config } = await jsm.streams.info('SEQUIN-RECORDS');
    assert.deepEqual(config.subjects, ['sequin-records.>']);
    assert.equal(config.max_msgs_per_subject, 1);
    assert.equal(config.discard, 'old');
    assert.equal(config.max_age, 0);
    const phases = progress().map(({ phase }) => phase);
    assert.ok(phases.includes('backfill') && phases.at(-1) === 'live', phases.join());
    const told = progress().find(({ phase }) => phase === 'live') as Progress;
    assert.equal(told.sync_id, SYNC_ID);
    assert.equal(told.collection, 'salesforce:contact');
    org.write('Contact', ...contacts(1, 20));
    await equal();
  });

  test('goes on after a deploy where it was, and at once', async () => {
    org.write('Contact', ...contacts(20));
    await red.deploy(flow(source(), sync({ lease: '60s' })));
    await live();
    const { state } = await jsm.streams.info('SEQUIN-RECORDS');
    org.write('Contact', ...contacts(1, 20));
    await red.deploy(flow(source(), sync({ lease: '60s', name: 'again' })));
    await equal();
    assert.equal((await jsm.streams.info('SEQUIN-RECORDS')).state.last_seq, state.last_seq + 1);
  });

  test('obeys stop, start, resync and status, each with one done', async () => {
    org.write('Contact', ...contacts(5));
    await red.deploy(flow(source(), sync()));
    await live();
    red.send('sync', { topic: 'stop' });
    await until(() => status() === 'stopped', { what: 'the sync to stop' });
    org.write('Contact', ...contacts(1, 5));
    await red.deploy(flow(source(), sync({ name: 'stays stopped' })));
    await until(() => status() === 'stopped', { what: 'the sync to be stopped after the deploy' });
    red.send('sync', { topic: 'start', payload: ['salesforce:contact'] });
    await live();
    await equal();
    await jsm.streams.purge('SEQUIN-RECORDS');
    red.send('sync', { topic: 'resync', payload: 'salesforce:contact' });
    await equal();
    const told = progress().length;
    red.send('sync', { topic: 'status', payload: '' });
    await until(() => progress().length > told, { what: 'the status' });
    await until(() => red.received('completed').length === 4, { what: 'four messages done' });
    assert.equal(red.received('caught').length, 0);
    red.send('sync', { topic: 'resync', payload: 'salesforce:nothing' });
    red.send('sync', { topic: 'what', payload: 1 });
    await until(() => red.received('caught').length === 2, { what: 'both errors' });
    const errors = red.received('caught').map(({ error }) => (error as Error).message);
    assert.match(errors.join('\n'), /has the collection salesforce:nothing/);
    assert.match(errors.join('\n'), /is no command/);
  });

  test('without a source takes every api-source of the flows, also those that come later', async () => {
    org.write('Contact', ...contacts(3));
    org.write('Account', { Name: 'Acme' });
    const accounts = source({ id: 'accounts', syncId: 'of-accounts', collections: ['salesforce:account'] });
    await red.deploy(flow(source(), sync({ source: '' })));
    await equal();
    await red.deploy(flow(source(), sync({ source: '' }), accounts), 'nodes');
    await until(async () => (await table('salesforce:account')).size === 1, { what: 'the account' });
    org.write('Account', { Name: 'Later' });
    await until(async () => (await table('salesforce:account')).size === 2, { what: 'the later account' });
    assert.equal((await table('salesforce:account')).values().next().value?.sync_id, 'of-accounts');
  });

  test('publishes events beside the records, in a stream of their own', async () => {
    org.write('Contact', ...contacts(2));
    await red.deploy(flow(source(), sync({ events: true })));
    await live();
    const [first] = org.records('Contact');
    org.write('Contact', { Id: first?.Id, LastName: 'Changed' }, ...contacts(1, 2));
    await equal();
    org.remove('Contact', [String(first?.Id)]);
    await equal();
    const { state } = await jsm.streams.info('SEQUIN-RECORDS-EVENTS', { subjects_filter: '>' });
    const subjects = Object.keys(state.subjects ?? {});
    assert.deepEqual(subjects.map((subject) => subject.split('.').at(-1)).sort(), [
      'delete',
      'insert',
      'update',
    ]);
    assert.ok(
      subjects.includes(
        `sequin-records-events.default.${SYNC_ID}.salesforce.salesforce:contact.${String(first?.Id)}.update`,
      ),
    );
  });

  test('publishes the records that a flow hands in', async () => {
    await red.deploy(flow(source({ provider: 'flow', collections: [] }), sync()));
    const issue = (id: unknown, title: string, second: number, more: object = {}) => ({
      collection_id: 'github:issue',
      upstream_id: id,
      data: { title },
      upstream_updated_at: `2026-01-31T12:00:0${second}Z`,
      ...more,
    });
    red.send('sync', { payload: issue('octo/repo#1.2', 'first', 1) });
    red.send('sync', { payload: [issue(7, 'newer', 5), issue('gone', 'x', 1)] });
    red.send('sync', { payload: issue(7, 'older', 3) });
    red.send('sync', { payload: issue('gone', '', 2, { data: undefined, deleted: true }) });
    await until(() => red.received('completed').length === 4, { what: 'four messages done' });
    const found = await table('github:issue');
    assert.deepEqual([...found].map(([id, { data, deleted }]) => [id, data.title, deleted]).sort(), [
      ['7', 'newer', false],
      ['gone', undefined, true],
      ['octo/repo#1.2', 'first', false],
    ]);
    red.send('sync', { payload: { collection_id: 'github:issue', data: {} } });
    await until(() => red.received('caught').length === 1, {
      what: 'the record without an id to be refused',
    });
    assert.match(String((red.received('caught')[0]?.error as Error).message), /no upstream_id/);
    assert.equal((await table('github:issue')).size, 3);
  });

  test('syncs a declared API by its settings and token', async (t) => {
    const api = await apiFor(t, 'github');
    api.write('acme/api:issues', [{ title: 'one' }, { title: 'two' }]);
    const github = {
      provider: 'github',
      baseUrl: api.baseUrl,
      collections: ['acme/api:issues'],
      org: '',
      credentials: { token: api.token },
    };
    await red.deploy(flow(source(github), sync()));
    await live();
    const issues = () => table(escapeToken('github:acme/api:issues'));
    await until(async () => (await issues()).size === 2, { what: 'two issues' });
    api.write('acme/api:issues', [{ title: 'three' }]);
    await until(async () => (await issues()).size === 3, { what: 'the third issue' });
  });

  test('keeps its position in the context where it is told to', async () => {
    org.write('Contact', ...contacts(5));
    await red.deploy(flow(source(), sync({ checkpoint: 'context' })));
    await live();
    await equal();
    await red.deploy(flow(source(), sync({ checkpoint: 'context', name: 'again' })));
    org.clearRequests();
    await live();
    org.write('Contact', ...contacts(1, 5));
    await equal();
    assert.ok(!org.requests().some(({ path }) => path.includes('ORDER%20BY%20Id')), 'no second backfill');
    for await (const { config } of jsm.streams.list()) assert.ok(!config.name.startsWith('KV_'), config.name);
  });

  test('waits for the org and the server, and goes on by itself', async () => {
    org.write('Contact', ...contacts(5));
    await red.deploy(flow(source(), sync()));
    await live();
    org.faults.add({ match: {}, action: { status: 503 }, times: 3 });
    await until(() => status() !== 'live', { what: 'the status to say it' });
    org.write('Contact', ...contacts(5, 5));
    await nats.restart();
    await equal();
    await live();
  });

  test('says what is wrong with its settings, and that an object is not there', async () => {
    await red.deploy(flow(source({ collections: ['salesforce:nothing'] }), sync()));
    await until(() => status() === 'no such collection', { what: 'the status' });
    assert.ok(red.log.some(({ level, text }) => level === 'error' && /no object "nothing"/.test(text)));
    for (const [wrong, text] of [
      [source({ collections: [] }), /has no collections/],
      [source({ lookback: '2 fortnights' }), /not a duration/],
    ] as const) {
      const from = red.log.length;
      await red.deploy(flow(wrong, sync()));
      await red.waitForLog(text, { from });
      await until(() => status() === 'wrong settings', { what: 'the status' });
    }
  });
});

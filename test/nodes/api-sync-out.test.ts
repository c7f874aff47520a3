import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import apiSource from '../../nodes/sync/api-source';
import apiSyncOut from '../../nodes/sync/api-sync-out';
import { openRoom, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { until } from '../support/until';
import { catcher, errorOf, inbox, stage } from './helper';

const red = stage(jetstreamServer, sfdcOrg, apiSource, apiSyncOut);
let org: Org;
let room: Room;
before(async () => {
  [org, room] = await Promise.all([startOrg(), openRoom()]);
  org.write('Contact', { LastName: 'Doe' }, { LastName: 'Roe' });
});
after(() => Promise.all([org.close(), room.stop()]));
afterEach(async () => {
  for await (const name of room.jsm.streams.names()) if (name !== 'crm') await room.jsm.streams.delete(name);
});

const load = (options: { source?: object; sync?: object } = {}) =>
  red.load(
    { id: 'server', type: 'jetstream-server', servers: room.nats.url },
    orgNode(org),
    {
      id: 'source',
      type: 'api-source',
      provider: 'salesforce',
      mode: 'poll',
      org: 'org',
      collections: ['salesforce:contact'],
      ...options.source,
    },
    { id: 'sync', type: 'api-sync-out', server: 'server', wires: [['progress']], ...options.sync },
    inbox('progress'),
    ...catcher(),
  );
const FLOW = { provider: 'flow', collections: [], syncId: 'github' };
const issue = { collection_id: 'github:issue', upstream_id: 7, data: { title: 'Broken' } };
const streamInfo = () => room.jsm.streams.info('SEQUIN-RECORDS');

test('is registered, with what its form says', async () => {
  await load({ sync: { name: 'records' } });
  assert.equal(red.node('sync').type, 'api-sync-out');
  assert.equal(red.node('sync').name, 'records');
});

test('by default makes the stream, and brings every record of every api-source into it', async () => {
  await load();
  await red.waitForStatus('sync', 'status.live');
  const { config, state } = await streamInfo();
  assert.deepEqual(config.subjects, ['sequin-records.>']);
  assert.equal(config.max_msgs_per_subject, 1);
  assert.equal(state.messages, 2);
});

test('tells its progress by its output', async () => {
  await load();
  await until(() =>
    red.received('progress').some(({ payload }) => (payload as { phase: string }).phase === 'live'),
  );
  const { topic, payload } = red.received('progress').at(-1) as { topic: string; payload: { done: number } };
  assert.equal(topic, 'salesforce:contact');
  assert.equal(payload.done, 2);
});

test('a record that the flow hands in is published on its subject', async () => {
  await load({ source: FLOW });
  red.node('sync').receive({ payload: issue });
  await until(async () => (await streamInfo()).state.messages === 1);
  const message = await room.jsm.streams.getMessage('SEQUIN-RECORDS', { seq: 1 });
  assert.equal(message.subject, 'sequin-records.default.github.flow.github:issue.7');
  assert.deepEqual(message.json<{ data: unknown }>().data, { title: 'Broken', upstream_id: '7' });
});

test('a record that is none, and a command for a collection that is not there, fail', async () => {
  await load({ source: FLOW });
  red.node('sync').receive({ payload: { ...issue, upstream_id: undefined } });
  red.node('sync').receive({ topic: 'resync', payload: 'github:pull' });
  await until(() => red.received('caught').length === 2);
  const codes = red.received('caught').map((msg) => errorOf(msg).code);
  assert.deepEqual(codes.sort(), ['INVALID_RECORD', 'NO_SUCH_COLLECTION']);
});

test('an id that is no exact number any more fails; as BigInt it is one', async () => {
  await load({ source: FLOW });
  red.node('sync').receive({ payload: { ...issue, upstream_id: 2 ** 60 } });
  const failed = errorOf(await red.one('caught'));
  assert.equal(failed.code, 'INVALID_RECORD');
  assert.match(failed.message, /hand it over as a text/);
  red.node('sync').receive({ payload: { ...issue, upstream_id: 1234567890123456789n } });
  const subject = 'sequin-records.default.github.flow.github:issue.1234567890123456789';
  const find = () =>
    room.jsm.streams.getMessage('SEQUIN-RECORDS', { last_by_subj: subject }).catch(() => undefined);
  assert.equal(
    (await until(find)).json<{ data: { upstream_id: string } }>().data.upstream_id,
    '1234567890123456789',
  );
});

test('a command stops it', async () => {
  await load();
  await red.waitForStatus('sync', 'status.live');
  red.node('sync').receive({ topic: 'stop', payload: '' });
  await red.waitForStatus('sync', 'status.stopped');
});

for (const [what, more, error] of [
  ['no server', { server: '' }, /No jetstream-server is chosen/],
  ['a source that is not there', { source: 'nobody' }, /The api-source chosen is not there/],
  ['too short a lease', { lease: '1s' }, /Lease: at least 2s/],
] as const) {
  test(`with ${what} it shows wrong settings, and fails what it gets`, async () => {
    await load({ sync: more });
    await red.waitForStatus('sync', 'status.misconfigured');
    red.node('sync').receive({ topic: 'start' });
    assert.match(errorOf(await red.one('caught')).message, error);
  });
}

test('closing it gives the lease back, so that the next one runs at once', async () => {
  await load();
  await red.waitForStatus('sync', 'status.live');
  await load();
  await red.waitForStatus('sync', 'status.live');
});

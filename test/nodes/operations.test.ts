import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jetstreamIn from '../../nodes/jetstream/jetstream-in';
import { deadLettersOf } from '../../nodes/jetstream/consume/letters';
import { Connection } from '../../nodes/jetstream/server/connection';
import { bucketPositions } from '../../nodes/jetstream/streams/bucket-positions';
import jetstreamOut from '../../nodes/jetstream/jetstream-out';
import jetstreamServer from '../../nodes/jetstream/jetstream-server';
import operations from '../../nodes/operations/operations';
import sfdcComposite from '../../nodes/salesforce/sfdc-composite';
import sfdcEventIn from '../../nodes/salesforce/sfdc-event-in';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import sfdcPlatformEvent from '../../nodes/salesforce/sfdc-platform-event';
import { GivenUp, keyOf } from '../../nodes/shared/operations/given-up';
import { Replay } from '../../nodes/shared/flow/replay';
import type { ListedLetter } from '../../nodes/shared/flow/stored-letter';
import { ReplayTurn } from '../../nodes/shared/flow/replay-turn';
import type { States } from '../../nodes/shared/operations/states';
import apiSource from '../../nodes/sync/api-source';
import apiSyncOut from '../../nodes/sync/api-sync-out';
import { openRoom, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { orgNode, receiveNode } from '../salesforce/event-flows';
import type { FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { inbox, stage } from './helper';

const SECRET = 'a-secret-nobody-shall-see';
const red = stage(
  ...[operations, jetstreamServer, jetstreamIn, jetstreamOut, sfdcOrg, sfdcComposite, sfdcEventIn],
  ...[sfdcPlatformEvent, apiSource, apiSyncOut],
);
let room: Room;
let org: Org;
before(async () => {
  room = await openRoom();
  org = await startOrg({ pubsub: true });
});
after(async () => {
  await room.stop();
  await org.close();
});
afterEach(async () => {
  forgetGivenUp();
  await room.jsm.streams.delete('KV_jetforce-operations').catch(() => undefined);
  await room.jsm.consumers.delete('crm', 'writer').catch(() => undefined);
  await room.jsm.consumers.delete('crm', 'other').catch(() => undefined);
  await room.jsm.streams.purge('crm');
  await room.jsm.streams.delete('DEAD').catch(() => undefined);
});

/** As a process that has just started. */
const forgetGivenUp = (): void => new GivenUp('in crm writer').forget();

const server = (): FlowNode => ({
  ...{ id: 'server', type: 'jetstream-server', name: 'the "server"\\', auth: 'userpass', user: 'reader' },
  servers: room.nats.url,
  credentials: { password: SECRET },
});
const reader = (more: object = {}): FlowNode => ({
  ...{
    id: 'in',
    type: 'jetstream-in',
    server: 'server',
    stream: 'crm',
    durable: 'writer',
    wires: [['next']],
  },
  ...{ maxDeliver: 1, deadLetter: 'dead.writer', deadLetterStream: 'DEAD' },
  ...more,
});
/** Fails what is said to fail. */
const judge = (id = 'next'): FlowNode => ({ id, type: 'helper', wires: [] });

const get = async (path: string) => (await red.get(`/jetforce/${path}`)).body as unknown;
const state = async () => (await get('state')) as States & { unknown: object[] };
const metrics = async () => (await red.get('/jetforce/metrics')).text;
const act = (id: string, action: string, params: object = {}) =>
  red.ask(`/jetforce/nodes/${id}/${action}`, params) as Promise<{
    ok: boolean;
    data?: { count?: number; where?: string };
    error?: { code: string };
  }>;
const letters = async (id = 'in') =>
  ((await get(`nodes/${id}/letters`)) as { data: { letters: ListedLetter[] } }).data.letters;
const durable = async () => (await state()).durables[0] ?? assert.fail('there is no durable');

const isReady = () =>
  until(async () => (await durable()).phase === 'ready', { what: 'the consumer to be ready' });

/** Each message fails while `broken`, else it is kept in the list that is given back. */
function flow(id = 'next'): { broken: boolean; seen: Record<string, unknown>[] } {
  const how = { broken: true, seen: [] as Record<string, unknown>[] };
  const node = red.node(id);
  node.removeAllListeners('input');
  node.on('input', (msg: Record<string, unknown>, _send: unknown, done: (error?: Error) => void) => {
    if (!how.broken) how.seen.push(msg);
    done(how.broken ? new Error('the flow is broken') : undefined);
  });
  return how;
}

/** Two messages that were given up. */
async function deadLetters(...more: FlowNode[]) {
  await red.load(server(), reader(), judge(), ...more);
  const how = flow();
  await red.waitForStatus('in', 'status.ready');
  await room.publish('crm.contact.1', { id: 1 }, { 'X-Origin': 'shop' });
  await room.publish('crm.contact.2', { id: 2 });
  await until(async () => (await letters()).length === 2, { what: 'two dead letters' });
  return how;
}

/** Prometheus text, strictly: each sample with its HELP and TYPE before it. */
function parse(text: string): Map<string, { labels: Record<string, string>; value: number }[]> {
  const found = new Map<string, { labels: Record<string, string>; value: number }[]>();
  let current = '';
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, about] = /^# (HELP|TYPE) ([a-z_]+) .+$/.exec(line) ?? [];
    if (kind === 'HELP') {
      assert.ok(!found.has(about ?? ''), `${about} comes once`);
      found.set((current = about ?? ''), []);
      continue;
    }
    if (kind === 'TYPE') {
      assert.equal(about, current);
      assert.match(line, / (gauge|counter)$/);
      continue;
    }
    const [, name, labels = '', value] = /^([a-z_]+)\{(.*)\} (-?[\d.e+-]+)$/.exec(line) ?? assert.fail(line);
    assert.equal(name, current);
    const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/g)];
    assert.equal(pairs.map(([whole]) => whole).join(''), labels, 'nothing between the labels');
    const read = pairs.map(([, label, text = '']) => [label, text.replace(/\\(.)/g, '$1')]);
    found
      .get(current)
      ?.push({ labels: Object.fromEntries(read) as Record<string, string>, value: Number(value) });
  }
  return found;
}

test('the state names servers, durables, orgs and syncs, and the metrics say the same in the text of Prometheus', async () => {
  await red.load(
    ...[server(), reader({ name: 'contacts' }), judge(), orgNode(org)],
    {
      id: 'source',
      type: 'api-source',
      provider: 'salesforce',
      org: 'org',
      mode: 'poll',
      collections: ['salesforce:contact'],
    },
    {
      id: 'sync',
      type: 'api-sync-out',
      server: 'server',
      source: 'source',
      provision: true,
      wires: [['progress']],
    },
    inbox('progress'),
  );
  await until(async () => (await state()).syncs[0]?.collections[0]?.phase === 'live', {
    what: 'the sync to be live',
  });
  const found = await until(async () => {
    const now = await state();
    return now.orgs[0]?.usage && now.durables[0]?.phase === 'ready' ? now : undefined;
  });
  assert.deepEqual(found.unknown, []);
  const [one] = found.servers;
  assert.equal(one?.phase, 'connected');
  assert.equal(one.connectedTo, `127.0.0.1:${room.nats.port}`);
  assert.ok(Number(one.roundTrip) >= 0);
  const { durable: name, pending, inFlight, held, deadLetter } = await durable();
  assert.deepEqual([name, pending, inFlight, held], ['writer', 0, 0, null]);
  assert.deepEqual([deadLetter?.stream, deadLetter?.stored], ['DEAD', 0]);
  assert.equal(found.orgs[0]?.session, 'open');
  const [collection] = found.syncs[0]?.collections ?? [];
  assert.equal(collection?.collection, 'salesforce:contact');
  assert.ok(Number(collection.calls) > 2, `${collection.calls} calls`);

  const samples = parse(await metrics());
  assert.equal(samples.get('jetforce_server_connected')?.[0]?.value, 1);
  assert.equal(samples.get('jetforce_server_connected')?.[0]?.labels.name, 'the "server"\\');
  assert.equal(samples.get('jetforce_org_api_calls_used')?.[0]?.value, found.orgs[0]?.usage?.used);
  assert.equal(samples.get('jetforce_sync_phase')?.[0]?.labels.phase, 'live');
  assert.equal(samples.get('jetforce_durable_pending_messages')?.[0]?.labels.durable, 'writer');
  for (const said of [JSON.stringify(found), await metrics()])
    for (const secret of [SECRET, org.clientSecret, org.clientId]) assert.ok(!said.includes(secret), secret);
});

test('an org that is out of reach says why, since when, and when it is asked again', async () => {
  await red.load(orgNode(org, { loginUrl: 'http://127.0.0.1:9' }), {
    id: 'write',
    type: 'sfdc-composite',
    org: 'org',
    sobject: 'Contact',
    operation: 'create',
    wires: [[], []],
  });
  const { held } =
    (await until(async () => ((await state()).orgs[0]?.held ? (await state()).orgs[0] : undefined))) ?? {};
  assert.equal(held?.reason, 'unreachable');
  assert.ok(held.since <= Date.now() && held.nextProbe > held.since);
  assert.match(held.message, /127\.0\.0\.1:9/);
});

test('a server that is away has been so since it was lost, whenever somebody looks', async () => {
  const away = { ...server(), servers: 'nats://127.0.0.1:9' };
  const begun = Date.now();
  await red.load(away, reader(), judge());
  await red.waitForStatus('in', 'status.noAnswer');
  const lost = Date.now();
  await until(() => Date.now() > lost + 20);
  const found = async () => {
    const { servers, durables } = await state();
    return [servers[0]?.downSince, durables[0]?.held?.since];
  };
  const [since = NaN, held] = await found();
  assert.ok(Number(since) >= begun && Number(since) <= lost, String(since));
  assert.equal(held, since);
  assert.deepEqual(await found(), [since, since]);
});

/** Of each kind that writes. */
const writers: FlowNode[] = [
  { id: 'out', type: 'jetstream-out', server: 'server', subject: 'crm.contact.1', wires: [[]] },
  {
    id: 'write',
    type: 'sfdc-composite',
    org: 'org',
    operation: 'create',
    sobject: 'Contact',
    wires: [[], []],
  },
  { id: 'tell', type: 'sfdc-platform-event', org: 'org', topic: '/event/Order_Status__e', wires: [[]] },
];
const written = async () => (await state()).writers.map(({ id, messages }) => `${id} ${messages}`).join();

test('what waits in a node that writes is counted, with what holds it, until it is confirmed', async () => {
  const nowhere = '127.0.0.1:9';
  const away = { ...server(), servers: `nats://${nowhere}` };
  await red.load(away, orgNode(org, { loginUrl: `http://${nowhere}` }), ...writers);
  for (const { id } of writers) red.node(id).receive({ payload: { LastName: 'Waits' } });
  const held = await until(async () => {
    const found = await state();
    return found.writers.every((one) => one.held && one.messages === 1) ? found : undefined;
  });
  const by = held.writers.map((one) => [one.name, one.held?.by, one.held?.reason ?? one.held?.code]);
  assert.deepEqual(by, [
    ['crm.contact.1', 'disconnected', held.servers[0]?.problem?.code],
    ['create Contact', 'disconnected', 'unreachable'],
    ['/event/Order_Status__e', 'disconnected', 'unreachable'],
  ]);
  assert.equal(held.writers[1]?.held?.since, held.orgs[0]?.held?.since);
  const samples = parse(await metrics());
  const values = samples.get('jetforce_writer_messages')?.map(({ labels, value }) => [labels.node, value]);
  assert.deepEqual(values, [
    ['out', 1],
    ['write', 1],
    ['tell', 1],
  ]);
  assert.equal(samples.get('jetforce_writer_held_seconds')?.length, 3);
});

test('what a node has written is not counted any more, nor what it could not write', async () => {
  await red.load(server(), orgNode(org), ...writers, inbox('done'));
  await red.waitForStatus('out', 'status.ready');
  const before = org.records('Contact').length;
  for (const { id } of writers) red.node(id).receive({ payload: { LastName: 'Goes on' } });
  red.node('write').receive({ payload: {} });
  await until(() => org.records('Contact').length === before + 1, { what: 'the contact' });
  await until(async () => (await written()) === 'out 0,write 0,tell 0', { what: 'nothing to be left' });
});

test('what was given up counts, over a deploy, until somebody has looked', async () => {
  await deadLetters();
  await red.waitForStatus('in', 'status.givenUp');
  await red.load(server(), reader(), judge());
  await red.waitForStatus('in', 'status.givenUp');
  assert.equal((await durable()).givenUp, 2);
  await act('in', 'looked');
  await red.waitForStatus('in', 'status.ready');
  assert.equal((await durable()).givenUp, 0);
});

test('what was given up counts over a restart, and whoever replays or discards has looked', async () => {
  await deadLetters();
  await red.waitForStatus('in', 'status.givenUp');
  await red.close();
  forgetGivenUp();
  await red.load(server(), reader(), judge());
  await red.waitForStatus('in', 'status.givenUp');
  assert.equal((await durable()).givenUp, 2);
  const [one] = await letters();
  await act('in', 'discard', { sequences: [one?.sequence] });
  assert.equal((await durable()).givenUp, 0);
});

test('of two instances one at a time replays, and each letter has its effect once', async () => {
  await deadLetters();
  const seen: string[] = [];
  let finish: (() => void) | undefined;
  const node = red.node('next');
  node.removeAllListeners('input');
  node.on('input', (msg: { topic: string }, _send: unknown, done: () => void) => {
    seen.push(msg.topic);
    finish = done;
  });
  const [first, second] = await letters();
  assert.ok(first && second);
  await act('in', 'replay', { sequences: [first.sequence] });
  await until(() => finish);

  const connection = new Connection({ servers: room.nats.url, auth: 'none' });
  const bucket = bucketPositions(connection, 'jetforce-operations');
  const other = deadLettersOf(connection, 'dead.writer');
  const effects: number[] = [];
  const elsewhere = new Replay(
    other,
    {
      isOwn: () => true,
      deliver: (attempt, letter) => {
        effects.push(letter.sequence);
        attempt.succeeded();
      },
      log: () => undefined,
    },
    60_000,
    new ReplayTurn(bucket, keyOf('replay', 'crm', 'writer'), () => undefined),
  );
  const refused = { code: 'REPLAYED_ELSEWHERE' };
  await assert.rejects(elsewhere.begin('all'), refused);
  await assert.rejects(elsewhere.discard([first.sequence]), refused);
  finish?.();
  await until(async () => (await letters()).length === 1);
  await until(async () => (await elsewhere.begin('all')) === 1, { timeout: 20_000, what: 'the turn' });
  await until(async () => (await letters()).length === 0);
  assert.deepEqual([seen, effects], [['crm.contact.1'], [second.sequence]]);
  await elsewhere.stop(1_000);
  await Promise.all([other.close(), bucket.close()]);
});

test('a dead letter that is replayed comes as it was, to its own flow alone, and goes when that has finished it', async () => {
  const other = reader({
    ...{ id: 'beside', durable: 'other', deadLetter: 'dead.writer' },
    wires: [['others']],
  });
  const how = await deadLetters(other, inbox('others'));
  await until(() => red.received('others').length === 2);
  const heard: string[] = [];
  const listening = room.nc.subscribe('>', { callback: (_error, msg) => void heard.push(msg.subject) });
  how.broken = false;
  const [one, two] = await letters();
  assert.equal(one?.headers['Jetforce-Error']?.endsWith('the flow is broken'), true);
  assert.equal(one.payload, '{"id":1}');
  assert.equal((await act('in', 'replay', { sequences: [one.sequence] })).data?.count, 1);
  await until(async () => (await letters()).length === 1);
  assert.deepEqual((await letters())[0]?.sequence, two?.sequence);
  const [msg] = how.seen;
  assert.equal(how.seen.length, 1);
  assert.deepEqual(msg?.payload, { id: 1 });
  const { subject, sequence, deliveries, headers, stream } = msg?.jetstream as Record<string, unknown>;
  assert.deepEqual(
    { subject, sequence, deliveries, headers, stream, topic: msg?.topic },
    {
      ...{ subject: 'crm.contact.1', sequence: Number(one.headers['Jetforce-Sequence']), deliveries: 2 },
      ...{ headers: { 'X-Origin': 'shop' }, stream: 'crm', topic: 'crm.contact.1' },
    },
  );
  assert.equal(red.received('others').length, 2);
  assert.ok(!heard.some((subject) => subject.startsWith('crm.')), heard.join(' '));
  listening.unsubscribe();
});

test('one that fails again stays, with its history', async () => {
  const how = await deadLetters();
  assert.equal((await act('in', 'replay', { all: true })).data?.count, 2);
  const [again] = await until(async () => {
    const now = await letters();
    return now.length === 2 && now.every(({ headers }) => headers['Jetforce-Replays'] === '1')
      ? now
      : undefined;
  });
  assert.equal(again?.headers['Jetforce-Deliveries'], '2');
  assert.equal(again.headers['Jetforce-Subject'], 'crm.contact.1');
  assert.equal(again.headers['X-Origin'], 'shop');
  assert.ok(String(again.headers['Jetforce-First-Failed-At']) < String(again.headers['Jetforce-Failed-At']));
  assert.equal((await durable()).deadLetter?.stored, 2);
  how.broken = false;
  await act('in', 'replay', { all: true });
  await until(async () => (await letters()).length === 0);
  assert.deepEqual(
    how.seen.map(({ jetstream }) => (jetstream as { deliveries: number }).deliveries),
    [3, 3],
  );
});

test('one that is in the flow when the process goes stays as it was', async () => {
  await deadLetters();
  const node = red.node('next');
  node.removeAllListeners('input');
  let begun = false;
  node.on('input', () => void (begun = true));
  const before = await letters();
  await act('in', 'replay', { all: true });
  await until(() => begun);
  await red.load(server(), reader(), judge());
  await isReady();
  assert.deepEqual(await letters(), before);
});

test('discarded are those that are named, and none of another consumer', async () => {
  await deadLetters();
  const [one, two] = await letters();
  await red.load(server(), reader(), reader({ id: 'beside', durable: 'other', wires: [['next']] }), judge());
  await isReady();
  assert.deepEqual(await letters('beside'), []);
  assert.equal((await act('beside', 'discard', { sequences: [one?.sequence] })).data?.count, 0);
  assert.equal((await act('in', 'discard', { sequences: [one?.sequence] })).data?.count, 1);
  assert.deepEqual(
    (await letters()).map(({ sequence }) => sequence),
    [two?.sequence],
  );
});

test('a dead letter subject without a stream is said at the deploy, and heals when there is one', async () => {
  await red.load(server(), reader({ deadLetterStream: '' }), judge());
  await red.waitForStatus('in', 'status.noDeadLetters');
  assert.ok(
    red.logged('ERROR').some((line) => /No stream takes the dead letter subject "dead.writer"/.test(line)),
  );
  assert.match((await durable()).held?.message ?? '', /No stream takes/);
  await room.jsm.streams.add({ name: 'DEAD', subjects: ['dead.>'] });
  await until(async () => (await durable()).phase === 'ready', {
    timeout: 30_000,
    what: 'the consumer to see it',
  });
});

test('a consumer that is paused gets nothing until it is resumed', async () => {
  await red.load(server(), reader(), judge());
  const how = flow();
  how.broken = false;
  await red.waitForStatus('in', 'status.ready');
  const begun = Date.now();
  const newest = process.env.NATS_TEST_VERSION !== '2.10';
  assert.equal((await act('in', 'pause')).data?.where, newest ? 'server' : 'here');
  const done = Date.now();
  await until(() => Date.now() > done + 20);
  const { paused, held } = await durable();
  assert.deepEqual([paused, held?.by], [true, 'paused']);
  assert.ok(Number(held?.since) >= begun && Number(held?.since) <= done, `paused since ${held?.since}`);
  await act('in', 'resume');
  await room.publish('crm.contact.1', { id: 1 });
  await until(() => how.seen.length === 1);
  assert.equal((await durable()).paused, false);
});

test('what is not there can not be done, and nothing is done by what is no JSON', async () => {
  await red.load(server(), reader(), judge());
  for (const [id, action] of [
    ['nobody', 'pause'],
    ['in', 'toString'],
    ['in', 'constructor'],
    ['in', 'letters'],
  ] as const)
    assert.equal((await act(id, action)).error?.code, 'NO_SUCH_ACTION', `${id} ${action}`);
  const body = await red.post('/jetforce/nodes/in/pause', 'form', 'a=b');
  assert.equal((body as { error: { code: string } }).error.code, 'BAD_REQUEST');
  assert.equal((await durable()).paused, false);
});

test('a dead letter of an event goes through the flow of its topic again', async () => {
  await room.jsm.streams.add({ name: 'DEAD', subjects: ['dead.>'] });
  await red.load(
    ...[server(), orgNode(org), judge()],
    receiveNode({
      ...{ topic: '/data/ContactChangeEvent', replay: 'latest', server: 'server' },
      ...{ maxDeliver: 1, deadLetter: 'dead.events' },
    }),
  );
  const how = flow();
  await until(async () => (await state()).topics[0]?.phase === 'subscribed', {
    what: 'the topic to be read',
  });
  org.write('Contact', { LastName: 'Doe' });
  await until(async () => (await letters('receive')).length === 1, { what: 'a dead letter' });
  await until(async () => {
    const [topic] = (await state()).topics;
    return topic?.givenUp === 1 && topic.deadLetter?.stored === 1;
  });
  how.broken = false;
  await act('receive', 'replay', { all: true });
  await until(async () => (await letters('receive')).length === 0);
  const { payload, salesforce } = how.seen[0] as Record<string, Record<string, unknown>>;
  assert.match(JSON.stringify(payload), /"LastName":"Doe"/);
  assert.equal(salesforce?.deliveries, 2);
  assert.notEqual(salesforce.replayId, '');
});

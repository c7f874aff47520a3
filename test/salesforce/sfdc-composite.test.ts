import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import type { Check } from '../../nodes/shared/checks';
import { startOrg, type Org } from '../org/org';
import { contact, contacts } from './rig';

let org: Org;
let red: EmbeddedNodeRed;

const orgNode = (more: object = {}): FlowNode => ({
  id: 'org',
  type: 'sfdc-org',
  auth: 'client-credentials',
  loginUrl: org.url,
  apiVersion: '65.0',
  pubsubEndpoint: org.pubsub,
  credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
  ...more,
});

const composite = (more: object = {}): FlowNode => ({
  id: 'write',
  type: 'sfdc-composite',
  z: 'tab',
  org: 'org',
  operation: 'upsert',
  sobject: 'Contact',
  externalIdField: 'ExternalId__c',
  allOrNone: false,
  payload: { mode: 'event' },
  batch: { records: 1000, maxRequests: 4, linger: '0ms', coalesce: false },
  onOutage: 'hold',
  wires: [['results'], ['failed']],
  ...more,
});

const flow = (node: FlowNode, config = orgNode()): FlowNode[] =>
  // Without a place on the canvas Node-RED takes a node for a config node.
  [
    { id: 'tab', type: 'tab', label: 'Test' },
    config,
    node,
    { id: 'results', type: 'debug', z: 'tab', active: false, wires: [] },
    { id: 'failed', type: 'debug', z: 'tab', active: false, wires: [] },
    { id: 'catch', type: 'catch', z: 'tab', scope: ['write'], wires: [['caught']] },
    { id: 'caught', type: 'debug', z: 'tab', active: false, wires: [] },
    { id: 'complete', type: 'complete', z: 'tab', scope: ['write'], wires: [['completed']] },
    { id: 'completed', type: 'debug', z: 'tab', active: false, wires: [] },
  ].map((one) => (one.z ? { x: 1, y: 1, ...one } : one));

const counts = () => ['results', 'failed', 'caught', 'completed'].map((id) => red.received(id).length);
const use = async (node: FlowNode, config?: FlowNode) => {
  await red.deploy(flow(node, config), 'full');
  base = counts();
};
let base: number[] = [];
/** Messages since the last deploy at results, failed, caught, completed. */
const since = () => counts().map((count, i) => count - (base[i] ?? 0));
const last = (id: string) =>
  red.received(id).at(-1) as {
    payload: Record<string, unknown>[];
    sfdc: object;
    error: { code: string; message: string };
  };
const settled = (count = 1) =>
  until(() => since()[2]! + since()[3]! >= count, { what: `${count} messages to be done` });

before(async () => {
  org = await startOrg();
  red = await embedNodeRed({ flows: flow(composite()) });
});
beforeEach(() => {
  org.remove(
    'Contact',
    org.records('Contact').map((row) => String(row.Id)),
    { hard: true },
  );
  org.clearRequests();
});
afterEach(() => org.faults.clear());
after(async () => {
  await red.stop();
  await org.close();
});

describe('outputs', () => {
  test('results, their operation and the API usage leave by output 1, and the message is done once', async () => {
    await use(composite());
    red.send('write', { payload: [contact(1), contact(2)], topic: 'kept' });
    await settled();
    assert.deepEqual(since(), [1, 0, 0, 1]);
    const { payload, sfdc, topic } = last('results') as never as {
      payload: object[];
      sfdc: object;
      topic: string;
    };
    const [row] = org.records('Contact');
    assert.deepEqual(payload[0], {
      id: row?.Id,
      success: true,
      created: true,
      errors: [],
      record: contact(1),
    });
    assert.equal(payload.length, 2);
    assert.equal(topic, 'kept');
    assert.deepEqual(sfdc, {
      operation: 'upsert',
      sobject: 'Contact',
      // One call for the record, and one before the first for jobs that nobody follows.
      apiUsage: { used: 2, max: 1_000_000 },
    });
  });

  test('wired, output 2 takes the rows that failed, and the message is done', async () => {
    await use(composite());
    red.send('write', { payload: [contact(1), { ExternalId__c: 'K2' }] });
    await settled();
    assert.deepEqual(since(), [1, 1, 0, 1]);
    assert.deepEqual(
      last('results').payload.map((row) => row.success),
      [true, false],
    );
    assert.deepEqual(
      last('failed').payload.map((row) => row.record),
      [{ ExternalId__c: 'K2' }],
    );
    red.send('write', { payload: { ExternalId__c: 'K3' } });
    await settled(2);
    assert.deepEqual(since(), [1, 2, 0, 2], 'output 1 is silent where nothing was written');
  });

  test('not wired, failed rows fail the message for good', async () => {
    await use(composite({ wires: [['results']] }));
    red.send('write', { payload: [contact(1), { ExternalId__c: 'K2' }] });
    await settled();
    assert.deepEqual(since(), [0, 0, 1, 0]);
    const { code, message } = last('caught').error;
    assert.equal(code, 'REQUIRED_FIELD_MISSING');
    assert.match(
      message,
      /^FlowError: Required .*LastName.* record 1: 1 of 2 records failed in upsert of Contact\./,
    );
  });

  test('an empty array is done without a call', async () => {
    await use(composite());
    red.send('write', { payload: [] });
    await settled();
    assert.deepEqual(since(), [1, 0, 0, 1]);
    assert.equal(org.requests().filter(({ path }) => path.includes('composite')).length, 0);
  });
});

describe('settings', () => {
  test('a field map fills the record', async () => {
    const fields = [
      { name: 'LastName', type: 'template', value: '{{event.data.name}}' },
      { name: 'ExternalId__c', type: 'msg', value: 'payload.id' },
      { name: 'FirstName', type: 'jsonata', value: '$uppercase(payload.first)' },
    ];
    await use(composite({ payload: { mode: 'map', fields } }));
    for (const n of [1, 2, 3]) red.send('write', { payload: { name: `v${n}`, id: 'same', first: 'ada' } });
    await settled(3);
    assert.deepEqual(
      org.records('Contact').map((row) => [row.LastName, row.FirstName]),
      [['v3', 'ADA']],
      'in the order of the messages',
    );
    red.send('write', { payload: { name: 'x' } });
    await settled(4);
    assert.equal(last('caught').error.code, 'FIELD_VALUE');
  });

  test('properties of the message stand in for settings', async () => {
    await use(composite({ operation: 'create', sobject: 'Account', externalIdField: '' }));
    red.send('write', {
      payload: contacts(2),
      operation: 'upsert',
      sobject: 'Contact',
      externalIdField: 'ExternalId__c',
      allOrNone: true,
    });
    await settled();
    const ids = last('results').payload.map((row) => row.id);
    assert.equal(org.records('Contact').length, 2);
    red.send('write', { operation: 'get', sobject: 'Contact', ids, fields: ['LastName'] });
    await settled(2);
    assert.deepEqual(
      last('results').payload.map((row) => (row.record as { LastName: string }).LastName),
      ['Person 0', 'Person 1'],
    );
    red.send('write', { operation: 'erase' });
    await settled(3);
    assert.equal(last('caught').error.code, 'INVALID_OPERATION');
  });

  test('what cannot work is said at the start and for each message', async () => {
    const from = red.log.length;
    await use(composite({ org: 'nowhere' }));
    await red.waitForLog(/No sfdc-org is chosen/, { from });
    assert.deepEqual(red.statusOf('write'), { fill: 'red', shape: 'ring', text: 'wrong settings' });
    red.send('write', { payload: contact(1) });
    await settled();
    assert.equal(last('caught').error.code, 'NO_ORG');
  });
});

describe('the org', () => {
  test('many nodes share one login', async () => {
    const nodes = flow(composite());
    for (const id of ['write2', 'write3']) nodes.push({ ...composite({ id }), x: 1, y: 1 });
    await red.deploy(nodes, 'full');
    base = counts();
    for (const id of ['write', 'write2', 'write3']) red.send(id, { payload: contact(id) });
    await until(() => org.records('Contact').length === 3, { what: 'three contacts' });
    assert.equal(org.requests().filter(({ path }) => path.includes('token')).length, 1);
  });

  test('a refused login shows in status and log, in words, and heals by itself', async () => {
    org.faults.add({
      match: { path: '/oauth2/token' },
      action: { status: 400, errorCode: 'invalid_grant' },
      times: 1,
    });
    const from = red.log.length;
    await use(composite());
    await until(() => /^refused for \ds$/.test(red.statusOf('write')?.text ?? ''), { what: 'the status' });
    await red.waitForLog(/org refuses the client-credentials login/, { from });
    red.send('write', { payload: contact(1) });
    await settled();
    assert.deepEqual(since(), [1, 0, 0, 1]);
    await until(() => red.statusOf('write')?.text === 'ready', { what: 'ready' });
    await red.waitForLog(/The org is back after/, { from });
  });

  test('a deploy under load settles every message exactly once and loses none', async () => {
    const nodes = [...flow(composite())];
    await red.deploy(nodes, 'full');
    base = counts();
    let sent = 0;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 50; i++) red.send('write', { payload: contact(sent++) });
      await red.deploy(flow(composite({ name: `round ${round}` })), 'nodes');
    }
    await settled(sent);
    const [results = 0, , caught = 0, completed = 0] = since();
    assert.equal(caught + completed, sent);
    assert.equal(results, completed);
    const failures = red
      .received('caught')
      .slice(-caught || Infinity)
      .map((msg) => (msg.error as { code: string }).code);
    assert.ok(failures.every((code) => code === 'NODE_CLOSED'));
    assert.equal(org.records('Contact').length, completed);
  });
});

describe('lookups', () => {
  const ask = async (
    action: string,
    params: object = {},
    config: object = {},
    credentials: object = { clientId: '__PWRD__', clientSecret: '__PWRD__' },
  ) => {
    const response = await fetch(`${red.url}/jetforce/sfdc-org/${action}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'org', config: { ...orgNode(), ...config }, credentials, params }),
    });
    return (await response.json()) as {
      ok: boolean;
      data: { value: string }[] & { checks: Check[] };
      error: { code: string; message: string };
    };
  };

  before(() => use(composite()));

  test('the test of a connection says who is connected where', async () => {
    const { data } = await ask('test');
    const [login, api] = data.checks;
    assert.match(String(login?.values['url']), /^http:\/\/127/);
    assert.equal(login?.values['user'], 'admin@org.example');
    assert.equal(api?.values['max'], 1_000_000);
  });

  test('objects, external id fields and fields come from the org', async () => {
    const values = async (action: string) =>
      (await ask(action, { sobject: 'Contact' })).data.map(({ value }) => value);
    assert.ok((await values('sobjects')).includes('Contact'));
    assert.ok((await values('fields')).includes('LastName'));
    const external = await values('external-id-fields');
    assert.ok(
      external.includes('ExternalId__c') && external.includes('Id') && !external.includes('LastName'),
    );
  });

  test('what is wrong is said in words', async () => {
    const message = async (config: object, credentials?: object): Promise<string> => {
      const answer = await ask('test', {}, config, credentials);
      // A part that doesn't work says so by itself; where the login fails there are no parts.
      if (!answer.ok) return answer.error.message;
      return answer.data.checks.map(({ error }) => error?.message ?? '').join();
    };
    // Stored secrets go to the address that is deployed and to no other.
    const typed = { clientId: org.clientId, clientSecret: org.clientSecret };
    const elsewhere = (loginUrl: string) => message({ loginUrl }, typed);
    assert.match(await elsewhere('https://no-such-host.invalid'), /host no-such-host\.invalid is unknown/);
    assert.match(await elsewhere('http://127.0.0.1:9'), /127\.0\.0\.1:9 refuses connections/);
    assert.match(await elsewhere(org.url.replace('http', 'https')), /doesn't speak TLS/);
    assert.match(await elsewhere('ftp://x'), /not an https URL/);
    assert.match(await message({ loginUrl: 'http://127.0.0.1:9' }), /enter the secret again/);
    assert.match(
      await message({}, { clientId: 'wrong', clientSecret: 'x' }),
      /client identifier invalid.*consumer key/,
    );
    assert.match(await message({}, { clientId: org.clientId, clientSecret: 'x' }), /check the client secret/);
    assert.match(await message({}, { clientId: org.clientId, clientSecret: '' }), /needs "Client secret"/);
    assert.match(
      await message(
        { auth: 'password', username: 'x' },
        { clientId: org.clientId, clientSecret: org.clientSecret, password: 'secret-word' },
      ),
      /Allow OAuth Username-Password Flows/,
    );
    assert.match(await message({ apiVersion: '99.0' }), /does not know this API version/);
  });
});

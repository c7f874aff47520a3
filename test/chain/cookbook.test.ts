import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openRoom, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { temporaryFolder } from '../support/cleanup';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { root } from '../support/user-dir';
import { until } from '../support/until';

// docs/cookbook: each flow does what its page says, as it is imported, all of them side by side.

const flows = globSync('docs/cookbook/*.json', { cwd: root }).map((path) => ({
  name: basename(path, '.json'),
  nodes: JSON.parse(readFileSync(join(root, path), 'utf8')) as FlowNode[],
}));

describe('the flows of the cookbook', () => {
  let room: Room;
  let org: Org;
  let red: EmbeddedNodeRed;
  let folder: ReturnType<typeof temporaryFolder>;

  before(async () => {
    room = await openRoom();
    await room.jsm.streams.delete('crm');
    await room.jsm.streams.add({
      name: 'SEQUIN-RECORDS',
      subjects: ['sequin-records.>'],
      allow_direct: true,
    });
    org = await startOrg({ pubsub: true });
    folder = temporaryFolder('cookbook');
    const credentials = join(folder.path, 'sfdc.json');
    const { clientId, clientSecret, url } = org;
    const login = { client_id: clientId, client_secret: clientSecret, login_url: url };
    writeFileSync(credentials, JSON.stringify(login));
    const here: Record<string, object> = {
      'jetstream-server': { servers: room.nats.url, auth: 'none', credentialsPath: '' },
      'sfdc-org': { credentialsPath: credentials, pubsubEndpoint: org.pubsub },
    };
    const nodes = new Map(flows.flatMap((flow) => flow.nodes).map((node) => [node.id, node]));
    red = await embedNodeRed({
      flows: [...nodes.values()].map((node) => ({ ...node, ...here[node.type] })),
    });
    await until(() => room.jsm.consumers.info('crm', 'cookbook_linked'), { what: 'the durables' });
  });
  after(async () => {
    await red.stop();
    await org.close();
    await room.stop();
    folder.remove();
  });

  const node = (flow: string, type: string, name?: string): string => {
    const { nodes } = flows.find((each) => each.name === flow) ?? assert.fail(flow);
    const found = nodes.find((each) => each.type === type && (name === undefined || each.name === name));
    return found?.id ?? assert.fail(`${flow}: ${type} ${name}`);
  };
  const contact = (id: string) => org.records('Contact').find((row) => row.ExternalId__c === id);
  const received = (flow: string): Promise<Record<string, unknown>> =>
    until(() => red.received(node(flow, 'debug')).at(-1), { what: `a message at the end of "${flow}"` });

  test('choose and map: one without an address is done, the other is a contact', async () => {
    await room.publish('crm.contacts.events', { id: 'm1', last_name: 'Without' });
    await room.publish('crm.contacts.events', { id: 'm2', last_name: 'With', email: 'with@example.com' });
    const found = await until(() => contact('m2'), { what: 'the contact' });
    assert.equal(found.Email, 'with@example.com');
    await until(
      async () => (await room.jsm.consumers.info('crm', 'cookbook_map')).ack_floor.stream_seq >= 2,
      {
        what: 'both acknowledged',
      },
    );
    assert.equal(contact('m1'), undefined);
  });

  test('refused rows are published, the good ones written', async () => {
    const rows = [{ ExternalId__c: 'r1', LastName: 'Good' }, { ExternalId__c: 'r2' }];
    await room.publish('crm.contacts.lists', rows);
    const [refused] = (await until(
      async () =>
        JSON.parse(
          (await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.refused.contacts' })).string(),
        ) as { record: { ExternalId__c: string } }[],
      { what: 'the refused row' },
    )) as [{ record: { ExternalId__c: string } }];
    assert.equal(refused.record.ExternalId__c, 'r2');
    await until(() => contact('r1'), { what: 'the good row' });
  });

  test('a contact under its account; without one it is a dead letter, which is told in a sentence', async () => {
    org.write('Account', { Name: 'Acme', ExternalId__c: 'a1' });
    await room.publish('crm.contacts.linked', { id: 'l1', last_name: 'Linked', account_id: 'a1' });
    const linked = await until(() => contact('l1'), { what: 'the contact' });
    assert.equal(linked.AccountId, org.records('Account').find((row) => row.ExternalId__c === 'a1')?.Id);
    await room.publish('crm.contacts.linked', { id: 'l2', last_name: 'Alone', account_id: 'nobody' });
    const said = await received('Tell somebody of dead letters');
    assert.match(String(said.payload), /^cookbook_linked gave up crm\.contacts\.linked number \d+: .*nobody/);
  });

  test('an order over HTTP is answered when it is stored', async () => {
    const answer = await fetch(`${red.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'o1', total: 5 }),
    });
    assert.equal(answer.status, 202);
    const { stream } = (await answer.json()) as { stream: string };
    assert.equal(stream, 'crm');
    const stored = await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.orders.new' });
    assert.deepEqual(stored.json(), { id: 'o1', total: 5 });
  });

  test('a contact is looked up over HTTP', async () => {
    const written = org.write('Contact', { LastName: 'Wanted' }) as unknown;
    const id = org.records('Contact').find(({ LastName }) => LastName === 'Wanted')?.Id;
    const answer = await fetch(`${red.url}/contacts/${String(id)}`);
    assert.equal(answer.status, 200, JSON.stringify(written));
    assert.equal(((await answer.json()) as { LastName: string }).LastName, 'Wanted');
  });

  test('HubSpot’s contacts become Salesforce’s, deleted ones are left', async () => {
    const subject = 'sequin-records.default.s.hubspot.hubspot:contacts.';
    const data = {
      upstream_id: 'h1',
      properties: { firstname: 'H', lastname: 'Spot', email: 'h@example.com' },
    };
    await room.publish(`${subject}h0`, { data: { upstream_id: 'h0', properties: {} }, deleted: true });
    await room.publish(`${subject}h1`, { data, deleted: false });
    await until(() => contact('h1'), { what: 'the contact' });
    assert.equal(contact('h0'), undefined);
  });

  test('changes that others have made are forwarded, those of the own user not', async () => {
    await room.publish('crm.contacts.events', { id: 'c1', last_name: 'First', email: 'c1@example.com' });
    const own = await until(() => contact('c1'), { what: 'a contact of the own user' });
    process.env['SFDC_USER_ID'] = String(own.LastModifiedById);
    await room.publish('crm.contacts.events', { id: 'c2', last_name: 'By us', email: 'c2@example.com' });
    await until(() => contact('c2'), { what: 'another' });
    // Of a change event the names are parts of Name.
    const name = ({ payload }: Record<string, unknown>) =>
      (payload as { Name?: { LastName: string } }).Name?.LastName;
    const seen = () => red.received(node('Changes that others have made', 'switch')).map(name);
    const names = () => red.received(node('Changes that others have made', 'jetstream-out')).map(name);
    await until(() => seen().includes('By us'), { what: 'the change of the own user' });
    // The simulated org has one user: from here on it is somebody else.
    process.env['SFDC_USER_ID'] = '005000000000000AAA';
    org.write('Contact', { LastName: 'By somebody' });
    await until(() => names().includes('By somebody'), { what: 'the change of somebody else' });
    assert.ok(!names().includes('By us'), names().join());
    await until(() => room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.contacts.changed' }), {
      what: 'it in the stream',
    });
  });

  test('a comparison begins by the command', async () => {
    await red.inject(node('Compare on Sundays', 'inject'));
    const { topic } = await received('Compare on Sundays');
    assert.match(String(topic), /^salesforce:/);
    assert.deepEqual(
      red.log.filter(({ level, type }) => level === 'error' && type === 'api-sync-out'),
      [],
    );
  });

  test('what is held is said once', async () => {
    const flow = 'Say when something is held';
    const source = { id: 'x', type: 'node', name: 'x' };
    for (const [fill, text] of [
      ['green', 'ready'],
      ['yellow', 'API budget for 1m'],
      ['yellow', 'API budget for 1m'],
      ['red', 'refused for 1m'],
    ])
      red.send(node(flow, 'switch'), { status: { fill, text, source } });
    const said = () => red.received(node(flow, 'debug')).map(({ payload }) => payload);
    await until(() => said().includes('node x: refused for 1m'), { what: 'the last one' });
    assert.deepEqual(said(), ['node x: API budget for 1m', 'node x: refused for 1m']);
  });
});

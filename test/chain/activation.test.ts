import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { openRoom, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { temporaryFolder } from '../support/cleanup';
import { startNodeRed, type FlowNode, type NodeRed } from '../support/node-red';
import { root } from '../support/user-dir';
import { until } from '../support/until';

const SUBJECT = 'crm.contacts.upsert';

/** The shipped example, with the addresses of this test and `more` for its jetstream-in. */
function exampleFlow(sfdcCredentials: string, more: object): FlowNode[] {
  const text = readFileSync(join(root, 'examples', 'Upsert contacts from JetStream.json'), 'utf8');
  return (JSON.parse(text) as FlowNode[]).map((node) => {
    if (node.type === 'sfdc-org') return { ...node, credentialsPath: sfdcCredentials };
    if (node.type === 'jetstream-server') return { ...node, auth: 'none', credentialsPath: '' };
    if (node.type === 'jetstream-in') return { ...node, ...more };
    return node;
  });
}

describe('events from JetStream become records in Salesforce', () => {
  let room: Room;
  let org: Org;
  let red: NodeRed;
  let folder: ReturnType<typeof temporaryFolder>;
  let credentials: string;

  before(() => {
    folder = temporaryFolder('chain');
    credentials = join(folder.path, 'sfdc.json');
  });
  after(() => folder.remove());

  beforeEach(async () => {
    room = await openRoom();
    await room.jsm.streams.delete('crm');
  });

  async function open(latencyMs: number, more: object): Promise<void> {
    org = await startOrg({ latencyMs });
    const { clientId, clientSecret, username, password, securityToken, url } = org;
    writeFileSync(
      credentials,
      JSON.stringify({
        client_id: clientId,
        client_secret: clientSecret,
        username,
        password: password + securityToken,
        login_url: url,
      }),
    );
    red = await startNodeRed({ flows: exampleFlow(credentials, more), env: { NATS_URL: room.nats.url } });
    await until(() => room.jsm.consumers.info('crm', 'salesforce_composite_upsert_contact'), {
      what: 'the durable',
    });
  }

  async function close(): Promise<void> {
    await red.stop();
    await org.close();
    await room.stop();
  }

  const inOrg = (externalId: string): boolean =>
    org.records('Contact').some((row) => row.ExternalId__c === externalId);

  test('Node-RED killed -9 again and again: all 1,000 are there, none acknowledged before it was', async () => {
    await open(80, { ackWait: '2s', prefetch: 200, maxDeliver: -1 });
    const ids = new Map<number, string>();
    const present = new Set<string>();
    const early: number[] = [];
    org.store.on('commit', () => {
      for (const row of org.records('Contact')) present.add(String(row.ExternalId__c));
    });
    room.nc.subscribe('$JS.ACK.>', {
      callback: (_error, msg) => {
        const sequence = Number(msg.subject.split('.').at(-4));
        if (msg.string() === '+ACK' && !present.has(ids.get(sequence) ?? '')) early.push(sequence);
      },
    });
    await room.nc.flush();
    const publishing = (async () => {
      for (let n = 1; n <= 1_000; n++) {
        ids.set(n, `e${n}`);
        await room.publish(SUBJECT, { ExternalId__c: `e${n}`, LastName: `Contact ${n}` });
      }
    })();
    for (const limit of [100, 300, 500, 700]) {
      await until(() => org.records('Contact').length >= limit, {
        timeout: 30_000,
        what: `${limit} contacts`,
      });
      await red.kill();
      await red.restart();
    }
    await publishing;
    await until(() => org.records('Contact').length === 1_000, { timeout: 30_000, what: '1,000 contacts' });
    await until(
      async () =>
        (await room.jsm.consumers.info('crm', 'salesforce_composite_upsert_contact')).num_ack_pending === 0,
      {
        timeout: 20_000,
        what: 'every event to be acknowledged',
      },
    );
    for (let n = 1; n <= 1_000; n++) assert.ok(present.has(`e${n}`), `contact e${n}`);
    assert.deepEqual(early, [], 'acknowledged before the record was in the org');
    await close();
  });

  test('an event with a record that Salesforce refuses is a dead letter with the row error, and the next one goes on', async () => {
    await open(5, { deadLetter: 'crm.dead.contacts', backoff: '100ms' });
    const refused = [
      { ExternalId__c: 'good', LastName: 'Good' },
      { ExternalId__c: 'bad', Email: 'no-last-name@example.com' },
    ];
    const sequence = await room.publish(SUBJECT, refused);
    const next = await room.publish(SUBJECT, [{ ExternalId__c: 'next', LastName: 'Next' }]);
    await room.waitSettled(sequence, '+TERM');
    await room.waitSettled(next, '+ACK');
    const dead = await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.dead.contacts' });
    assert.deepEqual(JSON.parse(new TextDecoder().decode(dead.data)), refused);
    assert.match(dead.header.get('Jetforce-Error'), /LastName.*REQUIRED_FIELD_MISSING/);
    assert.equal(dead.header.get('Jetforce-Subject'), SUBJECT);
    assert.equal(room.settled(sequence).length, 1, 'not repeated: it can never succeed');
    assert.ok(inOrg('next'));
    assert.ok(!inOrg('good'), 'all or none');
    await close();
  });

  test('an org out of reach costs no delivery: events wait, and go on when it is back', async () => {
    await open(5, {
      ackWait: '1s',
      backoff: '50ms',
      maxDeliver: 2,
      processingLimit: '1s',
      deadLetter: 'crm.dead.contacts',
    });
    org.faults.add({
      match: { path: '/services/data' },
      action: { status: 503, errorCode: 'SERVER_UNAVAILABLE' },
    });
    const sequence = await room.publish(SUBJECT, { ExternalId__c: 'patient', LastName: 'Patient' });
    await until(() => org.requests().filter(({ status }) => status === 503).length >= 2, {
      timeout: 20_000,
      what: 'the org to be tried again',
    });
    await until(
      () =>
        room.settlements.filter((entry) => entry.sequence === sequence && entry.verb === '+WPI').length >= 4,
      { what: 'the ack wait to be extended beyond the processing limit' },
    );
    org.faults.clear();
    const ack = await room.waitSettled(sequence, '+ACK', 40_000);
    assert.equal(ack.deliveries, 1);
    assert.ok(inOrg('patient'));
    await close();
  });
});

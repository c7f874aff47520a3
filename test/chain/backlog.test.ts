import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inNode, openRoom, serverNode, TAB } from '../jetstream/room';
import { startOrg } from '../org/org';
import { startNodeRed } from '../support/node-red';
import { until } from '../support/until';

const WAITING = 4_000;

/** By as much as a consumer is allowed by its own settings alone, no job would ever come about. */
test('what waits in JetStream is gathered beyond prefetch and goes as one job, each message settled by its own row', async (t) => {
  const room = await openRoom();
  t.after(() => room.stop());
  const org = await startOrg({ switches: { bulkJobMs: 500 } });
  t.after(() => org.close());
  const record = (n: number) => ({ ExternalId__c: `K${n}`, ...(n % 1_000 !== 999 && { LastName: `N${n}` }) });
  for (let n = 0; n < WAITING; n += 500)
    await Promise.all(Array.from({ length: 500 }, (_, i) => room.publish('crm.contacts.new', record(n + i))));
  const red = await startNodeRed({
    flows: [
      TAB,
      serverNode(room.nats.url),
      inNode({ prefetch: 1_000, wires: [['write']] }),
      {
        id: 'write',
        type: 'sfdc-composite',
        z: 'tab',
        org: 'org',
        operation: 'upsert',
        sobject: 'Contact',
        externalIdField: 'ExternalId__c',
        batch: { bulkFrom: WAITING - 100 },
        wires: [['end'], []],
      },
      { id: 'end', type: 'change', z: 'tab', rules: [], wires: [[]] },
      {
        id: 'org',
        type: 'sfdc-org',
        auth: 'client-credentials',
        loginUrl: org.url,
        credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
      },
    ],
  });
  t.after(() => red.stop());
  const durable = () => room.jsm.consumers.info('crm', 'flow');
  await until(durable, { what: 'the durable' });
  await until(async () => (await durable()).ack_floor.stream_seq >= WAITING, {
    timeout: 60_000,
    what: 'all to be settled',
  });
  assert.equal(org.records('Contact').length, WAITING - 4);
  const { state } = await room.jsm.streams.info('crm', { subjects_filter: 'crm.dead' });
  assert.equal(state.subjects?.['crm.dead'], 4, 'what the org refuses is a dead letter');
  const calls = org.requests().map(({ path }) => path);
  assert.equal(calls.filter((path) => path.endsWith('/jobs/ingest')).length, 1);
  assert.equal(calls.filter((path) => path.includes('/composite')).length, 0);
});

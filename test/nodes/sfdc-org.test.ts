import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sfdcComposite from '../../nodes/salesforce/sfdc-composite';
import sfdcOrg, { type OrgNode } from '../../nodes/salesforce/sfdc-org';
import type { Check } from '../../nodes/shared/checks';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { TOPIC } from '../salesforce/pubsub/rig';
import { inbox, stage } from './helper';

const red = stage(sfdcOrg, sfdcComposite);
let org: Org;
before(async () => (org = await startOrg({ pubsub: true })));
after(() => org.close());

const user = {
  id: 'write',
  type: 'sfdc-composite',
  org: 'org',
  operation: 'create',
  sobject: 'Contact',
  wires: [['next']],
};
const orgOf = () => red.node('org') as unknown as OrgNode;

test('is registered, with what its form says', async () => {
  await red.load(orgNode(org, { name: 'production' }));
  assert.equal(red.node('org').type, 'sfdc-org');
  assert.equal(red.node('org').name, 'production');
});

test('has defaults for API version, Pub/Sub endpoint and budget', async () => {
  await red.load(orgNode(org, { apiVersion: undefined, pubsubEndpoint: undefined, apiBudget: undefined }));
  const { session, pubsub } = orgOf();
  assert.equal(session?.dataPath, '/services/data/v65.0');
  assert.equal(pubsub?.endpoint, 'api.pubsub.salesforce.com:7443');
  assert.equal(session?.budget.share, 80);
});

test('logs in once, for the first node that uses it, and not before', async () => {
  org.clearRequests();
  await red.load(orgNode(org));
  assert.equal(orgOf().session?.accessToken, undefined);
  await red.load(orgNode(org), user, { ...user, id: 'write2' }, inbox('next'));
  await red.waitForStatus('write', 'status.ready');
  await red.waitForStatus('write2', 'status.ready');
  assert.equal(org.requests().filter(({ path }) => path.endsWith('/oauth2/token')).length, 1);
});

test('settings that make no sense are named in the log, and where it is used', async () => {
  await red.load(orgNode(org, { apiVersion: 'newest' }), user, inbox('next'));
  await red.waitForStatus('write', 'status.misconfigured');
  assert.match(red.logged('ERROR').join('\n'), /"newest" is not an API version/);
});

test('a refused login shows in the nodes that use it, with the way out in the log', async () => {
  const wrong = { clientId: org.clientId, clientSecret: 'wrong' };
  await red.load(orgNode(org, { credentials: wrong }), user, inbox('next'));
  await red.waitForStatus('write', 'status.login');
  assert.match(red.logged('WARN').join('\n'), /The org refuses the client-credentials login.*client secret/);
});

test('answers the form: a login that works, one that does not', async () => {
  const { credentials, ...config } = orgNode(org);
  await red.load(orgNode(org));
  const ask = (secrets: object) =>
    red.ask('/jetforce/sfdc-org/test', { id: 'org', config, credentials: secrets });
  const works = (await ask({ clientSecret: '__PWRD__' })) as { data: { checks: Check[] } };
  const [login, api, events] = works.data.checks;
  assert.equal(login?.values['user'], 'admin@org.example');
  assert.deepEqual([login?.state, api?.state, events?.state], ['good', 'good', 'good']);
  const refused = (await ask({ ...(credentials as object), clientSecret: 'wrong' })) as { ok: boolean };
  assert.equal(refused.ok, false);
});

test('closing it ends the session once nobody uses it any more', async () => {
  await red.load(orgNode(org), user, inbox('next'));
  await red.waitForStatus('write', 'status.ready');
  const { pubsub } = orgOf();
  await pubsub?.test(TOPIC);
  await red.close();
  await assert.rejects(async () => pubsub?.test(TOPIC), { code: 'CLOSED' });
});

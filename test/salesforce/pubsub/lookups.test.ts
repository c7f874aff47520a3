import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test, type TestContext } from 'node:test';
import { PubSub } from '../../../nodes/salesforce/pubsub/client';
import { parseEndpoint } from '../../../nodes/salesforce/pubsub/endpoint';
import { listEventFields, listTopics, testPubSub } from '../../../nodes/salesforce/pubsub/lookups';
import type { OrgSession } from '../../../nodes/salesforce/org/session';
import { freePort } from '../../support/cleanup';
import { startOrg, type Org } from '../../org/org';
import { TOPIC } from './rig';
import { QUICK, sessionWith } from '../rig';

async function start(t: TestContext): Promise<{ org: Org; session: OrgSession; endpoint: string }> {
  const org = await startOrg({ pubsub: true });
  t.after(() => org.close());
  const session = sessionWith(org);
  t.after(() => session.close());
  return { org, session, endpoint: org.pubsub ?? '' };
}

const endpoints: [text: string, address: string, tls: boolean][] = [
  ['api.pubsub.salesforce.com:7443', 'api.pubsub.salesforce.com:7443', true],
  ['api.deu.pubsub.salesforce.com', 'api.deu.pubsub.salesforce.com:7443', true],
  ['https://api.pubsub.salesforce.com:443/', 'api.pubsub.salesforce.com:443', true],
  [' http://127.0.0.1:7011 ', '127.0.0.1:7011', false],
  ['http://localhost:7011', 'localhost:7011', false],
  ['http://[::1]:7011', '[::1]:7011', false],
];
for (const [text, address, tls] of endpoints) {
  test(`the endpoint "${text}" is ${address}, ${tls ? 'over TLS' : 'in plain text'}`, () => {
    assert.deepEqual(parseEndpoint(text), { address, tls });
  });
}

for (const text of ['', 'a b', 'host:port', 'http://', 'https://host:1:2', 'http://example.com:7443']) {
  test(`"${text}" is no endpoint`, () => {
    assert.throws(() => parseEndpoint(text), { code: 'INVALID_ENDPOINT', retryable: false });
  });
}

test('topics are the platform events, all changes, and the changes of each object', async (t) => {
  const { session } = await start(t);
  const topics = (await listTopics(session, undefined)).map(({ value }) => value);
  for (const topic of [TOPIC, '/data/ChangeEvents', '/data/ContactChangeEvent', '/data/AccountChangeEvent'])
    assert.ok(topics.includes(topic), topic);
});

test('only platform events can be published to', async (t) => {
  const { session } = await start(t);
  const topics = (await listTopics(session, 'publish')).map(({ value }) => value);
  assert.ok(topics.includes(TOPIC));
  assert.ok(topics.every((topic) => topic.startsWith('/event/')));
});

test('the fields of an event are those a publisher fills in, with their types', async (t) => {
  const { session, endpoint } = await start(t);
  assert.deepEqual(await listEventFields(session, endpoint, TOPIC), [
    { value: 'Order_ID__c', label: 'Text' },
    { value: 'Status__c', label: 'Text' },
    { value: 'Timestamp__c', label: 'DateTime' },
    { value: 'Amount__c', label: 'Double' },
    { value: 'Urgent__c', label: 'Boolean' },
  ]);
});

test('fields of a topic that is not there are an error in words', async (t) => {
  const { session, endpoint } = await start(t);
  await assert.rejects(
    listEventFields(session, endpoint, '/event/Missing__e'),
    /no topic \/event\/Missing__e/,
  );
});

test('the connection test says that the Pub/Sub API answers', async (t) => {
  const { session, endpoint } = await start(t);
  assert.deepEqual(await testPubSub(session, endpoint), {
    state: 'good',
    text: 'check_pubsub',
    values: { endpoint },
  });
});

/** Events alone don't work: not everybody needs them. */
async function trouble(session: OrgSession, endpoint: string): Promise<string> {
  const { state, text, error } = await testPubSub(session, endpoint);
  assert.deepEqual([state, text], ['fair', 'check_pubsubFailed']);
  return error?.message ?? '';
}

test('the connection test says what is wrong: nobody listens, no TLS, no such endpoint', async (t) => {
  const { session } = await start(t);
  const closed = `127.0.0.1:${await freePort()}`;
  assert.match(await trouble(session, closed), /refuses connections; check the Pub\/Sub endpoint/);
  assert.match(await trouble(session, 'nonsense endpoint'), /is not an endpoint/);
  const plain = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  t.after(() => plain.close());
  const { port } = plain.address() as { port: number };
  assert.match(await trouble(session, `127.0.0.1:${port}`), /does not speak TLS on this port/);
});

test('a host that is unknown is said so', async (t) => {
  const { session } = await start(t);
  assert.match(
    await trouble(session, 'no-such-host.invalid:7443'),
    /is unknown; check the Pub\/Sub endpoint/,
  );
});

test('a certificate that nobody vouches for is refused, and what to do is said', async (t) => {
  const org = await startOrg({ tls: false, pubsub: { tls: true } }).catch(() => undefined);
  if (!org) return t.skip('the org has no TLS for the Pub/Sub side alone');
  t.after(() => org.close());
  const session = sessionWith(org);
  t.after(() => session.close());
  const pubsub = new PubSub(session, org.pubsub ?? '', { ...QUICK });
  t.after(() => pubsub.close());
  await assert.rejects(pubsub.test(TOPIC), /The TLS certificate of .* is refused .*certificate authority/);
});

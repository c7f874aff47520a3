import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { jetstreamServer } from '../../nodes/jetstream/jetstream-server.settings';
import { sfdcOrg } from '../../nodes/salesforce/sfdc-org.settings';
import { parseSettings } from '../../nodes/shared/settings/settings';
import { startNodeRed, type FlowNode } from '../support/node-red';
import { root } from '../support/user-dir';
import { definitionOf, types } from './definitions';

const read = (pattern: string) =>
  globSync(pattern, { cwd: root }).map((path) => ({
    name: basename(path, '.json'),
    nodes: JSON.parse(readFileSync(join(root, path), 'utf8')) as FlowNode[],
  }));
const examples = read('examples/*.json');
/** Flows of the documentation are imported as the examples are. */
const importable = [...examples, ...read('docs/cookbook/*.json')];

/** What the editor writes for any node beside the node's own properties. */
const FRAME = ['id', 'type', 'z', 'x', 'y', 'wires'];

for (const { name, nodes } of importable) {
  describe(name, () => {
    test('is what the editor would export: each setting of a node, and no other', () => {
      for (const node of nodes.filter(({ type }) => types.includes(type))) {
        const own = Object.keys(node).filter((key) => !FRAME.includes(key));
        assert.deepEqual(own.sort(), Object.keys(definitionOf(node.type).defaults).sort(), node.type);
      }
    });

    test('holds together', () => {
      const ids = nodes.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      for (const node of nodes) {
        assert.match(node.id, /^[0-9a-f]{16}$/);
        assert.ok(!('credentials' in node));
        for (const target of (node.wires ?? []).flat())
          assert.ok(ids.includes(target), `${node.id} → ${target}`);
        if (node.z) assert.ok(ids.includes(node.z));
        const references = types.includes(node.type) ? Object.entries(definitionOf(node.type).defaults) : [];
        for (const [property, { type }] of references) {
          if (type && node[property])
            assert.ok(ids.includes(node[property] as string), `${node.type} ${property}`);
        }
      }
    });
  });
}

test('what a reader of a stream gives up goes to a dead letter, which some stream takes', () => {
  for (const { name, nodes } of examples)
    for (const { type, deadLetter, deadLetterStream, streamConfig } of nodes) {
      if (type !== 'jetstream-in') continue;
      const { subjects } = streamConfig as { subjects: string[] };
      const taken = subjects.some((each) => String(deadLetter).startsWith(each.replace('>', '')));
      assert.ok(deadLetter && (taken || deadLetterStream), name);
    }
});

test('each brings its own config nodes, for its tab: importing a second one asks nothing', () => {
  const ids = importable.flatMap(({ nodes }) => nodes.map(({ id }) => id));
  assert.equal(new Set(ids).size, ids.length);
  for (const { name, nodes } of importable)
    for (const { type, z } of nodes) assert.ok(z !== undefined || type === 'tab', `${name}: ${type}`);
});

test('each says where its server and its org are, if the environment doesn’t', () => {
  const own = Object.keys(process.env).filter((name) => /^(NATS|SFDC)_/.test(name));
  for (const name of own) delete process.env[name];
  for (const { nodes } of importable)
    for (const { type, z: _z, ...node } of nodes) {
      if (type === 'jetstream-server') {
        const { servers, credentialsPath } = parseSettings(jetstreamServer, node);
        assert.equal(servers, 'nats://localhost:4222');
        assert.equal(credentialsPath, '/etc/nats/credentials.json');
      }
      if (type === 'sfdc-org') {
        const { pubsubEndpoint, credentialsPath } = parseSettings(sfdcOrg, node);
        assert.equal(credentialsPath, '/etc/sfdc/credentials.json');
        assert.equal(pubsubEndpoint, 'api.pubsub.salesforce.com:7443');
      }
    }
});

test('every node that can be put into a flow has an example', () => {
  const shown = examples.flatMap(({ nodes }) => nodes.map(({ type }) => type));
  for (const type of types) assert.ok(shown.includes(type), `no example shows ${type}`);
});

test('the examples start in Node-RED together, with nothing to reach, and it keeps running', async (t) => {
  const flows = examples.flatMap(({ nodes }) => nodes);
  const red = await startNodeRed({ flows, env: { NATS_URL: 'nats://127.0.0.1:9' } });
  t.after(() => red.stop());
  const running = (await red.api('GET', '/flows')) as FlowNode[];
  assert.equal(running.length, flows.length);
});

test('the mission is written down setting by setting', () => {
  const nodes = examples.find(({ name }) => name === 'Upsert contacts from JetStream')?.nodes ?? [];
  const find = (type: string) => nodes.find((node) => node.type === type) ?? assert.fail(`no ${type}`);
  const matches = (node: FlowNode, settings: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(node[name], value, name);
  };
  matches(find('jetstream-server'), {
    auth: 'file',
    credentialsPath: '${NATS_CREDENTIALS:-/etc/nats/credentials.json}',
    servers: '${NATS_URL:-nats://localhost:4222}',
  });
  const subscriber = find('jetstream-in');
  matches(subscriber, {
    name: 'start_subscription',
    subject: 'crm.contacts.upsert',
    stream: 'crm',
    provision: true,
    durable: 'salesforce_composite_upsert_contact',
    ackWait: '120s',
    maxDeliver: 5,
    backoff: '10s, 30s, 1m, 5m',
    ack: 'flow',
  });
  const { subjects, maxAge, maxBytes, retention, discard } = subscriber.streamConfig as Record<
    string,
    unknown
  >;
  assert.deepEqual(
    [subjects, maxAge, maxBytes, retention, discard],
    [['crm.>'], '1h', '2147483648', 'limits', 'old'],
  );
  matches(find('sfdc-composite'), {
    name: 'upsert_contacts',
    operation: 'upsert',
    sobject: 'Contact',
    externalIdField: 'ExternalId__c',
    allOrNone: true,
    payload: { mode: 'event' },
  });
  matches(find('sfdc-org'), {
    auth: 'file',
    credentialsPath: '${SFDC_CREDENTIALS:-/etc/sfdc/credentials.json}',
  });
  assert.deepEqual(subscriber.wires, [[find('sfdc-composite').id]]);
});

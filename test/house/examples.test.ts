import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { startNodeRed, type FlowNode } from '../support/node-red';
import { root } from '../support/user-dir';
import { definitionOf, types } from './definitions';

const examples = globSync('examples/*.json', { cwd: root }).map((path) => ({
  name: basename(path, '.json'),
  nodes: JSON.parse(readFileSync(join(root, path), 'utf8')) as FlowNode[],
}));

/** What the editor writes for any node beside the node's own properties. */
const FRAME = ['id', 'type', 'z', 'x', 'y', 'wires'];

for (const { name, nodes } of examples) {
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

test('every node that can be put into a flow has an example', () => {
  const shown = examples.flatMap(({ nodes }) => nodes.map(({ type }) => type));
  for (const type of types) assert.ok(shown.includes(type), `no example shows ${type}`);
});

test('the examples start in Node-RED together, with nothing to reach, and it keeps running', async (t) => {
  const flows = new Map(examples.flatMap(({ nodes }) => nodes.map((node) => [node.id, node])));
  const red = await startNodeRed({ flows: [...flows.values()], env: { NATS_URL: 'nats://127.0.0.1:9' } });
  t.after(() => red.stop());
  const running = (await red.api('GET', '/flows')) as FlowNode[];
  assert.equal(running.length, flows.size);
});

test('the mission is written down setting by setting', () => {
  const nodes = examples.find(({ name }) => name === 'Upsert contacts from JetStream')?.nodes ?? [];
  const find = (type: string) => nodes.find((node) => node.type === type) ?? assert.fail(`no ${type}`);
  const matches = (node: FlowNode, settings: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(node[name], value, name);
  };
  matches(find('jetstream-server'), {
    auth: 'file',
    credentialsPath: '/etc/nats/credentials.json',
    servers: '${NATS_URL}',
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
  matches(find('sfdc-org'), { auth: 'file', credentialsPath: '/etc/sfdc/credentials.json' });
  assert.deepEqual(subscriber.wires, [[find('sfdc-composite').id]]);
});

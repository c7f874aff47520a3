import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseSettings } from '../../nodes/shared/settings/settings';
import { declaredNodes } from '../../scripts/settings-reference';
import { startOrg } from '../org/org';
import { openRoom } from '../jetstream/room';
import { embedNodeRed, startNodeRed, type FlowNode } from '../support/node-red';
import { root } from '../support/user-dir';
import { until } from '../support/until';

// Flows as the first release has written them. Never change what is in test/flows/v0.1.

const folder = join(root, 'test/flows');
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
const flows = globSync('v0.1/*.json', { cwd: folder })
  .sort()
  .map((path) => ({ name: basename(path, '.json'), nodes: read(path) as FlowNode[] }));
const declared = new Map(declaredNodes().map((node) => [node.declared.type, node.declared]));
const ours = flows.flatMap(({ nodes }) => nodes).filter(({ type }) => declared.has(type));

describe('flows of the first release', () => {
  test('have no version, and each kind of node is among them', () => {
    for (const node of ours) assert.ok(!('version' in node));
    assert.deepEqual([...new Set(ours.map(({ type }) => type))].sort(), [...declared.keys()].sort());
  });

  test('mean what they meant', () => {
    const meant = read('v0.1.settings.json') as Record<string, object>;
    for (const node of ours) {
      const settings = parseSettings(declared.get(node.type) ?? assert.fail(node.type), node);
      const plain: unknown = JSON.parse(JSON.stringify({ type: node.type, ...settings }));
      assert.deepEqual(plain, meant[node.id], `${node.type} ${node.id}`);
    }
  });

  test('deploy together, and no setting of theirs is wrong', async (t) => {
    process.env['NATS_URL'] = 'nats://127.0.0.1:9';
    const nodes = new Map(flows.flatMap((flow) => flow.nodes.map((node) => [node.id, node])));
    const red = await embedNodeRed({ flows: [...nodes.values()] });
    t.after(() => red.stop());
    const status = (id: string) => red.statusOf(id)?.text;
    const shown = ours.filter(({ type }) =>
      ['jetstream-in', 'sfdc-composite', 'api-sync-out'].includes(type),
    );
    await until(() => shown.every(({ id }) => status(id) !== undefined), { what: 'every status' });
    for (const { id, type } of ours) {
      assert.ok(red.getNode(id), `${type} runs`);
      assert.notEqual(status(id), 'wrong settings', type);
      assert.notEqual(status(id), 'wrong settings', type);
    }
  });

  test('run: the contacts of messages come into Salesforce, and the messages are acknowledged', async (t) => {
    const room = await openRoom();
    t.after(() => room.stop());
    await room.jsm.streams.delete('crm');
    const org = await startOrg();
    t.after(() => org.close());
    const example = flows.find(({ name }) => name === 'Upsert contacts from JetStream')?.nodes ?? [];
    const nodes = example.map((node): FlowNode => {
      if (node.type === 'jetstream-server') return { ...node, auth: 'none' };
      if (node.type !== 'sfdc-org') return node;
      const credentials = { clientId: org.clientId, clientSecret: org.clientSecret };
      return { ...node, auth: 'client-credentials', loginUrl: org.url, credentials };
    });
    const red = await startNodeRed({ flows: nodes, env: { NATS_URL: room.nats.url } });
    t.after(() => red.stop());
    const durable = () => room.jsm.consumers.info('crm', 'salesforce_composite_upsert_contact');
    await until(durable, { what: 'the durable' });
    for (const n of [1, 2, 3])
      await room.publish('crm.contacts.upsert', { ExternalId__c: `e${n}`, LastName: `Contact ${n}` });
    await until(() => org.records('Contact').length === 3, { what: 'three contacts' });
    await until(async () => (await durable()).ack_floor.stream_seq === 3, { what: 'the acknowledgements' });
  });
});

describe('settings of a newer version than this pack knows', () => {
  after(() => delete process.env['NATS_URL']);

  test('are not guessed at: each node says so, and does nothing', async (t) => {
    const newer = ours.filter(({ type }, i) => ours.findIndex((node) => node.type === type) === i);
    const tab: FlowNode = { id: 'tab', type: 'tab' };
    const red = await embedNodeRed({
      flows: [
        tab,
        ...newer.map((node) => ({ ...node, version: 99, ...(node.z ? { z: 'tab', wires: [['end']] } : {}) })),
        { id: 'end', type: 'debug', z: 'tab', x: 1, y: 1, active: false, wires: [] },
      ],
    });
    t.after(() => red.stop());
    for (const { id, type } of newer) {
      const said = red.log
        .filter((entry) => entry.level === 'error' && entry.id === id)
        .map(({ text }) => text);
      assert.ok(
        said.some((text) => /update the pack/.test(text)),
        `${type} says: ${said.join(' · ')}`,
      );
    }
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import { orgNode } from '../salesforce/event-flows';
import { embedNodeRed, type EmbeddedNodeRed } from '../support/node-red';
import { until } from '../support/until';

describe('numbers that a double does not hold, from JetStream into Salesforce and back into JetStream', () => {
  let room: Room;
  let org: Org;
  let red: EmbeddedNodeRed;
  before(async () => {
    [room, org] = await Promise.all([openRoom(), startOrg()]);
    red = await embedNodeRed({ flows: [] });
  });
  after(async () => {
    await red.stop();
    await org.close();
    await room.stop();
  });
  const send = (json: string) => room.nc.jetstream().publish('crm.contacts.upsert', json);
  const deploy = (more: object = {}) =>
    red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        orgNode(org),
        inNode({ durable: 'numbers', ...more, wires: [['write', 'copy']] }),
        {
          id: 'write',
          type: 'sfdc-composite',
          z: 'tab',
          org: 'org',
          operation: 'upsert',
          sobject: 'Contact',
          externalIdField: 'ExternalId__c',
          wires: [['written'], []],
        },
        functionNode('written', 'return null;'),
        functionNode('copy', 'msg.payload = { copy: BigInt(msg.payload.ExternalId__c) + 1n }; return msg;', {
          wires: [['out']],
        }),
        { id: 'out', type: 'jetstream-out', z: 'tab', server: 'server', subject: 'crm.copy', wires: [[]] },
      ].map(placed),
    );

  test('two external ids of 19 digits are two contacts, and a BigInt of the flow is published as a number', async () => {
    await deploy();
    await send('{"ExternalId__c":1234567890123456788,"LastName":"A"}');
    const { seq } = await send('{"ExternalId__c":1234567890123456789,"LastName":"B"}');
    await room.waitSettled(seq, '+ACK');
    const contacts = await until(() => org.records('Contact').length === 2 && org.records('Contact'));
    assert.deepEqual(contacts.map((row) => [row.ExternalId__c, row.LastName]).sort(), [
      ['1234567890123456788', 'A'],
      ['1234567890123456789', 'B'],
    ]);
    const copy = await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.copy' });
    assert.equal(copy.string(), '{"copy":1234567890123456790}');
  });

  test('or each is refused, and a dead letter as it came', async () => {
    await deploy({ bigNumbers: 'refuse' });
    const json = '{"ExternalId__c":1234567890123456787,"LastName":"C"}';
    const { seq } = await send(json);
    await room.waitSettled(seq, '+TERM');
    const dead = await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.dead' });
    assert.equal(dead.string(), json);
    assert.equal(dead.header.get('Jetforce-Code'), 'BIG_NUMBER');
    assert.match(dead.header.get('Jetforce-Error'), /number 1234567890123456787/);
  });
});

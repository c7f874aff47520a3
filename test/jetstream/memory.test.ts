import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../support/cleanup';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { until } from '../support/until';
import { inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** 1 MB, and 22 MB when it is parsed. */
const GROWING = `{"LastName":"x","Data__c":[${Array(340_000).fill('{}').join(',')}]}`;
const MESSAGES = 150;

describe('while the org is away', { skip: process.platform !== 'linux' && 'reads /proc' }, () => {
  let room: Room;
  let red: NodeRed | undefined;
  before(async () => (room = await openRoom()));
  after(async () => {
    await red?.stop();
    await room.stop();
  });

  test('messages that grow when they are parsed wait in the stream, and not in memory', async () => {
    const js = room.nc.jetstream();
    for (let n = 0; n < MESSAGES; n++) await js.publish('crm.contacts.large', GROWING);
    red = await startNodeRed({
      flows: [
        TAB,
        serverNode(room.nats.url),
        inNode({ prefetch: 1_000, wires: [['write']] }),
        {
          id: 'write',
          type: 'sfdc-composite',
          z: 'tab',
          org: 'org',
          operation: 'create',
          sobject: 'Contact',
          wires: [[], []],
        },
        {
          id: 'org',
          type: 'sfdc-org',
          auth: 'client-credentials',
          loginUrl: `http://127.0.0.1:${await freePort()}`,
          credentials: { clientId: 'id', clientSecret: 'secret' },
        },
      ].map(placed),
    });
    const { pid } = red;
    const peak = () =>
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
    const delivered = async () => (await room.jsm.consumers.info('crm', 'flow')).num_ack_pending;
    await until(async () => (await delivered()) >= 2, { timeout: 60_000 });
    let [before, same] = [0, 0];
    await until(
      async () => {
        const now = await delivered();
        same = now === before ? same + 1 : 0;
        before = now;
        return same > 10;
      },
      { timeout: 120_000, interval: 200, what: 'no more to be delivered' },
    );
    // It answers when all that has arrived is parsed.
    const node = red;
    await until(async () => (await node.api('GET', '/flows')) !== undefined, { timeout: 60_000 });
    assert.ok(before < 15, `${before} messages are unacknowledged`);
    assert.ok(peak() < 1_000, `${peak()} MiB`);
  });
});

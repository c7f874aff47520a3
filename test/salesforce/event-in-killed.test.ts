import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startOrg } from '../org/org';
import { temporaryFolder } from '../support/cleanup';
import { startNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { code, orgNode, receiveNode, tab } from './event-flows';
import { TOPIC, orders } from './pubsub/rig';

/** More by hand. */
const KILLS = Number(process.env.KILLS ?? 8);
/** More than are seen between two kills. */
const EVENTS = 200 * KILLS;

test('a subscriber killed −9 again and again sees every event at least once and in order, definitions changing', async (t) => {
  const org = await startOrg({ pubsub: true });
  t.after(() => org.close());
  const folder = temporaryFolder('seen');
  t.after(() => folder.remove());
  const file = join(folder.path, 'events');
  const write: FlowNode = {
    id: 'write',
    type: 'file',
    z: 'tab',
    filename: file,
    filenameType: 'str',
    appendNewline: true,
    createDir: false,
    overwriteFile: 'false',
    encoding: 'none',
    wires: [[]],
  };
  const red = await startNodeRed({
    flows: tab(
      orgNode(org),
      receiveNode({ replay: 'stored', wires: [['name']] }),
      code('name', 'msg.payload = msg.payload.Order_ID__c; return msg;', [['write']]),
      write,
    ),
    settings: { contextStorage: { default: { module: 'localfilesystem', config: { flushInterval: 1 } } } },
  });
  t.after(() => red.stop());
  const seen = (): string[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [];

  let next = 0;
  const publishing = setInterval(() => {
    if (next >= EVENTS) return clearInterval(publishing);
    org.bus().publish(TOPIC, ...orders(20, next));
    next += 20;
    if (next % 400 === 0) org.declare({ name: 'OrderStatus__e', fields: [{ name: `Added${next}__c` }] });
  }, 100);
  t.after(() => clearInterval(publishing));
  let restarts = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = seen().length;
    await until(() => seen().length > before + 10, {
      timeout: 30_000,
      what: `events after restart ${kill}`,
      interval: 5,
    });
    await red.kill();
    await red.restart();
    restarts++;
  }
  next = Math.min(next, EVENTS);
  await until(() => next >= EVENTS && new Set(seen()).size === EVENTS, {
    timeout: 60_000,
    what: 'all events',
  });
  assert.equal(restarts, KILLS);
  const all = seen();
  assert.deepEqual(
    [...new Set(all)],
    Array.from({ length: EVENTS }, (_, i) => `O-${i}`),
  );
  // After each kill it goes on from somewhere at or before the end, never behind it.
  const jumps = all.slice(1).filter((id, i) => Number(id.slice(2)) > Number((all[i] ?? '').slice(2)) + 1);
  assert.deepEqual(jumps, []);
  assert.ok(!red.log.some((line) => /kept in memory/.test(line)));
});

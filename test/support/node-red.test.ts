import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, startNodeRed, type EmbeddedNodeRed, type FlowNode } from './node-red';
import { until } from './until';

const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'Test' },
  {
    id: 'press',
    type: 'inject',
    z: 'tab',
    props: [{ p: 'payload' }],
    payload: 'hello',
    payloadType: 'str',
    wires: [['count']],
  },
  {
    id: 'count',
    type: 'function',
    z: 'tab',
    func: 'node.warn(msg.payload); node.status({text: "seen"}); return msg;',
    outputs: 1,
    wires: [['end']],
  },
  { id: 'end', type: 'debug', z: 'tab', active: false, wires: [] },
];

for (const version of [4, 5] as const) {
  test(`Node-RED ${version} in its own process survives kill -9 with its flows`, async (t) => {
    const red = await startNodeRed({ version, flows, env: { JETFORCE_TEST: 'yes' } });
    t.after(() => red.stop());
    const { version: running } = (await red.api('GET', '/settings')) as { version: string };
    assert.match(running, new RegExp(`^${version}\\.`));
    await red.inject('press');
    await red.waitForLog(/hello/);
    await red.kill();
    await red.restart();
    const from = red.log.length;
    await red.inject('press', { payload: 'seventh' });
    await red.waitForLog(/seventh/, { from });
    await red.deploy(
      flows.map((node) =>
        node.id === 'count' ? { ...node, func: 'node.warn(env.get("JETFORCE_TEST"))' } : node,
      ),
      'nodes',
    );
    await red.inject('press');
    await red.waitForLog(/yes/, { from });
  });
}

for (const version of [4, 5] as const) {
  describe(`Node-RED ${version} in this process`, () => {
    let red: EmbeddedNodeRed;
    before(async () => (red = await embedNodeRed({ version, flows })));
    after(() => red.stop());

    test('shows messages, statuses and the log', async () => {
      red.send('count', { payload: 'direct' });
      await until(() => red.received('end').length === 1, { what: 'the message at the end' });
      assert.equal(red.received('end')[0]?.payload, 'direct');
      assert.equal(red.statusOf('count')?.text, 'seen');
      assert.equal((await red.waitForLog(/^direct$/)).level, 'warn');
    });

    test('deploys and injects through the admin API', async () => {
      await red.deploy([...flows, { id: 'more', type: 'junction', z: 'tab', wires: [[]] }], 'nodes');
      await red.inject('press');
      await red.waitForLog(/hello/);
    });
  });
}

test('flows with a type that no one registered are an error, not a wait', async () => {
  await assert.rejects(
    startNodeRed({ flows: [...flows, { id: 'x', type: 'no-such-type', z: 'tab', wires: [] }] }),
    /no-such-type/,
  );
});

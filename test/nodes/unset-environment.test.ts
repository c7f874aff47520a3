import { after, before, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';

/** Addresses from variables that nobody has set, wherever Node-RED looks for them. */

let red: EmbeddedNodeRed;
before(async () => void (red = await embedNodeRed({ flows: [] })));
after(() => red.stop());

const server = (more: object = {}): FlowNode =>
  ({ id: 'server', type: 'jetstream-server', servers: '${NO_SUCH_NATS}', auth: 'none', ...more }) as FlowNode;
const reader = (more: object = {}): FlowNode =>
  ({
    ...{
      id: 'in',
      type: 'jetstream-in',
      x: 1,
      y: 1,
      z: 'tab',
      server: 'server',
      stream: 'crm',
      durable: 'd',
    },
    ...{ wires: [[]], ...more },
  }) as FlowNode;
const subflow = { id: 'sub', type: 'subflow', name: 'S', in: [], out: [], env: [] } as unknown as FlowNode;
const instance = {
  id: 'one',
  type: 'subflow:sub',
  z: 'tab',
  x: 1,
  y: 1,
  name: '',
  env: [],
} as unknown as FlowNode;
const tab = { id: 'tab', type: 'tab', label: 'T' } as FlowNode;

for (const [where, flows] of [
  ['a flow', [tab, server(), reader()]],
  ['a subflow', [tab, subflow, instance, server({ z: 'sub' }), reader({ z: 'sub' })]],
] as [string, FlowNode[]][])
  test(`a variable that isn’t set is named, by a jetstream-server of ${where}`, async () => {
    const from = red.log.length;
    await red.deploy(flows);
    await red.waitForLog(/environment variable NO_SUCH_NATS is not set/, { from });
  });
for (const where of ['group', 'subflow'] as const)
  test(`a variable that isn’t set is named, by a jetstream-in in a ${where} whose setting it is`, async () => {
    const from = red.log.length;
    const group = {
      id: 'g',
      type: 'group',
      z: 'tab',
      name: 'G',
      style: {},
      nodes: ['in'],
      x: 0,
      y: 0,
      w: 9,
      h: 9,
      env: [],
    };
    const own = { stream: '${NO_SUCH_STREAM}' };
    await red.deploy(
      (where === 'group'
        ? [tab, server({ servers: 'nats://127.0.0.1:1' }), group, reader({ ...own, g: 'g' })]
        : [
            tab,
            server({ servers: 'nats://127.0.0.1:1' }),
            subflow,
            instance,
            reader({ ...own, z: 'sub' }),
          ]) as FlowNode[],
    );
    await red.waitForLog(/NO_SUCH_STREAM/, { from });
  });

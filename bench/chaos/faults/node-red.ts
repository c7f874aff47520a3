import { until } from '../../../test/support/until';
import { activation } from '../activation';

const RELOADS = ['full', 'nodes', 'flows'] as const;

export const faults = [
  activation({
    name: 'node-red-killed',
    what: 'Node-RED killed -9 twenty times',
    // A message may be under way at each of the kills.
    stage: { consumer: { maxDeliver: 25 } },
    async strike({ red, flowing, busy }) {
      for (let kill = 1; kill <= 20; kill++) {
        await flowing(20);
        await busy(10);
        await red.kill();
        await red.restart();
      }
    },
  }),
  activation({
    name: 'order-after-kill',
    what: 'Node-RED killed -9 five times, each crash got over before the next: records keep their order',
    stage: { changes: 'at once', consumer: { maxDeliver: 10 } },
    async strike({ red, flowing, busy, settled }) {
      for (let kill = 1; kill <= 5; kill++) {
        await flowing(20);
        await busy(10);
        await red.kill();
        await red.restart();
        await settled();
      }
    },
  }),
  activation({
    name: 'order',
    what: 'Node-RED killed -9 three times, one message at a time: all keep their order',
    stage: { changes: 'at once', consumer: { prefetch: 1, maxAckPending: 1 }, gap: 200 },
    events: 100,
    async strike({ red, flowing }) {
      for (let kill = 1; kill <= 3; kill++) {
        await flowing(5);
        await red.kill();
        await red.restart();
      }
    },
  }),
  activation({
    name: 'instance-killed',
    what: 'two Node-REDs on one durable, one killed -9',
    async strike({ another, flowing, busy }) {
      const second = await another();
      await flowing(100);
      await busy(20);
      await second.kill();
    },
  }),
  activation({
    name: 'redeploy',
    what: 'fifty deploys: full, modified nodes, modified flows in turn',
    async strike({ red, flow, flowing }) {
      for (let round = 1; round <= 50; round++) {
        const changed = round % 2 === 0 ? { in: `round ${round}` } : { write: `round ${round}` };
        await red.deploy(flow(changed), RELOADS[round % RELOADS.length]);
        await flowing(5);
      }
    },
    afterwards: async ({ connections }) =>
      void (await until(async () => (await connections()) === 1, {
        timeout: 30_000,
        what: 'one connection to be left',
      })),
  }),
];

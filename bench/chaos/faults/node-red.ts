import assert from 'node:assert/strict';
import { until } from '../../../test/support/until';
import { activation } from '../activation';

const ALL = { path: '/services/data/' };
const AWAY = { status: 503 };

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const RELOADS = ['full', 'nodes', 'flows'] as const;

export const faults = [
  activation({
    name: 'node-red-killed',
    what: 'Node-RED killed -9 twenty times',
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
    stage: { changes: 'at once', gap: 20 },
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
    name: 'exclusive',
    what: 'four Node-REDs, one of which reads (exclusive), killed -9 in turn, twenty times: records keep their order',
    stage: { changes: 'at once', consumer: { sharing: 'exclusive' }, gap: 20 },
    async strike({ red, another, flowing, busy }) {
      const all = [red, await another(), await another(), await another()];
      for (let kill = 0; kill < 20; kill++) {
        await flowing(10);
        await busy(5);
        // Each in turn, the one that reads among them, so that it is another one after each round at least.
        const one = all[kill % all.length] ?? red;
        await one.kill();
        await one.restart();
      }
    },
  }),
  activation({
    name: 'partitioned',
    what: 'four Node-REDs that share eight partitions, killed -9 in turn, twenty times: records keep their order',
    stage: { changes: 'at once', partitions: 8, gap: 20 },
    async strike({ red, another, flowing, busy }) {
      const all = [red, await another(), await another(), await another()];
      for (let kill = 0; kill < 20; kill++) {
        await flowing(10);
        await busy(5);
        const one = all[kill % all.length] ?? red;
        await one.kill();
        await one.restart();
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
    name: 'restarts-org-away',
    what: 'the org away, Node-RED ended in order and started five times meanwhile',
    async strike({ red, org, busy }) {
      org.faults.add({ match: ALL, action: AWAY });
      for (let restart = 1; restart <= 5; restart++) {
        await busy(20);
        await red.restart();
      }
      await busy(20);
      org.faults.clear();
    },
  }),
  activation({
    name: 'updates-org-away',
    what: 'the org away, two Node-REDs on one durable, three rolling updates meanwhile',
    async strike({ red, another, org, busy }) {
      const both = [red, await another()];
      org.faults.add({ match: ALL, action: AWAY });
      for (let update = 1; update <= 3; update++) {
        for (const one of both) {
          await busy(20);
          await one.restart();
        }
      }
      await busy(20);
      org.faults.clear();
    },
  }),
  activation({
    name: 'poison',
    what: 'a message that ends the process among good ones, Node-RED started anew each time',
    stage: { gap: 20, check: 'if (event === 397) process.exit(1);' },
    async strike({ red, givenUp }) {
      const found = async (): Promise<boolean> => (await givenUp()).includes('ENDED_PROCESS');
      for (let start = 1; start <= 10 && !(await found()); start++) {
        const ended = async (): Promise<boolean> => !isRunning(red.pid) || (await found());
        await until(ended, { timeout: 120_000, what: 'the process to end' });
        if (!isRunning(red.pid)) await red.restart();
      }
    },
    afterwards: async ({ givenUp }) =>
      assert.equal((await givenUp()).filter((code) => code === 'ENDED_PROCESS').length, 1),
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

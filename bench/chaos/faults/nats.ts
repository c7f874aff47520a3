import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../../../test/support/until';
import { activation } from '../activation';
import { DURABLE, STREAM } from '../stage';

export const faults = [
  activation({
    name: 'nats-killed',
    what: 'nats-server killed -9 and restarted, three times',
    async strike({ nats, flowing }) {
      for (let kill = 1; kill <= 3; kill++) {
        await nats.kill();
        await nats.restart();
        await flowing(50);
      }
    },
  }),
  activation({
    name: 'nats-hung',
    what: 'nats-server hung for 10 s, then killed and restarted, then hung for 4 s',
    async strike({ nats, flowing }) {
      nats.suspend();
      await wait(10_000);
      nats.resume();
      await flowing(20);
      await nats.restart();
      await flowing(20);
      nats.suspend();
      await wait(4_000);
      nats.resume();
    },
  }),
  activation({
    name: 'nats-away',
    what: 'nats-server away for three times the ack wait, twice, with creates under way',
    stage: { operation: 'create' },
    async strike({ nats, flowing, busy }) {
      for (let outage = 1; outage <= 2; outage++) {
        await busy(20);
        await nats.kill();
        await wait(6_000);
        await nats.restart();
        await flowing(50);
      }
    },
  }),
  activation({
    name: 'durable-deleted',
    what: 'durable deleted: everything comes again',
    async strike({ jsm }) {
      await jsm.consumers.delete(STREAM, DURABLE);
    },
  }),
  activation({
    name: 'leader-killed',
    what: 'leader of the stream in a cluster of three killed -9',
    stage: { servers: 3 },
    async strike({ cluster, jsm, flowing, load }) {
      const { cluster: raft } = await jsm.streams.info(STREAM);
      const leader = cluster?.server(raft?.leader ?? '');
      await leader?.kill();
      await load.more(50);
      await flowing(50);
      await leader?.restart();
    },
  }),
  activation({
    name: 'lame-duck',
    what: "Node-RED's server of three goes into lame-duck mode",
    stage: { servers: 3, natsConfig: 'lame_duck_grace_period: "100ms"' },
    async strike({ nats, red }) {
      process.kill(nats.pid, 'SIGUSR2');
      await red.waitForLog(/connection to .* is lost/, { timeout: 60_000 });
    },
  }),
  activation({
    name: 'slow-reading',
    what: 'the server cuts Node-RED off for slow reading',
    stage: {
      natsConfig: 'max_pending: 1100000\nwrite_deadline: "300ms"',
      consumer: { prefetch: 1_000, maxAckPending: 1_000 },
      filler: 30_000,
    },
    async strike({ nats, red, load }) {
      const cutOff = (): boolean => nats.log.some((line) => /Slow Consumer/i.test(line));
      process.kill(red.pid, 'SIGSTOP');
      const { gap } = load;
      try {
        load.gap = 0;
        await until(cutOff, { timeout: 60_000, what: 'the server to cut Node-RED off' });
      } finally {
        load.gap = gap;
        process.kill(red.pid, 'SIGCONT');
      }
    },
  }),
];

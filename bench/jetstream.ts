import { performance } from 'node:perf_hooks';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';
import { median, round, type Row } from './row';

const MESSAGES = 100_000;
const PREFETCH = 1_000;
const ROUNDS = 5;

/** Consuming JSON events of about 300 bytes: a flow in Node-RED with ack: flow, and the bare client, in turn. */
export async function rows(): Promise<Row[]> {
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
  await fill(nc);
  const red = await startNodeRed({ flows: flow(nats.url, 'warm-up') });
  await consumed(jsm, 'warm-up');
  const inFlow: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    inFlow.push(await byFlow(red, nats.url, jsm, `flow${round}`));
    bare.push(await byClient(nc, jsm, `bare${round}`));
  }
  await red.stop();
  await nc.close();
  await nats.stop();
  const [value, reference] = [median(inFlow), median(bare)];
  return [
    {
      name: 'consume through a flow with ack: flow ÷ bare client',
      value: Math.round(value),
      unit: 'messages/s',
      reference: Math.round(reference),
      ratio: round(median(inFlow.map((rate, index) => rate / (bare[index] ?? NaN)))),
    },
  ];
}

async function fill(nc: NatsConnection): Promise<void> {
  const js = nc.jetstream();
  for (let n = 0; n < MESSAGES; n += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, index) =>
      js.publish(
        'crm.contacts.upsert',
        JSON.stringify({
          ExternalId__c: `e${n + index}`,
          LastName: `Name ${n + index}`,
          Description: 'x'.repeat(230),
        }),
      ),
    );
    await Promise.all(batch);
  }
}

function flow(url: string, durable: string): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    { id: 'server', type: 'jetstream-server', servers: url, auth: 'none' },
    {
      id: 'in',
      type: 'jetstream-in',
      z: 'tab',
      server: 'server',
      stream: 'crm',
      subject: 'crm.>',
      durable,
      ack: 'flow',
      prefetch: PREFETCH,
      maxAckPending: 10_000,
      format: 'json',
      batchSize: 1,
      wires: [['work']],
    },
    { id: 'work', type: 'change', z: 'tab', name: '', rules: [], reg: false, wires: [[]] },
  ];
}

async function byFlow(red: NodeRed, url: string, jsm: JetStreamManager, durable: string): Promise<number> {
  await red.deploy(flow(url, durable));
  return consumed(jsm, durable);
}

async function byClient(nc: NatsConnection, jsm: JetStreamManager, durable: string): Promise<number> {
  await jsm.consumers.add('crm', {
    durable_name: durable,
    ack_policy: 'explicit' as never,
    max_ack_pending: 10_000,
  });
  const client = await connect({ servers: nc.getServer() });
  const consumer = await client.jetstream().consumers.get('crm', durable);
  const messages = await consumer.consume({ max_messages: PREFETCH, bind: true });
  const reading = (async () => {
    for await (const msg of messages) {
      msg.json();
      msg.ack();
    }
  })();
  const rate = await consumed(jsm, durable);
  messages.stop();
  await client.close();
  await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 100))]);
  return rate;
}

/** Messages a second from the first acknowledgement that is seen to the last. */
async function consumed(jsm: JetStreamManager, durable: string): Promise<number> {
  const acknowledged = async (): Promise<number> =>
    (await jsm.consumers.info('crm', durable)).ack_floor.stream_seq;
  const first = await until(acknowledged, { interval: 5, what: 'the first acknowledgement' });
  const from = performance.now();
  await until(async () => (await acknowledged()) === MESSAGES, {
    timeout: 120_000,
    interval: 10,
    what: 'the last acknowledgement',
  });
  return ((MESSAGES - first) / (performance.now() - from)) * 1_000;
}

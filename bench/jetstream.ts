import { performance } from 'node:perf_hooks';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { median, round, type Row } from './row';

const MESSAGES = 100_000;
const PREFETCH = 1_000;
const ROUNDS = 5;

/** What settles the messages of a flow, and how many nodes read at once. */
interface Kind {
  name: string;
  ack: 'flow' | 'manual';
  nodes: number;
}

const KINDS: Kind[] = [
  { name: 'consume through a flow with ack: flow ÷ bare client', ack: 'flow', nodes: 1 },
  { name: 'consume and jetstream-ack with ack: manual ÷ bare client', ack: 'manual', nodes: 1 },
  { name: 'four jetstream-in with ack: flow, all together ÷ four bare consumers', ack: 'flow', nodes: 4 },
];

/** Consuming JSON events of about 300 bytes: a flow in Node-RED and the bare client, in turn. */
export async function rows(): Promise<Row[]> {
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
  await fill(nc);
  const red = await startNodeRed({ flows: flow(nats.url, ['warm-up'], 'flow') });
  await consumed(jsm, ['warm-up']);
  const rows: Row[] = [];
  for (const { name, ack, nodes } of KINDS) {
    const [inFlow, bare]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < (nodes > 1 ? 3 : ROUNDS); turn++) {
      const durables = (who: string): string[] =>
        Array.from({ length: nodes }, (_, i) => `${who}-${ack}-${nodes}-${turn}-${i}`);
      await red.deploy(flow(nats.url, durables('flow'), ack));
      inFlow.push(await consumed(jsm, durables('flow')));
      await red.deploy([{ id: 'tab', type: 'tab', label: 'bench' }]);
      bare.push(await byClient(nc, jsm, durables('bare')));
    }
    rows.push({
      name,
      value: Math.round(median(inFlow)),
      unit: 'messages/s',
      reference: Math.round(median(bare)),
      ratio: round(median(inFlow.map((rate, index) => rate / (bare[index] ?? NaN)))),
    });
  }
  await red.stop();
  await nc.close();
  await nats.stop();
  return rows;
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

function flow(url: string, durables: string[], ack: Kind['ack']): FlowNode[] {
  const settings = {
    ...{ type: 'jetstream-in', z: 'tab', server: 'server', stream: 'crm', subject: 'crm.>', ack },
    ...{ prefetch: PREFETCH, maxAckPending: 10_000, format: 'json', batchSize: 1, wires: [['work']] },
  };
  const work: FlowNode =
    ack === 'manual'
      ? { id: 'work', type: 'jetstream-ack', z: 'tab', action: 'ack', wires: [[]] }
      : { id: 'work', type: 'change', z: 'tab', name: '', rules: [], reg: false, wires: [[]] };
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    { id: 'server', type: 'jetstream-server', servers: url, auth: 'none' },
    ...durables.map((durable) => ({ ...settings, id: `in-${durable}`, durable })),
    { ...work, x: 1, y: 1 },
  ];
}

async function byClient(nc: NatsConnection, jsm: JetStreamManager, durables: string[]): Promise<number> {
  const client = await connect({ servers: nc.getServer() });
  const reading = durables.map(async (durable) => {
    await jsm.consumers.add('crm', {
      durable_name: durable,
      ack_policy: 'explicit' as never,
      max_ack_pending: 10_000,
    });
    const consumer = await client.jetstream().consumers.get('crm', durable);
    const messages = await consumer.consume({ max_messages: PREFETCH, bind: true });
    void (async () => {
      for await (const msg of messages) {
        msg.json();
        msg.ack();
      }
    })();
    return messages;
  });
  const rate = await consumed(jsm, durables);
  for (const messages of await Promise.all(reading)) messages.stop();
  await client.close();
  return rate;
}

/** Messages a second, of all together, from the first acknowledgements that are seen to the last. */
async function consumed(jsm: JetStreamManager, durables: string[]): Promise<number> {
  const acknowledged = async (): Promise<number> => {
    const infos = await Promise.all(durables.map((durable) => jsm.consumers.info('crm', durable)));
    return infos.reduce((sum, info) => sum + info.ack_floor.stream_seq, 0);
  };
  const first = await until(acknowledged, { interval: 5, what: 'the first acknowledgement' });
  const from = performance.now();
  const all = MESSAGES * durables.length;
  await until(async () => (await acknowledged()) === all, {
    timeout: 120_000,
    interval: 10,
    what: 'the last acknowledgement',
  });
  return ((all - first) / (performance.now() - from)) * 1_000;
}

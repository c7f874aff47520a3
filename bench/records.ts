import { performance } from 'node:perf_hooks';
import { connect, type NatsConnection } from 'nats';
import { startNats } from '../test/support/nats';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { median, round, type Row } from './row';

const RECORDS = 20_000;
const IN_FLIGHT = 1_000;
const ROUNDS = 3;

/** Records that a flow hands to api-sync-out, one a message, and the client's own publish of the same, in turn. */
export async function rows(): Promise<Row[]> {
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const red = await embedNodeRed({ flows: flow(nats.url) });
  const [ours, bare]: [number[], number[]] = [[], []];
  try {
    for (let turn = -1; turn < ROUNDS; turn++) {
      const rates = [await byFlow(red, nc, turn), await byClient(nc)] as const;
      // Both warm, as they are after a minute of work.
      if (turn < 0) continue;
      ours.push(rates[0]);
      bare.push(rates[1]);
    }
  } finally {
    await red.stop();
    await nc.close();
    await nats.stop();
  }
  return [
    {
      name: `api-sync-out with provider flow ÷ bare js.publish, ${IN_FLIGHT} in flight`,
      value: Math.round(median(ours)),
      unit: 'records/s',
      reference: Math.round(median(bare)),
      ratio: round(median(ours.map((rate, index) => rate / (bare[index] ?? NaN)))),
    },
  ];
}

/** Until the flow has finished each of them: their publishes are confirmed by then. */
async function byFlow(red: EmbeddedNodeRed, nc: NatsConnection, turn: number): Promise<number> {
  let count = 0;
  const began = performance.now();
  red.send('records', { turn });
  await until(() => (count += red.received('end').splice(0).length) >= RECORDS, {
    ...{ timeout: 120_000, interval: 1, what: 'all records' },
  });
  const rate = (RECORDS * 1_000) / (performance.now() - began);
  const jsm = await nc.jetstreamManager();
  const { state } = await jsm.streams.info('SEQUIN-RECORDS');
  if (state.messages !== (turn + 2) * RECORDS) throw new Error(`${state.messages} records in the stream`);
  return rate;
}

async function byClient(nc: NatsConnection): Promise<number> {
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'BARE', subjects: ['bare.>'], max_msgs_per_subject: 1 });
  const js = nc.jetstream();
  const began = performance.now();
  const publish = async (first: number): Promise<void> => {
    for (let i = first; i < RECORDS; i += IN_FLIGHT)
      await js.publish(`bare.default.sync.flow.bench:thing.${i}`, JSON.stringify(record(i)));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, first) => publish(first)));
  const rate = (RECORDS * 1_000) / (performance.now() - began);
  await jsm.streams.delete('BARE');
  return rate;
}

const record = (i: number): object => ({
  collection_id: 'bench:thing',
  sync_id: 'sync',
  data: { upstream_id: `${i}`, FirstName: 'Ada', LastName: `Person ${i}`, Email: `p${i}@example.com` },
  upstream_updated_at: '2026-01-31T12:00:00Z',
});

function flow(servers: string): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    { id: 'tab', type: 'tab', label: 'Bench' },
    { id: 'server', type: 'jetstream-server', servers, auth: 'none' },
    { id: 'source', type: 'api-source', provider: 'flow', collections: [], syncId: 'bench' },
    {
      ...{ id: 'records', type: 'function', ...place, wires: [['sync']] },
      func: `for (let i = 0; i < ${RECORDS}; i++) node.send({ payload: { collection_id: 'bench:thing',
        upstream_id: msg.turn + '-' + i, data: { FirstName: 'Ada', LastName: 'Person ' + i, Email: 'p' + i + '@example.com' },
        upstream_updated_at: '2026-01-31T12:00:00Z' } }, false);`,
    },
    { id: 'sync', type: 'api-sync-out', ...place, server: 'server', source: 'source', wires: [[]] },
    { id: 'done', type: 'complete', ...place, scope: ['sync'], wires: [['end']] },
    { id: 'end', type: 'change', ...place, rules: [], wires: [[]] },
  ];
}

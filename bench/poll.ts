import { connect, type NatsConnection } from 'nats';
import type { Connection } from 'jsforce';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';
import { orgNodes } from './org';
import { median, round, type Row } from './row';
import { loggedIn, startRestOrg, type RestOrg } from './salesforce';

const CHANGES = 20_000;
const PAGE = 2_000;
const IN_FLIGHT = 1_000;
const ROUNDS = 3;
/** A poll looks back by the lookback and 10 s: changes of the round before are none of the next one. */
const LOOKBACK = 1_000;
const PASSED = LOOKBACK + 12_000;

/** Changed records by polling into JetStream: api-source, and jsforce's queries with the client's publish, in turn. */
export async function rows(): Promise<Row[]> {
  const org = await startRestOrg(0, 0);
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const jsforce = await loggedIn(org);
  await change(org, (i) => ({ LastName: 'Bench', ExternalId__c: `poll-${i}` }));
  const red = await startNodeRed({ flows: flow(nats.url, org) });
  const [ours, theirs, calls]: [number[], number[], number[]] = [[], [], []];
  try {
    await until(async () => (await stored(nc)) === CHANGES, { timeout: 120_000, what: 'the history' });
    const ids = ((await (await fetch(`${org.login}/_org/records/Contact`)).json()) as { Id: string }[]).map(
      ({ Id }) => Id,
    );
    for (let turn = -1; turn < ROUNDS; turn++) {
      await new Promise((resolve) => setTimeout(resolve, PASSED));
      await red.inject('press', { topic: 'stop' });
      const since = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
      await change(org, (i) => ({ Id: ids[i], LastName: `Turn ${turn}` }));
      const polled = await byFlow(red, org, nc, (turn + 3) * CHANGES);
      const rate = await byClient(jsforce, nc, since);
      // Both warm, as they are after a minute of work.
      if (turn < 0) continue;
      ours.push(polled.rate);
      calls.push(polled.calls);
      theirs.push(rate);
    }
  } finally {
    await red.stop();
    await nc.close();
    await nats.stop();
    await org.stop();
  }
  const pages = CHANGES / PAGE;
  return [
    {
      name: `api-source with mode: poll, ${CHANGES} changes ÷ jsforce's queries and js.publish, ${IN_FLIGHT} in flight (org: no latency)`,
      value: Math.round(median(ours)),
      unit: 'records/s',
      reference: Math.round(median(theirs)),
      ratio: round(median(ours.map((rate, i) => rate / (theirs[i] ?? NaN)))),
    },
    {
      name: 'API calls for that ÷ full pages',
      value: Math.max(...calls),
      unit: 'calls',
      reference: pages,
      ratio: round(Math.max(...calls) / pages),
    },
  ];
}

/** As users of the org, a thousand at a time. */
async function change(org: RestOrg, record: (i: number) => object): Promise<void> {
  for (let from = 0; from < CHANGES; from += 1_000) {
    const body = JSON.stringify(Array.from({ length: 1_000 }, (_, i) => record(from + i)));
    const answer = await fetch(`${org.login}/_org/records/Contact`, { method: 'POST', body });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

async function stored(nc: NatsConnection): Promise<number> {
  const jsm = await nc.jetstreamManager();
  return (await jsm.streams.info('SEQUIN-RECORDS').catch(() => undefined))?.state.last_seq ?? 0;
}

/** From the first question for changes to the last message in the stream. */
async function byFlow(red: NodeRed, org: RestOrg, nc: NatsConnection, last: number) {
  await org.clearRequests();
  await red.inject('press', { topic: 'start' });
  await until(async () => (await stored(nc)) === last, {
    timeout: 120_000,
    interval: 5,
    what: 'all changes',
  });
  const jsm = await nc.jetstreamManager();
  const { time } = await jsm.streams.getMessage('SEQUIN-RECORDS', { seq: last });
  const asked = (await org.requests()).filter(
    ({ path, at }) => /\/(queryAll|query|deleted)\b/.test(path) && at <= time.getTime(),
  );
  const seconds = (time.getTime() - Math.min(...asked.map(({ at }) => at))) / 1_000;
  return { rate: CHANGES / seconds, calls: asked.length };
}

/** Page by page, each published before the next one is asked for. */
async function byClient(jsforce: Connection, nc: NatsConnection, since: string): Promise<number> {
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'BARE', subjects: ['bare.>'], max_msgs_per_subject: 1 });
  const js = nc.jetstream();
  const fields = (await jsforce.describe('Contact')).fields.map(({ name }) => name).join(',');
  let [found, behind] = [0, `SystemModstamp>=${since}`];
  const began = performance.now();
  while (found < CHANGES) {
    const { records } = await jsforce.query(
      `SELECT ${fields} FROM Contact WHERE ${behind} ORDER BY SystemModstamp,Id LIMIT ${PAGE}`,
      { scanAll: true },
    );
    const publish = async (first: number): Promise<void> => {
      for (let i = first; i < records.length; i += IN_FLIGHT) {
        const data = records[i] as Record<string, unknown>;
        const body = { collection_id: 'salesforce:contact', sync_id: 'bench', data };
        await js.publish(`bare.default.bench.salesforce.contact.${String(data.Id)}`, JSON.stringify(body));
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, (_, first) => publish(first)));
    const end = records.at(-1);
    if (!end) throw new Error(`${found} changes found`);
    found += records.length;
    const at = new Date(String(end.SystemModstamp)).toISOString();
    behind = `SystemModstamp>=${at} AND (SystemModstamp>${at} OR Id>'${String(end.Id)}')`;
  }
  const rate = (found * 1_000) / (performance.now() - began);
  await jsm.streams.delete('BARE');
  return rate;
}

function flow(servers: string, org: RestOrg): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    ...orgNodes(org),
    { id: 'server', type: 'jetstream-server', servers, auth: 'none' },
    {
      ...{ id: 'source', type: 'api-source', provider: 'salesforce', org: 'org', syncId: 'bench' },
      ...{ collections: ['salesforce:contact'], mode: 'poll' },
      ...{ pollInterval: '1s', lookback: `${LOOKBACK}ms` },
    },
    { id: 'press', type: 'inject', ...place, props: [{ p: 'topic', vt: 'str' }], wires: [['sync']] },
    { id: 'sync', type: 'api-sync-out', ...place, server: 'server', source: 'source', wires: [[]] },
  ];
}

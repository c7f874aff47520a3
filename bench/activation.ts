import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { connect } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { loggedIn, startRestOrg, upsertFlow, type RestOrg } from './salesforce';
import { round, type Row } from './row';

const WAITING = 20_000;
const BACKLOG = 100_000;
/** What an org takes for each row of a job, as it works on several batches at once: 3,333 rows a second. */
const JOB_ROW_MS = 0.3;

/** Of the mission's own flow, all settings as they are by default but those that are named. */
export async function rows(): Promise<Row[]> {
  const org = await startRestOrg();
  try {
    return [
      ...(await gathered(org, { bulkFrom: 0 }, '')),
      ...(await gathered(org, { bulkFrom: 0, maxRequests: 10 }, ' but 10 requests at once')),
      ...(await backlog(org)),
    ];
  } finally {
    await org.stop();
  }
}

async function gathered(org: RestOrg, batch: object, but: string): Promise<Row[]> {
  const { seconds, calls } = await waiting(org, WAITING, batch);
  const what = `${WAITING} events waiting in JetStream → upserts without Bulk jobs, by default settings${but}`;
  return [
    { name: what, value: Math.round(WAITING / seconds), unit: 'records/s' },
    { name: `API calls for that`, value: calls, unit: 'calls' },
  ];
}

/** By Bulk jobs, as ours are and as jsforce's are. */
async function backlog(org: RestOrg): Promise<Row[]> {
  await org.switch({ bulkRowMs: JOB_ROW_MS });
  const { seconds, calls, peak } = await waiting(org, BACKLOG);
  const theirs = await byJsforce(org);
  const what = `${BACKLOG} events waiting in JetStream → upserts, by default settings`;
  const [value, reference] = [BACKLOG / seconds, BACKLOG / theirs.seconds];
  return [
    {
      name: `${what} ÷ jsforce's Bulk 2.0 ingest of them as one array (org: ${JOB_ROW_MS} ms a row of a job)`,
      value: Math.round(value),
      unit: 'records/s',
      reference: Math.round(reference),
      ratio: round(value / reference),
    },
    { name: `API calls for that`, value: calls, unit: 'calls', reference: theirs.calls },
    { name: `peak memory of Node-RED for that`, value: peak, unit: 'MB' },
  ];
}

interface Measured {
  seconds: number;
  calls: number;
  peak: number;
}

/** Of so many events that wait in JetStream each becomes a record: from the first call to the last acknowledgement. */
async function waiting(
  org: RestOrg,
  count: number,
  batch: object = {},
  more: object = {},
): Promise<Measured> {
  const nats = await startNats();
  const client = await connect({ servers: nats.url });
  const jsm = await client.jetstreamManager();
  const js = client.jetstream();
  await jsm.streams.add({ name: 'bench', subjects: ['bench.>'] });
  const event = (n: number): string =>
    JSON.stringify({ LastName: 'Bench', ExternalId__c: `waiting-${JSON.stringify(batch)}-${n}` });
  for (let n = 0; n < count; n += 1_000)
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => js.publish('bench.contact', event(n + i))));
  await org.clearRequests();

  const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
  const place = { id: 'source', type: 'jetstream-in', server: 'server' };
  const source = { ...place, stream: 'bench', durable: 'bench', ...more };
  const nodes = upsertFlow(org, source, { id: 'end', type: 'debug', active: false });
  Object.assign(nodes.find(({ id }) => id === 'write') ?? {}, { batch });
  const red = await startNodeRed({ flows: [server, ...nodes] });
  try {
    const settled = async (): Promise<boolean> =>
      (await jsm.consumers.info('bench', 'bench')).ack_floor.stream_seq === count;
    await until(settled, { timeout: 300_000, interval: 20, what: 'all events to be settled' });
    const settledAt = Date.now();
    const calls = (await org.requests()).filter(({ path }) => /\/(composite|jobs)/.test(path));
    const seconds = (settledAt - Math.min(...calls.map(({ at }) => at))) / 1_000;
    return { seconds, calls: calls.length, peak: peakOf(red.pid) };
  } finally {
    await red.stop();
    await client.close();
    await nats.stop();
  }
}

function peakOf(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1_000);
}

async function byJsforce(org: RestOrg): Promise<Omit<Measured, 'peak'>> {
  const connection = await loggedIn(org);
  Object.assign(connection.bulk2, { pollInterval: 1_000, pollTimeout: 300_000 });
  await org.clearRequests();
  const input = Array.from({ length: BACKLOG }, (_, n) => ({
    LastName: 'Bench',
    ExternalId__c: `jsforce-bulk-${n}`,
  }));
  const begun = performance.now();
  const { failedResults } = await connection.bulk2.loadAndWaitForResults({
    object: 'Contact',
    operation: 'upsert',
    externalIdFieldName: 'ExternalId__c',
    input,
  });
  if (failedResults.length > 0) throw new Error('jsforce has failed');
  const seconds = (performance.now() - begun) / 1_000;
  return { seconds, calls: (await org.requests()).filter(({ path }) => path.includes('/jobs')).length };
}

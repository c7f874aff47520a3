import { readFileSync } from 'node:fs';
import { connect } from 'nats';
import { startApi } from '../test/apis/api';
import type { ApiName } from '../test/apis/catalog';
import { startNats } from '../test/support/nats';
import { until } from '../test/support/until';
import { Instance } from '../test/sync/apis/process';
import { round, type Row } from './row';

const RECORDS = 100_000;
const FEW = 10_000;
const CHANGES = 100;

interface Measured {
  provider: ApiName;
  collection: string;
  /** Of the history. */
  records: number;
  /** Records that a page of history holds at most. */
  page: number;
  /** The least calls in which so many changes can be read. */
  least: number;
  change: (row: Readonly<Record<string, unknown>>) => Record<string, unknown>;
}

const MEASURED: readonly Measured[] = [
  {
    provider: 'hubspot',
    collection: 'contacts',
    records: RECORDS,
    page: 100,
    // One search, one batch.
    least: 2,
    change: ({ id }) => ({ id, properties: { lastname: 'changed' } }),
  },
  {
    provider: 'stripe',
    collection: 'customers',
    records: RECORDS,
    page: 100,
    // Events, and each object.
    least: 1 + CHANGES,
    change: ({ id }) => ({ id, email: 'changed@ex.test' }),
  },
  {
    provider: 'zendesk',
    collection: 'tickets',
    records: RECORDS,
    page: 1_000,
    least: 1,
    change: ({ id }) => ({ id, subject: 'changed' }),
  },
  {
    provider: 'jira',
    collection: 'issues',
    records: RECORDS,
    page: 100,
    least: 1,
    change: ({ id }) => ({ id, summary: 'changed' }),
  },
  {
    provider: 'github',
    collection: 'acme/api:pull_requests',
    // Each of them is 14 kB, because it has its repository in it twice.
    records: 20_000,
    page: 100,
    least: 1,
    change: ({ id }) => ({ id, title: 'changed' }),
  },
];

export async function rows(): Promise<Row[]> {
  const all: Row[] = [];
  for (const measured of MEASURED) all.push(...(await rowsOf(measured)));
  return all;
}

async function rowsOf(measured: Measured): Promise<Row[]> {
  const { provider, collection, records, page, least } = measured;
  const few = await measure(measured, FEW);
  const all = await measure(measured, records);
  const name = `${provider}:${collection}`;
  return [
    { name: `${name}: history of ${records / 1_000}k`, value: all.rate, unit: 'records/s' },
    against(`${name}: calls of it ÷ full pages`, all.calls, records / page, 'calls'),
    against(`${name}: peak memory of it ÷ of ${FEW / 1_000}k`, all.memory, few.memory, 'MB'),
    { name: `${name}: ${CHANGES} changes`, value: all.changeRate, unit: 'records/s' },
    against(`${name}: calls of them ÷ the least`, all.changeCalls, least, 'calls'),
  ];
}

/** Of an API without limits of its own: what its history and its changes cost. */
async function measure({ provider, collection, change }: Measured, records: number) {
  const api = await startApi(provider, {
    seed: { [collection]: records },
    switches: provider === 'zendesk' ? { recentMs: 0 } : provider === 'hubspot' ? { indexLagMs: 0 } : {},
  });
  api.limits(Object.fromEntries(Object.keys(api.limits()).map((limit) => [limit, { max: 10_000_000 }])));
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const jsm = await nc.jetstreamManager();
  const reached = (count: number): Promise<unknown> =>
    until(
      async () =>
        ((await jsm.streams.info('SEQUIN-RECORDS').catch(() => undefined))?.state.last_seq ?? 0) >= count,
      { timeout: 180_000, what: `${count} messages` },
    );
  const rows = api.records(collection).slice(-CHANGES);
  api.clearRequests();
  const began = performance.now();
  const instance = new Instance({
    nats: nats.url,
    provider,
    collection: `${provider}:${collection}`,
    baseUrl: api.baseUrl,
    user: api.user?.replace(/\/token$/, ''),
    token: api.token,
    lease: 15_000,
  });
  try {
    await reached(records);
    const rate = round((records * 1_000) / (performance.now() - began), 0);
    const calls = api.requests().length;
    // It is looking for changes by then.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    api.clearRequests();
    const changing = performance.now();
    api.write(collection, rows.map(change));
    await reached(records + CHANGES);
    const changeRate = round((CHANGES * 1_000) / (performance.now() - changing), 0);
    // A poll that finds nothing is one call; here it is made ten times a second.
    const changeCalls = api.requests().filter((call) => (call.records ?? 0) > 0).length;
    return { rate, calls, memory: peak(instance), changeRate, changeCalls };
  } finally {
    await instance.kill();
    await nc.close();
    await nats.stop();
    await api.close();
  }
}

function against(name: string, value: number, reference: number, unit: string): Row {
  return { name, value, unit, reference, ratio: round(value / reference) };
}

/** The most memory the process has ever held, in MB. */
function peak({ pid }: Instance): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

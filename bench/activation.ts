import { connect } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { startOrgProcess, upsertFlow, type OrgProcess } from './salesforce';
import type { Row } from './row';

const WAITING = 20_000;

/** Of the mission's own flow, all settings as they are by default. */
export async function rows(): Promise<Row[]> {
  const org = await startOrgProcess();
  try {
    return [...(await waiting(org)), ...(await waiting(org, 10))];
  } finally {
    await org.stop();
  }
}

/** Of so many events that wait in JetStream each becomes a record: from the first call to the last acknowledgement. */
async function waiting(org: OrgProcess, maxRequests?: number): Promise<Row[]> {
  const nats = await startNats();
  const client = await connect({ servers: nats.url });
  const jsm = await client.jetstreamManager();
  const js = client.jetstream();
  await jsm.streams.add({ name: 'bench', subjects: ['bench.>'] });
  const event = (n: number): string =>
    JSON.stringify({ LastName: 'Bench', ExternalId__c: `waiting-${maxRequests}-${n}` });
  for (let n = 0; n < WAITING; n += 1_000)
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => js.publish('bench.contact', event(n + i))));
  await org.clearRequests();

  const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
  const source = { id: 'source', type: 'jetstream-in', server: 'server', stream: 'bench', durable: 'bench' };
  const nodes = upsertFlow(org, source, { id: 'end', type: 'debug', active: false });
  if (maxRequests) Object.assign(nodes.find(({ id }) => id === 'write') ?? {}, { batch: { maxRequests } });
  const red = await startNodeRed({ flows: [server, ...nodes] });
  try {
    const settled = async (): Promise<boolean> =>
      (await jsm.consumers.info('bench', 'bench')).ack_floor.stream_seq === WAITING;
    await until(settled, { timeout: 180_000, interval: 20, what: 'all events to be settled' });
    const settledAt = Date.now();
    const calls = (await org.requests()).filter(({ path }) => path.includes('/composite'));
    const seconds = (settledAt - Math.min(...calls.map(({ at }) => at))) / 1_000;
    const what = `${WAITING} events waiting in JetStream → upserts, by default settings${maxRequests ? ` but ${maxRequests} requests at once` : ''}`;
    return [
      { name: what, value: Math.round(WAITING / seconds), unit: 'records/s' },
      { name: `API calls for that`, value: calls.length, unit: 'calls' },
    ];
  } finally {
    await red.stop();
    await client.close();
    await nats.stop();
  }
}

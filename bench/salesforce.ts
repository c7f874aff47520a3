import { performance } from 'node:perf_hooks';
import { Connection } from 'jsforce';
import { connect } from 'nats';
import { startNats } from '../test/support/nats';
import { embedNodeRed, startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';
import type { LedgerEntry } from '../test/support/simulated/ledger';
import { orgNodes, startOrgProcess, type OrgProcess } from './org';
import { median, round, type Row } from './row';

/** About what a real org does: 200 rows in half a second. */
const LATENCY = 100;
const RECORD_LATENCY = 2;
/** Every unit of the work is one message with one record and an external id of its own. */
const UPSERTS = 10_000;
const REFERENCE_ARRAYS = 10;
const ROUNDS = 3;

export async function rows(): Promise<Row[]> {
  const org = await startRestOrg();
  try {
    return [...(await throughput(org)), await idleLatency(org)];
  } finally {
    await org.stop();
  }
}

async function throughput(org: RestOrg): Promise<Row[]> {
  const red = await startNodeRed({ flows: upsertFlow(org, burst, counter) });
  const jsforce = await loggedIn(org);
  const [ours, theirs, calls]: [number[], number[], number[]] = [[], [], []];
  try {
    for (let turn = 0; turn < ROUNDS; turn++) {
      await org.clearRequests();
      ours.push(UPSERTS / (await upsertByFlow(red, turn)));
      calls.push((await org.requests()).filter(({ path }) => path.includes('/composite')).length);
      theirs.push((REFERENCE_ARRAYS * 200) / (await upsertByJsforce(jsforce, turn)));
    }
  } finally {
    await red.stop();
  }
  const [value, reference] = [median(ours), median(theirs)];
  return [
    { name: `API calls for ${UPSERTS} single-record upserts`, value: Math.max(...calls), unit: 'calls' },
    {
      name: `${UPSERTS} single-record upserts ÷ jsforce upserts of arrays of 200 (org: ${LATENCY} ms a call, ${RECORD_LATENCY} ms a record)`,
      value: round(value, 0),
      unit: 'records/s',
      reference: round(reference, 0),
      ratio: round(value / reference),
    },
  ];
}

/** Each record a message of its own. */
const burst: FlowNode = {
  id: 'source',
  type: 'function',
  func: `
    flow.set('begun', Date.now());
    flow.set('left', ${UPSERTS});
    for (let i = 0; i < ${UPSERTS}; i++) node.send({ payload: { LastName: 'Bench', ExternalId__c: msg.payload + i } });
  `,
};

const counter: FlowNode = {
  id: 'end',
  type: 'function',
  func: `
    if (!msg.payload.every((row) => row.success)) node.warn('failed: ' + JSON.stringify(msg.payload));
    const left = flow.get('left') - 1;
    flow.set('left', left);
    if (left === 0) node.warn('upserts took ' + (Date.now() - flow.get('begun')) + ' ms');
  `,
};

/** Seconds. */
async function upsertByFlow(red: NodeRed, turn: number): Promise<number> {
  const from = red.log.length;
  await red.inject('press', { payload: `flow-${turn}-` });
  const line = await red.waitForLog(/failed:|upserts took/, { timeout: 120_000, from });
  const ms = /took (\d+) ms/.exec(line)?.[1];
  if (ms === undefined) throw new Error(line);
  return Number(ms) / 1_000;
}

/** Seconds. */
async function upsertByJsforce(connection: Connection, turn: number): Promise<number> {
  const begun = performance.now();
  for (let array = 0; array < REFERENCE_ARRAYS; array++) {
    const records = Array.from({ length: 200 }, (_, i) => ({
      LastName: 'Bench',
      ExternalId__c: `jsforce-${turn}-${array}-${i}`,
    }));
    await connection.sobject('Contact').upsert(records, 'ExternalId__c');
  }
  return (performance.now() - begun) / 1_000;
}

/** From an event published to JetStream until its record is in the org, on idle nodes, less what the org itself takes. */
async function idleLatency(org: RestOrg): Promise<Row> {
  const nats = await startNats();
  const client = await connect({ servers: nats.url });
  await (await client.jetstreamManager()).streams.add({ name: 'bench', subjects: ['bench.>'] });
  const source = {
    id: 'source',
    type: 'jetstream-in',
    server: 'server',
    stream: 'bench',
    subject: 'bench.>',
    durable: 'bench',
    ack: 'flow',
    deliver: 'all',
  };
  const server: FlowNode = { id: 'server', type: 'jetstream-server', servers: nats.url, auth: 'none' };
  const red = await embedNodeRed({
    flows: [server, ...upsertFlow(org, source, { id: 'end', type: 'debug', active: false })],
  });
  const js = client.jetstream();
  const added: number[] = [];
  try {
    for (let i = 0; i < 40; i++) {
      const before = red.received('end').length;
      const arrived = new Promise<number>((resolve) => {
        red.RED.hooks.add('onReceive.benchArrival', ({ destination }: { destination: { id: string } }) => {
          if (destination.id === 'end') resolve(performance.now());
        });
      });
      await org.clearRequests();
      const sent = performance.now();
      await js.publish('bench.contact', JSON.stringify({ LastName: 'Idle', ExternalId__c: `idle-${i}` }));
      const took = (await arrived) - sent;
      red.RED.hooks.remove('onReceive.benchArrival');
      await until(() => red.received('end').length > before, { what: 'the result' });
      const call = (await org.requests()).find(({ path }) => path.includes('/composite'));
      if (call?.endedAt !== undefined && i >= 10) added.push(took - (call.endedAt - call.at));
    }
  } finally {
    await red.stop();
    await client.close();
    await nats.stop();
  }
  return {
    name: 'idle latency from event to record, less that of the org',
    value: round(median(added), 1),
    unit: 'ms',
  };
}

export function upsertFlow(org: RestOrg, source: FlowNode, end: FlowNode): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    ...orgNodes(org),
    { ...source, ...place, wires: [['write']] },
    {
      id: 'write',
      type: 'sfdc-composite',
      ...place,
      org: 'org',
      operation: 'upsert',
      sobject: 'Contact',
      externalIdField: 'ExternalId__c',
      wires: [['end'], []],
    },
    { ...end, ...place, wires: [] },
    { id: 'press', type: 'inject', ...place, props: [{ p: 'payload' }], wires: [['source']] },
  ];
}

export interface RestOrg extends OrgProcess {
  requests(): Promise<LedgerEntry[]>;
  clearRequests(): Promise<void>;
  /** Changes switches of the org. */
  switch(switches: object): Promise<void>;
}

/** An org whose calls take as long as a real one's, unless told. Milliseconds of a call, and of each record in it. */
export async function startRestOrg(latency = LATENCY, recordLatency = RECORD_LATENCY): Promise<RestOrg> {
  const org = await startOrgProcess('--latency', `${latency}`, '--record-latency', `${recordLatency}`);
  const { login } = org;
  return {
    ...org,
    requests: async () => (await (await fetch(`${login}/_org/requests`)).json()) as LedgerEntry[],
    clearRequests: async () => void (await fetch(`${login}/_org/requests`, { method: 'DELETE' })),
    switch: async (switches) =>
      void (await fetch(`${login}/_org/switches`, { method: 'POST', body: JSON.stringify(switches) })),
  };
}

export async function loggedIn(org: OrgProcess): Promise<Connection> {
  const { login: loginUrl, clientId, clientSecret } = org;
  const connection = new Connection({ version: '65.0', oauth2: { loginUrl, clientId, clientSecret } });
  await connection.authorize({ grant_type: 'client_credentials' });
  return connection;
}

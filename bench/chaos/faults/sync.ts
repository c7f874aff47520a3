import { connect, type JetStreamManager } from 'nats';
import { messageOf } from '../../../nodes/shared/errors';
import { startOrg, type Org } from '../../../test/org/org';
import { startNats } from '../../../test/support/nats';
import { startNodeRed, type FlowNode } from '../../../test/support/node-red';
import { until } from '../../../test/support/until';
import { assertNoWayBack, mutate } from '../../../test/sync/oracle';
import { contacts, SYNC_ID } from '../../../test/sync/rig';
import { differences, readTable } from '../../../test/sync/table';
import type { Counts, Fault } from '../fault';

const STREAM = 'SEQUIN-RECORDS';
/** From 10,000 on they are read by a Bulk job. */
const RECORDS = 12_000;
/** Of the records, in the stream when Node-RED is killed. */
const KILLS = [0.1, 0.5];

export const faults: Fault[] = [
  {
    name: 'backfill-killed-poll',
    what: 'the org changes during a backfill that is killed twice and resumed (polling)',
    run: () => backfillKilled('poll'),
  },
  {
    name: 'backfill-killed-cdc',
    what: 'the org changes during a backfill that is killed twice and resumed (change events)',
    run: () => backfillKilled('cdc'),
  },
];

async function backfillKilled(mode: 'poll' | 'cdc'): Promise<Counts> {
  const closing: (() => Promise<unknown>)[] = [];
  const problems: string[] = [];
  try {
    const org = await startOrg({ pubsub: true, latencyMs: 100 });
    closing.push(() => org.close());
    org.write('Contact', ...contacts(RECORDS));
    const nats = await startNats();
    closing.push(() => nats.stop());
    const nc = await connect({ servers: nats.url });
    closing.push(() => nc.close());
    const jsm = await nc.jetstreamManager();

    const mutator = mutate(org, 7);
    closing.push(() => mutator.stop());
    const red = await startNodeRed({ flows: flow(nats.url, org, mode) });
    closing.push(() => red.stop());
    for (const part of KILLS) {
      await until(async () => (await stored(jsm)) > part * RECORDS, {
        timeout: 60_000,
        what: 'the backfill',
      });
      await red.kill();
      if ((await stored(jsm)) > RECORDS) problems.push('the backfill was over before it was killed');
      await red.restart();
    }
    await until(async () => (await stored(jsm)) >= RECORDS, {
      timeout: 60_000,
      what: 'the rest of the backfill',
    });
    await mutator.stop();
    // What was deleted in a minute that isn't over the org doesn't tell yet.
    org.store.clockOffset += 120_000;

    const wrong = async (): Promise<string> => differences(org, await readTable(nc), 'Contact');
    await until(async () => (await wrong()) === '', { timeout: 90_000, interval: 200 }).catch(
      () => undefined,
    );
    const table = await readTable(nc);
    problems.push(...(await wrong()).split('\n').filter((line) => line !== ''));
    await assertNoWayBack(org, nc, STREAM).catch((error: unknown) => problems.push(messageOf(error)));
    const events = new Set([...table.keys(), ...org.records('Contact').map(({ Id }) => String(Id))]).size;
    return { events, right: events - problems.length, deadLetters: 0, duplicates: 0, problems };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function stored(jsm: JetStreamManager): Promise<number> {
  return (await jsm.streams.info(STREAM)).state.messages;
}

function flow(servers: string, org: Org, mode: 'poll' | 'cdc'): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'chaos' },
    { id: 'server', type: 'jetstream-server', servers, auth: 'none' },
    {
      id: 'org',
      type: 'sfdc-org',
      auth: 'client-credentials',
      loginUrl: org.url,
      pubsubEndpoint: org.pubsub,
      credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    },
    {
      id: 'source',
      type: 'api-source',
      provider: 'salesforce',
      syncId: SYNC_ID,
      collections: ['salesforce:contact'],
      org: 'org',
      mode,
      pollInterval: '500ms',
      lookback: '15s',
    },
    {
      id: 'sync',
      type: 'api-sync-out',
      z: 'tab',
      server: 'server',
      source: 'source',
      // Every version is kept, to be looked at in the end.
      streamConfig: { maxMsgsPerSubject: 1_000_000 },
      lease: '2s',
      wires: [[]],
    },
  ];
}

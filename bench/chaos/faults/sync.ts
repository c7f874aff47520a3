import { connect, type JetStreamManager } from 'nats';
import { messageOf } from '../../../nodes/shared/errors';
import { startOrg } from '../../../test/org/org';
import { startNats } from '../../../test/support/nats';
import { startNodeRed } from '../../../test/support/node-red';
import { until } from '../../../test/support/until';
import { EAGER, OBSERVED, syncFlow } from '../../../test/sync/flow';
import { mutate } from '../../../test/sync/oracle';
import { assertHistory } from '../../../test/sync/oracle-history';
import { keepCheckpoints } from '../../../test/sync/oracle-timeline';
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

    await keepCheckpoints(nc);

    const mutator = mutate(org, 7);
    closing.push(() => mutator.stop());
    const red = await startNodeRed({
      flows: syncFlow(nats.url, org, { source: { syncId: SYNC_ID, mode, ...EAGER }, sync: OBSERVED }),
    });
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
    const { purged } = mutator;
    await assertHistory({ org, nc, purged }).catch((error: unknown) => problems.push(messageOf(error)));
    const events = new Set([...table.keys(), ...org.records('Contact').map(({ Id }) => String(Id))]).size;
    return { events, right: events - problems.length, deadLetters: 0, duplicates: 0, problems };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function stored(jsm: JetStreamManager): Promise<number> {
  return (await jsm.streams.info(STREAM)).state.messages;
}

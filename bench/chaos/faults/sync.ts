import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type JetStreamManager } from 'nats';
import { messageOf } from '../../../nodes/shared/errors';
import { startOrg, type Org } from '../../../test/org/org';
import { temporaryFolder } from '../../../test/support/cleanup';
import { startNats } from '../../../test/support/nats';
import { startNodeRed, type NodeRed } from '../../../test/support/node-red';
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
    run: () => backfillStruck('poll', KILLED),
  },
  {
    name: 'backfill-killed-cdc',
    what: 'the org changes during a backfill that is killed twice and resumed (change events)',
    run: () => backfillStruck('cdc', KILLED),
  },
  {
    name: 'backfill-thread-killed',
    what: 'the thread that reads and publishes a backfill is killed twice, while the org changes (polling)',
    run: threadKilled,
  },
  {
    name: 'sync-deletions-purged',
    what: 'the log of deletions is purged while Node-RED is down, and records were deleted for good',
    run: () =>
      absence('poll', async ({ org, red }) => {
        await red.kill();
        org.remove('Contact', some(org, 20), { hard: true });
        org.store.clockOffset += 10 * 60_000;
        org.switches.deletionsKeptSince = org.store.now();
        org.write('Contact', ...contacts(20, 1_000));
        await red.restart();
      }),
  },
  {
    name: 'sync-sharing-lost',
    what: 'all records are out of sight while the stream is compared with the org, then there again',
    run: () =>
      absence('poll', async ({ org, red }) => {
        org.switches.unshared = { Contact: 'all' };
        await red.waitForLog(/are gone from the API: none of them is published as deleted/);
        org.switches.unshared = {};
      }),
  },
  {
    name: 'sync-cdc-deselected',
    what: 'the object is taken off Change Data Capture for a while, in which it changes',
    run: () =>
      absence('cdc', async ({ org, equal }) => {
        await equal();
        const { changeDataCapture } = org.switches;
        org.switches.changeDataCapture = [];
        org.write('Contact', { Id: some(org, 1)[0], LastName: 'Unsaid' }, ...contacts(20, 1_000));
        org.switches.changeDataCapture = changeDataCapture;
        org.write('Contact', ...contacts(1, 2_000));
      }),
  },
];

interface Absence {
  org: Org;
  red: NodeRed;
  equal: () => Promise<void>;
}

const some = (org: Org, count: number): string[] =>
  org
    .records('Contact')
    .slice(0, count)
    .map(({ Id }) => String(Id));

/** A sync that is complete meets something that looks like a loss, or hides one, and is right in the end. */
async function absence(mode: 'poll' | 'cdc', strike: (on: Absence) => Promise<void>): Promise<Counts> {
  const closing: (() => Promise<unknown>)[] = [];
  const problems: string[] = [];
  try {
    const org = await startOrg({ pubsub: true });
    closing.push(() => org.close());
    org.write('Contact', ...contacts(200));
    const nats = await startNats();
    closing.push(() => nats.stop());
    const nc = await connect({ servers: nats.url });
    closing.push(() => nc.close());
    const red = await startNodeRed({
      flows: syncFlow(nats.url, org, {
        source: { syncId: SYNC_ID, mode, ...EAGER, reconcile: '3s' },
        sync: OBSERVED,
      }),
    });
    closing.push(() => red.stop());
    const wrong = async (): Promise<string> => differences(org, await readTable(nc), 'Contact');
    const equal = () => until(async () => (await wrong()) === '', { timeout: 90_000, interval: 200 });
    await equal();
    await strike({ org, red, equal: async () => void (await equal()) });
    await equal().catch(() => undefined);
    problems.push(...(await wrong()).split('\n').filter((line) => line !== ''));
    const events = org.records('Contact', { deleted: true }).length;
    return { events, right: events - problems.length, deadLetters: 0, duplicates: 0, problems };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** What happens in the middle of a backfill, and then. */
interface Strike {
  strike: (red: NodeRed) => Promise<void>;
  then?: (red: NodeRed) => Promise<void>;
  env?: Record<string, string>;
}

const KILLED: Strike = { strike: (red) => red.kill(), then: (red) => red.restart() };

/** Node-RED is given a way to kill its threads: one that has come to life ends when there is this file. */
async function threadKilled(): Promise<Counts> {
  const folder = temporaryFolder('threads');
  const [order, script] = [join(folder.path, 'kill'), join(folder.path, 'killer.js')];
  writeFileSync(
    script,
    `const { existsSync, rmSync } = require('node:fs');
    const threads = require('node:worker_threads');
    threads.Worker = class extends threads.Worker {
      constructor(...options) {
        super(...options);
        const look = setInterval(() => {
          if (!existsSync(${JSON.stringify(order)})) return;
          rmSync(${JSON.stringify(order)});
          this.terminate();
        }, 2);
        this.on('exit', () => clearInterval(look));
      }
    };`,
  );
  try {
    const strike = async (red: NodeRed): Promise<void> => {
      const from = red.log.length;
      writeFileSync(order, '');
      await red.waitForLog(/thread that reads large histories ended/, { from });
    };
    return await backfillStruck('poll', { strike, env: { NODE_OPTIONS: `--require=${script}` } });
  } finally {
    folder.remove();
  }
}

async function backfillStruck(mode: 'poll' | 'cdc', { strike, then, env }: Strike): Promise<Counts> {
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
      ...(env && { env }),
    });
    closing.push(() => red.stop());
    for (const part of KILLS) {
      await until(async () => (await stored(jsm)) > part * RECORDS, {
        timeout: 60_000,
        what: 'the backfill',
      });
      await strike(red);
      if ((await stored(jsm)) > RECORDS) problems.push('the backfill was over before it was killed');
      await then?.(red);
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

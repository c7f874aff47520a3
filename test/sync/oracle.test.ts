import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { startOrg } from '../org/org';
import { startNats } from '../support/nats';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { until } from '../support/until';
import { EAGER, OBSERVED, syncFlow } from './flow';
import { chance, mutate } from './oracle';
import { assertHistory } from './oracle-history';
import { keepCheckpoints } from './oracle-timeline';
import { contacts, SYNC_ID } from './rig';
import { differences, readTable } from './table';

/** How long the storm lasts; longer by hand. */
const SECONDS = Number(process.env.ORACLE_SECONDS ?? 10);
const SEED = Number(process.env.ORACLE_SEED ?? 7);
const KINDS = ['kill at publishing', 'nats', 'freeze', 'kill', 'kill at publishing'] as const;

for (const mode of ['poll', 'cdc'] as const) {
  const name = `while all is changed and everything is killed nothing is lost and nothing goes back (${mode})`;
  test(name, (t) => storm(t, mode));
}

async function storm(t: TestContext, mode: 'poll' | 'cdc'): Promise<void> {
  const org = await startOrg({ pubsub: true, latencyMs: 20 });
  t.after(() => org.close());
  const nats = await startNats();
  t.after(() => nats.stop());
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 200 });
  t.after(() => nc.close());
  org.write('Contact', ...contacts(6_000));
  await keepCheckpoints(nc);

  const source = { syncId: SYNC_ID, mode, ...EAGER };
  const flows = syncFlow(nats.url, org, { source, sync: OBSERVED });
  const instances = await Promise.all([startNodeRed({ flows }), startNodeRed({ flows })]);
  t.after(() => Promise.all(instances.map((red) => red.stop())));
  const mutator = mutate(org, SEED);
  const { below } = chance(SEED + 1);
  const faults: Record<string, number> = {};
  const end = Date.now() + SECONDS * 1_000;
  // Where the machine is slow each kind comes all the same.
  for (let count = 0; count < KINDS.length || Date.now() < end; count++) {
    await wait(500 + below(2_000));
    const red = instances[below(2)] as NodeRed;
    const kind = KINDS[count % KINDS.length] ?? 'kill';
    faults[kind] = (faults[kind] ?? 0) + 1;
    if (kind === 'kill' || kind === 'kill at publishing') {
      // Between what it publishes and what it saves behind that.
      if (kind === 'kill at publishing') await published(nc);
      await red.kill();
      await wait(below(1_500));
      await red.restart();
    } else if (kind === 'freeze') {
      // Longer than a lease: it wakes up with what it held, while another one is at work.
      process.kill(red.pid, 'SIGSTOP');
      await wait(2_500 + below(2_000));
      process.kill(red.pid, 'SIGCONT');
    } else {
      await nats.kill();
      await wait(below(1_000));
      await nats.restart();
    }
  }
  await mutator.stop();
  // The org knows whole minutes of deletions.
  org.store.clockOffset += 120_000;
  const compare = async () => differences(org, await readTable(nc), 'Contact');
  await until(async () => (await compare()) === '', {
    timeout: 90_000,
    interval: 500,
    what: 'the stream to be right',
  }).catch(async (error: Error) => {
    const log = instances.map((red) =>
      red.log
        .filter((line) => /error|warn/i.test(line))
        .slice(-20)
        .join('\n'),
    );
    throw new Error(`${error.message}\n${await compare()}\n${log.join('\n---\n')}`);
  });
  const { purged, done } = mutator;
  const seen = await assertHistory({ org, nc, purged, lease: 2_000 });
  t.diagnostic(JSON.stringify({ mode, faults, done, seen }));
  assert.ok(Object.values(mutator.done).reduce((sum, count) => sum + count, 0) > 100, 'a storm');
}

/** The moment at which a record is published, or a while without one. */
async function published(nc: NatsConnection): Promise<void> {
  const subscription = nc.subscribe('sequin-records.>', { max: 1, timeout: 3_000 });
  try {
    for await (const _ of subscription) return;
  } catch {
    // Nobody is at work.
  }
}

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'nats';
import { startOrg } from '../org/org';
import { startNats } from '../support/nats';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { until } from '../support/until';
import { EAGER, OBSERVED, syncFlow } from './flow';
import { assertNoWayBack, chance, mutate } from './oracle';
import { contacts, SYNC_ID } from './rig';
import { differences, readTable } from './table';

/** How long the storm lasts; longer by hand. */
const SECONDS = Number(process.env.ORACLE_SECONDS ?? 30);
const SEED = Number(process.env.ORACLE_SEED ?? 7);

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

  const source = { syncId: SYNC_ID, mode, ...EAGER };
  const flows = syncFlow(nats.url, org, { source, sync: OBSERVED });
  const instances = await Promise.all([startNodeRed({ flows }), startNodeRed({ flows })]);
  t.after(() => Promise.all(instances.map((red) => red.stop())));
  const mutator = mutate(org, SEED);
  const { next, below } = chance(SEED + 1);
  const faults: Record<string, number> = {};
  const end = Date.now() + SECONDS * 1_000;
  while (Date.now() < end) {
    await wait(1_000 + below(2_500));
    const red = instances[below(2)] as NodeRed;
    const kind = next() < 0.5 ? 'kill' : next() < 0.5 ? 'freeze' : 'nats';
    faults[kind] = (faults[kind] ?? 0) + 1;
    if (kind === 'kill') {
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
  const messages = await assertNoWayBack(org, nc, 'SEQUIN-RECORDS');
  const { records } = { records: org.records('Contact').length };
  t.diagnostic(JSON.stringify({ mode, faults, ...mutator.done, records, messages }));
  assert.ok(Object.values(mutator.done).reduce((sum, count) => sum + count, 0) > 100, 'a storm');
}

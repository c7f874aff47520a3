import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { OrgOptions } from '../../../org/org';
import { until } from '../../../support/until';
import { contacts, startRig, SYNC_ID, type Rig } from '../../rig';

const start = (t: TestContext, org: OrgOptions = {}): Promise<Rig> =>
  startRig(t, { org: { pubsub: true, ...org } });
const queries = ({ org }: Rig): number =>
  org.requests().filter(({ path }) => path.includes('/queryAll')).length;
/** Polling has come to its end: from here on there are only events. */
const settled = async ({ org, nc }: Rig): Promise<void> => {
  const kv = await nc.jetstream().views.kv('api-sync');
  const polledTo = async (): Promise<unknown> => {
    const entry = await kv.get(`${SYNC_ID}.salesforce=3Acontact`);
    return entry?.json<{ changesFrom: { pollTo?: number } }>().changesFrom.pollTo;
  };
  let seen = { requests: -1, at: 0 };
  await until(
    async () => {
      // Whole minutes of deletions are polled: with each look one is over, however slow the machine is.
      org.store.clockOffset += 60_000;
      const requests = org.requests().length;
      if (requests !== seen.requests) seen = { requests, at: Date.now() };
      return Date.now() - seen.at > 1_200 && (await polledTo()) === undefined;
    },
    { timeout: 60_000, what: 'nothing to be polled any more' },
  );
};

test('changes come by events, each within moments and without polling', async (t) => {
  const rig = await start(t);
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(10));
  await instance({ cdc: true, salesforce: { pollInterval: 500 } }).live();
  await equal();
  await settled(rig);
  org.write('Contact', ...contacts(1, 50));
  await settled(rig);
  org.clearRequests();
  const [first, second] = org.records('Contact').map(({ Id }) => String(Id));
  org.write('Contact', { Id: first, LastName: 'Changed' }, ...contacts(3, 10));
  await equal();
  org.remove('Contact', [first as string]);
  await equal();
  org.undelete('Contact', [first as string]);
  await equal();
  org.remove('Contact', [second as string], { hard: true });
  await equal();
  const reads = org.requests().filter(({ path }) => path.includes('/composite/sobjects/Contact')).length;
  assert.ok(reads >= 1 && reads <= 5, `${reads} reads`);
  assert.ok(queries(rig) <= 2, 'only what was deleted is queried');
});

test('nothing is lost between the backfill and the first event', async (t) => {
  const rig = await start(t, { switches: { pageSize: 200 } });
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(3_000));
  const one = instance({ cdc: true });
  for (let i = 0; i < 40; i++) {
    const rows = org.records('Contact');
    org.write(
      'Contact',
      { Id: rows[(i * 71) % rows.length]?.Id, LastName: `During ${i}` },
      ...contacts(1, 3_000 + i),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await one.live();
  await equal();
});

test('goes on behind its position after a restart', async (t) => {
  const rig = await start(t);
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(5));
  const one = instance({ cdc: true, salesforce: { pollInterval: 500 } });
  await one.live();
  await equal();
  org.write('Contact', ...contacts(1, 5));
  await equal();
  await settled(rig);
  org.write('Contact', ...contacts(1, 6));
  await equal();
  await one.stop();
  org.write('Contact', ...contacts(20, 10));
  org.remove('Contact', [String(org.records('Contact')[0]?.Id)], { hard: true });
  org.clearRequests();
  await instance({ cdc: true }).live();
  await equal();
  assert.ok(queries(rig) <= 1, 'by events, not by polling');
});

test('what was still to be polled when it was stopped is polled by the next one', async (t) => {
  const rig = await start(t, { switches: { pageSize: 200 }, latencyMs: 20 });
  const { org, instance, equal, table } = rig;
  org.write('Contact', ...contacts(3_000));
  const one = instance({ cdc: true });
  await until(async () => (await table()).size > 0);
  const [[gone] = []] = await table();
  // Before there is a subscription, and told by /deleted only when its minute is over.
  org.remove('Contact', [gone as string], { hard: true });
  await one.live();
  for (const made of contacts(2, 3_000)) {
    org.write('Contact', made);
    const size = org.records('Contact').length + 1;
    await until(async () => (await table()).size === size, { timeout: 60_000 });
  }
  // The second one is there, so the position behind the first one's event has been kept.
  await one.stop();
  const two = instance({ cdc: true, salesforce: { pollInterval: 500 } });
  await two.live();
  org.store.clockOffset += 120_000;
  await equal();
});

test('a position that the org has forgotten leads to polling from there, and is said', async (t) => {
  const rig = await start(t, { switches: { retentionMs: 600_000 } });
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(5));
  const one = instance({ cdc: true, salesforce: { pollInterval: 500 } });
  await one.live();
  await equal();
  await settled(rig);
  org.write('Contact', ...contacts(1, 5));
  await equal();
  await one.stop();
  org.write('Contact', ...contacts(5, 10));
  org.store.clockOffset += 60 * 60_000;
  org.write('Contact', ...contacts(1, 20));
  const two = instance({ cdc: true });
  await equal();
  await until(() => two.lines.some(({ text }) => /what has changed since is polled/.test(text)), {
    what: 'the loss to be said',
    timeout: 60_000,
  });
  org.write('Contact', ...contacts(1, 30));
  await equal();
});

test('events without data lead to reading their records, those that name none to polling', async (t) => {
  const rig = await start(t, { switches: { gapEvents: ['Contact'], overflowAfter: 50 } });
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(5));
  // Far from the next pass of its own accord.
  const one = instance({ cdc: true, salesforce: { pollInterval: 600_000 } });
  await one.live();
  await equal();
  org.write('Contact', { Id: org.records('Contact')[0]?.Id, LastName: 'Changed' });
  await equal();
  await until(() => one.lines.some(({ text }) => /came without data/.test(text)), {
    what: 'gap events to be said',
    timeout: 60_000,
  });
  await settled(rig);
  org.write('Contact', ...contacts(120, 100));
  await equal();
  assert.ok(one.lines.some(({ text }) => /doesn't tell which records/.test(text)));
});

test('where there are no events for an object it is polled, and the progress says so', async (t) => {
  const rig = await start(t, { switches: { changeDataCapture: ['Account'] } });
  const { org, instance, equal } = rig;
  org.write('Contact', ...contacts(5));
  const one = instance({ cdc: true, salesforce: { pollInterval: 200 } });
  await one.live();
  await equal();
  await until(() => one.sync.status[0]?.error?.code === 'NO_EVENTS', {
    what: 'the progress to say it',
    timeout: 60_000,
  });
  org.write('Contact', ...contacts(1, 5));
  await equal();
  org.switches.changeDataCapture = 'all';
  await until(() => one.sync.status[0]?.error === undefined, { what: 'the events', timeout: 30_000 });
  org.write('Contact', ...contacts(1, 6));
  await equal();
});

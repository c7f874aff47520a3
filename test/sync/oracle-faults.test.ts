import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { PositionStore } from '../../nodes/shared/positions';
import { until } from '../support/until';
import { chance, mutate } from './oracle';
import { assertHistory, type Seen } from './oracle-history';
import { keepCheckpoints } from './oracle-timeline';
import { contacts, startRig, SYNC_ID } from './rig';

const SEED = Number(process.env.ORACLE_SEED ?? 7);
const LIVES = Number(process.env.ORACLE_LIVES ?? 6);
const KEY = `${SYNC_ID}.salesforce`;

/** How the store fails a life when a checkpoint is saved. */
type Failure = 'refuses' | 'loses the answer' | 'dies';

for (const mode of ['poll', 'cdc'] as const) {
  test(`whoever fails between publishing and saving loses nothing and says nothing wrong (${mode})`, (t) =>
    betweenPublishAndSave(t, mode));
}

test('whoever fails between the results of a Bulk job, which break off, loses nothing and says nothing wrong', (t) =>
  betweenPublishAndSave(t, 'cdc', { records: 12_000, cuts: 4 }));

/** `records`: from 10,000 on they come by a Bulk job, whose results break off so many times. */
async function betweenPublishAndSave(
  t: TestContext,
  mode: 'poll' | 'cdc',
  { records, cuts } = { records: 3_000, cuts: 0 },
): Promise<void> {
  const rig = await startRig(t, { org: { pubsub: mode === 'cdc', switches: { pageSize: 500 } } });
  const { org, nc, instance, equal } = rig;
  await keepCheckpoints(nc);
  org.write('Contact', ...contacts(records));
  if (cuts > 0) org.faults.add({ match: { path: '/results?' }, action: { reset: 'body' }, times: cuts });
  const options = {
    cdc: mode === 'cdc',
    target: { events: true, form: { maxMsgsPerSubject: 1_000_000 } },
    sync: { lease: undefined },
    salesforce: { pollInterval: 100, lookback: 10_000 },
  };
  const { below } = chance(SEED);
  const mutator = mutate(org, SEED);
  t.after(() => mutator.stop());
  const failures: Failure[] = ['refuses', 'loses the answer', 'dies'];
  for (let life = 0; life < LIVES; life++) {
    const failure = failures[life % failures.length] as Failure;
    const store = failingStore(1 + below(life < LIVES / 2 ? 3 : 8), failure);
    const one = instance({ ...options, store: store.wrap });
    await Promise.race([store.failed, wait(5_000)]);
    // Whoever lives on tries again.
    if (failure !== 'dies') await wait(below(300));
    await one.stop();
  }
  await instance(options).live();
  await wait(500);
  await mutator.stop();
  org.store.clockOffset += 120_000;
  await equal();
  const seen = await assertHistory({ org, nc, purged: mutator.purged });
  t.diagnostic(JSON.stringify({ mode, done: mutator.done, seen }));
  assertSeen(seen);
}

function assertSeen({ records, events, checkpoints }: Seen): void {
  assert.ok(records > 3_000 && events > 20 && checkpoints > 3, 'there was something to be seen');
}

test('without faults there is one event for each change, and none for anything else', async (t) => {
  const { org, nc, instance, equal } = await startRig(t, { org: { pubsub: true } });
  await keepCheckpoints(nc);
  org.write('Contact', ...contacts(200));
  const target = { events: true, form: { maxMsgsPerSubject: 1_000_000 } };
  const one = instance({ target, salesforce: { pollInterval: 50 } });
  await one.live();
  await equal();
  const mutator = mutate(org, SEED);
  await wait(2_000);
  await mutator.stop();
  org.store.clockOffset += 120_000;
  await equal();
  const seen = await assertHistory({ org, nc, purged: mutator.purged, lease: 10_000 });
  assert.equal(seen.alone, 0);
  assert.equal(seen.events, seen.records - 200);
});

test('two never run together: whoever can’t reach the store publishes nothing more', async (t) => {
  const { org, nc, instance, equal } = await startRig(t);
  await keepCheckpoints(nc);
  org.write('Contact', ...contacts(100));
  const lease = 600;
  const runners = ['a', 'b'].map((name) => {
    const gate = new Gate();
    const published: number[] = [];
    const started = instance({
      target: { events: true, form: { maxMsgsPerSubject: 1_000_000 } },
      sync: { lease },
      salesforce: { pollInterval: 20 },
      store: gate.wrap,
      publishing: () => void published.push(performance.now()),
    });
    return { name, gate, published, ...started };
  });
  /** Whoever has published last. */
  const holder = () => runners.filter(({ published }) => published.length > 0).sort(byLast)[0];
  const mutator = mutate(org, SEED);
  t.after(() => mutator.stop());
  for (let round = 0; round < 3; round++) {
    const one = await until(holder, { what: 'a holder' });
    const other = runners.find((each) => each !== one) as (typeof runners)[number];
    const before = other.published.length;
    one.gate.shut();
    await until(() => other.published.length > before, { what: 'the other to publish' });
    const from = other.published[before] as number;
    await wait(lease);
    assert.deepEqual(
      one.published.filter((at) => at >= from),
      [],
      `${one.name} publishes beside ${other.name}`,
    );
    one.gate.open();
  }
  await mutator.stop();
  org.store.clockOffset += 120_000;
  await equal();
  const seen = await assertHistory({ org, nc, purged: mutator.purged, lease });
  assert.ok(seen.handovers >= 4);
});

const byLast = (a: { published: number[] }, b: { published: number[] }): number =>
  (b.published.at(-1) ?? 0) - (a.published.at(-1) ?? 0);

/** Fails one saving of a checkpoint, and where it dies everything that comes behind it. */
function failingStore(nth: number, failure: Failure) {
  let saves = 0;
  let dead = false;
  let tell: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (tell = resolve));
  const lost = (): Error => new Error('the store is out of reach');
  const wrap = (inner: PositionStore): PositionStore => ({
    get: async (...args) => {
      if (dead) throw lost();
      return inner.get(...args);
    },
    put: async (...args) => {
      const [key] = args;
      if (dead) throw lost();
      if (!key.startsWith(KEY) || ++saves !== nth) return inner.put(...args);
      dead = failure === 'dies';
      if (failure === 'loses the answer') await inner.put(...args);
      tell();
      throw lost();
    },
  });
  return { wrap, failed };
}

/** Between a runner and its store: shut, nothing comes through, and what was asked is answered when it opens. */
class Gate {
  private opened = Promise.resolve();
  private release: () => void = () => undefined;

  shut(): void {
    this.opened = new Promise((resolve) => (this.release = resolve));
  }

  open(): void {
    this.release();
  }

  readonly wrap = (inner: PositionStore): PositionStore => ({
    get: async (...args) => {
      await this.opened;
      return inner.get(...args);
    },
    put: async (...args) => {
      await this.opened;
      const revision = await inner.put(...args);
      await this.opened;
      return revision;
    },
  });
}

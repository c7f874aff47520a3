import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Lease } from '../../nodes/shared/lease';
import { watchHeartbeat } from '../support/heartbeat';
import {
  fakeClock,
  latch,
  memoryStore,
  never,
  settle,
  type Clock,
  type MemoryStore,
} from '../sync/engine/fakes';

watchHeartbeat();

const LENGTH = 10_000;
const nothing = (): void => undefined;
const renewed = (): Promise<void> => Promise.resolve();

interface Rig {
  clock: Clock;
  store: MemoryStore;
  lease: () => Lease;
  /** One that is held already. */
  holder: () => Promise<Lease>;
  /** Lets one try to get it; says when it has, if it has. */
  taker: (signal?: AbortSignal) => { lease: Lease; at: number | undefined };
}

function rig(t: TestContext): Rig {
  const clock = fakeClock(t);
  const store = memoryStore();
  const lease = (): Lease => new Lease(store, 'k', LENGTH);
  return {
    clock,
    store,
    lease,
    holder: async () => {
      const held = lease();
      assert.equal(await held.acquire(never, nothing), true);
      return held;
    },
    taker: (signal = never) => {
      const taker = { lease: lease(), at: undefined as number | undefined };
      void taker.lease.acquire(signal, nothing).then((got) => {
        if (got) taker.at = clock.now;
      });
      return taker;
    },
  };
}

/** Answers a call of this kind that much later. */
const slow = (call: 'get' | 'put', ms: number) => (called: string) =>
  called === call ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;

test('whoever is the first has the lease at once', async (t) => {
  const { lease, clock } = rig(t);
  const one = lease();
  assert.equal(one.held, false);
  assert.equal(await one.acquire(never, () => assert.fail('there is nothing to wait for')), true);
  assert.equal(one.held, true);
  assert.equal(clock.now, 0);
});

test('a holder believes for eight tenths of the length, and not longer', async (t) => {
  const { holder, clock } = rig(t);
  const one = await holder();
  await clock.pass(LENGTH * 0.8 - 1);
  assert.equal(one.held, true);
  await clock.pass(1);
  assert.equal(one.held, false);
});

test('a lease that is kept is not taken over', async (t) => {
  const { holder, taker, clock } = rig(t);
  const one = await holder();
  const stop = new AbortController();
  const kept = one.keep(stop.signal, renewed);
  const other = taker(stop.signal);
  for (let i = 0; i < 10; i++) {
    await clock.pass(LENGTH / 2);
    assert.equal(one.held, true);
  }
  assert.equal(other.at, undefined);
  stop.abort();
  await kept;
});

test('the lease is written three times a lease, and what is to be done then is done each time', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  const [at, done]: [number[], number[]] = [[], []];
  store.before = (call) => void (call === 'put' && at.push(clock.now));
  const stop = new AbortController();
  const kept = one.keep(stop.signal, () => {
    done.push(at.length);
    return Promise.resolve();
  });
  await clock.pass(LENGTH * 1.1);
  stop.abort();
  await kept;
  assert.deepEqual(
    at.map((ms) => Math.round(ms / 1_000)),
    [3, 7, 10],
  );
  assert.deepEqual(done, [1, 2, 3]);
});

test('a holder that dies is followed when its lease has not changed for its length, and not before', async (t) => {
  const { holder, taker, clock } = rig(t);
  const dead = await holder();
  const next = taker();
  await clock.pass(LENGTH - 1);
  assert.equal(next.at, undefined);
  await clock.until(() => next.at !== undefined, 1_000);
  assert.ok(next.lease.held);
  assert.equal(dead.held, false, 'the dead one, should it wake up, knows');
});

test('who waits looks at least once a second, and says so each time', async (t) => {
  const { holder, lease, clock } = rig(t);
  await holder();
  const stop = new AbortController();
  let said = 0;
  const waiting = lease().acquire(stop.signal, () => said++);
  await clock.pass(3_500);
  assert.equal(said, 4);
  stop.abort();
  assert.equal(await waiting, false);
});

test('who waits for a short lease looks four times in its length', async (t) => {
  const { store, clock } = rig(t);
  await new Lease(store, 'k', 1_000).acquire(never, nothing);
  const stop = new AbortController();
  let said = 0;
  const waiting = new Lease(store, 'k', 1_000).acquire(stop.signal, () => said++);
  await clock.pass(900);
  assert.equal(said, 4);
  stop.abort();
  assert.equal(await waiting, false);
});

test('who is told to stop before it began doesn’t even look', async (t) => {
  const { lease, store } = rig(t);
  store.before = () => assert.fail('looked');
  assert.equal(await lease().acquire(AbortSignal.abort(), nothing), false);
});

test('the length counts from when the write began, however late its answer', async (t) => {
  const { lease, store, clock } = rig(t);
  const one = lease();
  store.after = slow('put', LENGTH / 2);
  const acquired = one.acquire(never, nothing);
  await clock.pass(LENGTH / 2);
  assert.equal(await acquired, true);
  await clock.pass(LENGTH * 0.3 - 1);
  assert.equal(one.held, true);
  await clock.pass(1);
  assert.equal(one.held, false);
});

test('a renewal that is answered late counts from its beginning, too', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  const stop = new AbortController();
  store.after = slow('put', LENGTH * 0.4);
  const kept = one.keep(stop.signal, renewed);
  await clock.pass(LENGTH * 0.74);
  store.after = () => new Promise(() => undefined);
  await clock.pass(LENGTH * 0.36);
  assert.equal(one.held, true, '1.1 after the beginning, 0.77 after the renewal began');
  await clock.pass(LENGTH * 0.1);
  assert.equal(one.held, false);
  stop.abort();
  void kept;
});

test('a lease whose writing took longer than it holds is not held: it is written again', async (t) => {
  const { store, taker, clock } = rig(t);
  store.after = slow('put', LENGTH);
  const one = taker();
  await clock.pass(LENGTH - 50);
  store.after = nothing;
  await clock.pass(50);
  assert.equal(one.at, undefined);
  await clock.until(() => one.at !== undefined, 1_000);
  assert.equal(one.lease.held, true);
});

test('whoever sees the lease counts from when it has seen it, however late the answer', async (t) => {
  const { holder, taker, store, clock } = rig(t);
  const one = await holder();
  const { opened, open } = latch();
  store.before = (call) => (call === 'get' ? opened : undefined);
  const other = taker();
  await clock.pass(LENGTH * 0.7);
  const stop = new AbortController();
  void one.keep(stop.signal, renewed);
  await clock.pass(LENGTH * 0.35);
  // It was renewed meanwhile, and this is what the answer shows.
  stop.abort();
  open();
  await clock.pass(LENGTH - 100);
  assert.equal(other.at, undefined);
  await clock.until(() => other.at !== undefined, 2_000);
});

test('a refused renewal ends the belief at once', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  store.set('k', { owner: 'somebody' });
  let ended = false;
  void one.keep(never, () => assert.fail('renewed')).then(() => (ended = true));
  await clock.until(() => ended, LENGTH / 3 + 100);
  assert.equal(one.held, false);
});

test('a holder that can’t renew gives up before anybody can have taken over', async (t) => {
  const { holder, taker, store, clock } = rig(t);
  const one = await holder();
  const mine = String(store.json('k').owner);
  const other = taker();
  await settle();
  store.before = (call, _key, value) =>
    call === 'put' && value?.includes(mine) ? Promise.reject(new Error('out of reach')) : undefined;
  let ended: number | undefined;
  void one.keep(never, renewed).then(() => (ended = clock.now));
  await clock.pass(LENGTH * 0.8);
  assert.equal(one.held, false);
  assert.equal(other.at, undefined);
  await clock.until(() => ended !== undefined && other.at !== undefined);
  assert.ok((ended ?? 0) < LENGTH * 1.05);
  assert.ok((other.at ?? 0) >= LENGTH);
});

test('a short outage of the store does not cost the lease', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  let refused = 0;
  store.before = (call) =>
    call === 'put' && refused++ === 0 ? Promise.reject(new Error('out of reach')) : undefined;
  const stop = new AbortController();
  let renewals = 0;
  const kept = one.keep(stop.signal, () => Promise.resolve(void renewals++));
  await clock.until(() => renewals > 0, LENGTH * 0.7);
  assert.ok(one.held);
  await clock.pass(LENGTH / 2);
  assert.ok(one.held);
  stop.abort();
  await kept;
});

test('what fails after a renewal does not cost the lease', async (t) => {
  const { holder, clock } = rig(t);
  const one = await holder();
  const stop = new AbortController();
  const kept = one.keep(stop.signal, () => Promise.reject(new Error('no control entry')));
  await clock.pass(LENGTH * 3);
  assert.ok(one.held);
  stop.abort();
  await kept;
});

test('who is told to stop writes nothing more', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  const stop = new AbortController();
  const kept = one.keep(stop.signal, renewed);
  await clock.pass(LENGTH * 0.2);
  const before = store.json('k');
  stop.abort();
  await kept;
  await one.keep(AbortSignal.abort(), renewed);
  await clock.pass(LENGTH);
  assert.deepEqual(store.json('k'), before);
});

test('a lease that is given back is taken at the next look', async (t) => {
  const { holder, taker, clock } = rig(t);
  const one = await holder();
  const next = taker();
  await clock.pass(1_500);
  await one.release(never);
  assert.equal(one.held, false);
  await clock.until(() => next.at !== undefined, 1_000);
  assert.equal(one.held, false);
});

test('while it is being given back it is not held any more', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  store.after = slow('put', 500);
  const released = one.release(never);
  assert.equal(one.held, false);
  await clock.pass(500);
  await released;
  assert.equal(one.held, false);
});

test('what is not held is not given back: it may be somebody else’s', async (t) => {
  const { lease, holder, store, clock } = rig(t);
  await lease().release(never);
  assert.equal(store.values.size, 0);
  const one = await holder();
  await clock.pass(LENGTH);
  const before = store.json('k');
  await one.release(never);
  assert.deepEqual(store.json('k'), before);
});

test('a lease that can’t be given back is left to its time', async (t) => {
  const { holder, store, taker, clock } = rig(t);
  const one = await holder();
  store.before = () => Promise.reject(new Error('out of reach'));
  await one.release(never);
  assert.equal(one.held, false);
  store.before = nothing;
  const next = taker();
  await clock.pass(LENGTH - 1);
  assert.equal(next.at, undefined);
  await clock.until(() => next.at !== undefined, 1_000);
});

test('one’s own lease, from a write whose answer was lost, needn’t be waited for', async (t) => {
  const { holder, store, clock } = rig(t);
  const one = await holder();
  store.after = (call) => (call === 'put' ? Promise.reject(new Error('no answer')) : undefined);
  let ended = false;
  void one.keep(never, renewed).then(() => (ended = true));
  await clock.until(() => ended);
  store.after = nothing;
  const began = clock.now;
  assert.equal(await one.acquire(never, nothing), true);
  assert.equal(clock.now, began);
});

for (const garbage of ['', 'null', '{', '[]', '7', '{"owner":7}'])
  test(`what is no lease (${garbage || 'nothing'}) is taken over after its time`, async (t) => {
    const { store, taker, clock } = rig(t);
    store.set('k', garbage);
    const one = taker();
    await clock.pass(LENGTH - 1);
    assert.equal(one.at, undefined);
    await clock.until(() => one.at !== undefined, 1_000);
  });

test('what the store throws is thrown', async (t) => {
  const { lease, store } = rig(t);
  store.before = () => Promise.reject(new Error('out of reach'));
  await assert.rejects(lease().acquire(never, nothing), /out of reach/);
});

test('an outage while one waits does not make one wait anew', async (t) => {
  const { holder, lease, store, clock } = rig(t);
  await holder();
  const next = lease();
  const waiting = next.acquire(never, nothing);
  await clock.pass(LENGTH * 0.9);
  store.before = () => Promise.reject(new Error('out of reach'));
  const failed = assert.rejects(waiting, /out of reach/);
  await clock.pass(1_000);
  await failed;
  store.before = nothing;
  assert.equal(await next.acquire(never, nothing), true);
});

test('two never hold it together, however late the store answers', async (t) => {
  const clock = fakeClock(t);
  const delay = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 150 }));
  const delays = fc.array(delay, { minLength: 40, maxLength: 40 });
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(delays, delays, async (coming, going) => {
      const store = memoryStore();
      let calls = 0;
      const wait = (ms = 0): Promise<void> | void =>
        ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;
      store.before = () => wait(coming[++calls % 40]);
      store.after = () => wait(going[calls % 40]);
      const stop = new AbortController();
      const leases = [1, 2, 3].map(() => new Lease(store, 'k', 100));
      for (const lease of leases)
        void (async () => {
          while (!stop.signal.aborted)
            if (await lease.acquire(stop.signal, nothing)) {
              taken++;
              await lease.keep(stop.signal, renewed);
            }
        })();
      for (let time = 0; time < 1_000; time += 5) {
        t.mock.timers.tick(5);
        await settle(1);
        assert.ok(leases.filter(({ held }) => held).length <= 1);
      }
      stop.abort();
      await clock.pass(300);
    }),
    { numRuns: 15, seed: 7 },
  );
  assert.ok(taken > 15, `${taken} times it was taken`);
});

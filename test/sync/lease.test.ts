import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lease } from '../../nodes/sync/lease';
import type { Store } from '../../nodes/sync/store';
import { until } from '../support/until';

const never = new AbortController().signal;

/** Compare-and-set in memory, with a switch for an outage. */
function memory(): Store & { out: boolean; refused: number } {
  const values = new Map<string, { value: string; revision: number }>();
  return {
    out: false,
    refused: 0,
    get(key) {
      if (this.out) return Promise.reject(new Error('out of reach'));
      return Promise.resolve(values.get(key));
    },
    put(key, value, revision) {
      if (this.out) return Promise.reject(new Error(`out of reach ${++this.refused}`));
      if ((values.get(key)?.revision ?? 0) !== revision) return Promise.resolve(undefined);
      values.set(key, { value, revision: revision + 1 });
      return Promise.resolve(revision + 1);
    },
  };
}

const nothing = (): void => undefined;
const renewed = (): Promise<void> => Promise.resolve();

test('a lease that is kept is not taken over', async () => {
  const store = memory();
  const [one, other] = [new Lease(store, 'k', 300), new Lease(store, 'k', 300)];
  const stop = new AbortController();
  assert.equal(await one.acquire(never, nothing), true);
  const kept = one.keep(stop.signal, renewed);
  const given = AbortSignal.timeout(1_000);
  assert.equal(await other.acquire(given, nothing), false);
  assert.ok(one.held);
  stop.abort();
  await kept;
});

test('a holder that dies is followed after a lease', async () => {
  const store = memory();
  const [dead, next] = [new Lease(store, 'k', 300), new Lease(store, 'k', 300)];
  await dead.acquire(never, nothing);
  assert.equal(await next.acquire(never, nothing), true);
  assert.equal(dead.held, false, 'the dead one, should it wake up, knows');
});

test('a lease that is given back is taken at once', async () => {
  const store = memory();
  const [one, next] = [new Lease(store, 'k', 60_000), new Lease(store, 'k', 60_000)];
  await one.acquire(never, nothing);
  await one.release(never);
  assert.equal(one.held, false);
  assert.equal(await next.acquire(AbortSignal.timeout(5_000), nothing), true);
});

test('a holder that can’t renew gives up before anybody can have taken over', async () => {
  const store = memory();
  const one = new Lease(store, 'k', 400);
  await one.acquire(never, nothing);
  store.out = true;
  await one.keep(never, renewed);
  assert.equal(one.held, false);
  store.out = false;
  let taken = false;
  const next = new Lease(store, 'k', 400);
  void next.acquire(never, nothing).then(() => (taken = true));
  await until(() => taken, { what: 'the next one to take over' });
});

test('a short outage of the store does not cost the lease', async () => {
  const store = memory();
  const one = new Lease(store, 'k', 1_500);
  await one.acquire(never, nothing);
  const stop = new AbortController();
  let renewals = 0;
  const kept = one.keep(stop.signal, () => {
    renewals++;
    return Promise.resolve();
  });
  store.out = true;
  await until(() => store.refused > 0, { what: 'a renewal that fails' });
  store.out = false;
  await until(() => renewals > 0, { what: 'a renewal' });
  assert.ok(one.held);
  stop.abort();
  await kept;
});

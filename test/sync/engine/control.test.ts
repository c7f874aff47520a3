import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Control } from '../../../nodes/sync/engine/control';
import { watchHeartbeat } from '../../support/heartbeat';
import { fakeClock, latch, memoryStore, never, NOON, settle } from './fakes';

watchHeartbeat(5_000);

test('nothing is wanted where nothing was commanded', async () => {
  const control = new Control(memoryStore(), 'k');
  assert.deepEqual(await control.load(never), { stopped: [], resync: {} });
});

test('what was commanded holds for every instance', async (t) => {
  fakeClock(t);
  const store = memoryStore();
  const [one, other] = [new Control(store, 'k'), new Control(store, 'k')];
  await one.change('stop', ['a', 'b'], never);
  assert.deepEqual(await other.load(never), { stopped: ['a', 'b'], resync: {} });
  await other.change('start', ['a'], never);
  assert.deepEqual(await one.load(never), { stopped: ['b'], resync: {} });
  await one.change('stop', ['b'], never);
  assert.deepEqual(one.wanted, { stopped: ['b'], resync: {} }, 'stopped once, however often that is said');
  await one.change('resync', ['b'], never);
  assert.deepEqual(await other.load(never), { stopped: [], resync: { b: NOON } });
});

test('a command to compare is kept beside the others, and starts nothing that stands still', async (t) => {
  fakeClock(t);
  const store = memoryStore();
  const [one, other] = [new Control(store, 'k'), new Control(store, 'k')];
  await one.change('stop', ['a'], never);
  await one.change('reconcile', ['a', 'b'], never);
  const wanted = { stopped: ['a'], resync: {}, reconcile: { a: NOON, b: NOON } };
  assert.deepEqual(await other.load(never), wanted);
  await other.change('reconcile', ['b'], never);
  assert.deepEqual(other.wanted, { ...wanted, reconcile: { a: NOON, b: NOON + 1 } });
});

test('each command to read anew is later than the one before, whatever the clock says', async (t) => {
  const clock = fakeClock(t);
  const store = memoryStore();
  const control = new Control(store, 'k');
  await control.change('resync', ['a'], never);
  await control.change('resync', ['a', 'b'], never);
  assert.deepEqual(control.wanted.resync, { a: NOON + 1, b: NOON });
  await clock.pass(1_000);
  await control.change('resync', ['a'], never);
  assert.equal(control.wanted.resync.a, NOON + 1_000);
});

test('what another instance has changed at the same time is kept', async (t) => {
  const clock = fakeClock(t);
  const store = memoryStore();
  const [one, other] = [new Control(store, 'k'), new Control(store, 'k')];
  const changes = Promise.all([one.change('stop', ['a'], never), other.change('stop', ['b'], never)]);
  await clock.pass(1_000);
  await changes;
  assert.deepEqual((store.json('k').stopped as string[]).sort(), ['a', 'b']);
});

test('commands of one instance come one after the other', async () => {
  const store = memoryStore();
  const control = new Control(store, 'k');
  await Promise.all(['a', 'b', 'c'].map((name) => control.change('stop', [name], never)));
  assert.deepEqual(control.wanted.stopped, ['a', 'b', 'c']);
  assert.equal(store.values.get('k')?.revision, 3);
});

test('what was read before a change does not come after it', async () => {
  const store = memoryStore();
  const control = new Control(store, 'k');
  const late = latch();
  store.after = (call) => (call === 'get' ? late.opened : undefined);
  const loaded = control.load(never);
  const changed = control.change('stop', ['a'], never);
  const order: string[][] = [];
  void loaded.then(({ stopped }) => order.push(stopped));
  void changed.then(({ stopped }) => order.push(stopped));
  await settle();
  late.open();
  await changed;
  await settle();
  assert.deepEqual(order, [[], ['a']]);
});

test('a command that others always overtake is given up after ten tries, not all at once', async (t) => {
  const clock = fakeClock(t);
  const store = memoryStore();
  let tries = 0;
  store.before = (call) => {
    if (call === 'put') store.set('k', { stopped: [], resync: { n: ++tries } });
  };
  const changed = new Control(store, 'k').change('stop', ['a'], never);
  const refused = assert.rejects(changed, {
    code: 'CONTROL_CONTESTED',
    retryable: true,
    message: /"stop" could not be kept in 10 tries/,
  });
  await clock.pass(40);
  assert.equal(tries, 1);
  await clock.pass(2_000);
  await refused;
  assert.equal(tries, 10);
});

test('a command of who is closed is refused, in whichever try', async (t) => {
  const clock = fakeClock(t);
  const store = memoryStore();
  const control = new Control(store, 'k');
  await assert.rejects(control.change('stop', ['a'], AbortSignal.abort()), { code: 'CLOSED' });
  const stop = new AbortController();
  let tries = 0;
  store.before = (call) => {
    if (call === 'put') store.set('k', { stopped: [], resync: { n: ++tries } });
  };
  const refused = assert.rejects(control.change('stop', ['a'], stop.signal), {
    code: 'CLOSED',
    message: /"stop"/,
  });
  await clock.pass(40);
  stop.abort();
  await refused;
  assert.equal(tries, 1);
});

test('a failure of the store is the command’s, and the next one goes on', async () => {
  const store = memoryStore();
  const control = new Control(store, 'k');
  store.before = () => Promise.reject(new Error('out of reach'));
  await assert.rejects(control.change('stop', ['a'], never), /out of reach/);
  await assert.rejects(control.load(never), /out of reach/);
  store.before = () => undefined;
  assert.deepEqual(await control.load(never), { stopped: [], resync: {} });
  await control.change('stop', ['a'], never);
});

for (const garbage of [
  '',
  '{',
  'null',
  '7',
  '[]',
  '{}',
  '{"stopped":7,"resync":null}',
  '{"stopped":[7,null],"resync":{"a":"x","b":1.5,"c":null}}',
])
  test(`an entry that says nothing (${garbage || 'nothing'}) wants nothing, and can be changed`, async (t) => {
    fakeClock(t);
    const store = memoryStore();
    store.set('k', garbage);
    const control = new Control(store, 'k');
    assert.deepEqual(await control.load(never), { stopped: [], resync: {} });
    await control.change('resync', ['a'], never);
    assert.deepEqual(store.json('k'), { stopped: [], resync: { a: NOON } });
  });

test('what was wanted last still is where the entry can’t be read or is gone', async () => {
  const store = memoryStore();
  const control = new Control(store, 'k');
  await control.change('stop', ['a'], never);
  store.set('k', '{');
  assert.deepEqual((await control.load(never)).stopped, ['a']);
  store.values.delete('k');
  assert.deepEqual((await control.load(never)).stopped, ['a']);
  await control.change('stop', ['b'], never);
  assert.deepEqual(store.json('k').stopped, ['a', 'b']);
});

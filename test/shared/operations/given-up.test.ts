import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FlowError } from '../../../nodes/shared/errors';
import type { FindablePositions, Position } from '../../../nodes/shared/positions';
import { GivenUp, keyOf } from '../../../nodes/shared/operations/given-up';

/** As a bucket: a write of an old revision is refused. */
class Store implements FindablePositions {
  kept: Position | undefined;
  puts = 0;
  failing: Error | undefined;
  /** Called within a write, before it. */
  meanwhile: (() => void) | undefined;

  get = (): Promise<Position | undefined> => this.find();
  find(): Promise<Position | undefined> {
    return this.failing ? Promise.reject(this.failing) : Promise.resolve(this.kept);
  }
  put(_key: string, value: string, revision: number): Promise<number | undefined> {
    this.puts++;
    const { meanwhile } = this;
    this.meanwhile = undefined;
    meanwhile?.();
    if (this.failing) return Promise.reject(this.failing);
    if (revision !== (this.kept?.revision ?? 0)) return Promise.resolve(undefined);
    this.kept = { value, revision: revision + 1 };
    return Promise.resolve(this.kept.revision);
  }
  get count(): number {
    return (JSON.parse(this.kept?.value ?? '{"count":0}') as { count: number }).count;
  }
}

let store: Store;
let readers = 0;
let opened: GivenUp[];
beforeEach(() => {
  store = new Store();
  opened = [];
  readers++;
  mock.timers.enable({ apis: ['setTimeout'] });
});
afterEach(async () => {
  mock.timers.reset();
  for (const one of opened) {
    one.forget();
    await one.close();
  }
});
/** As in another process: what this one knows by the same name is another's. */
function instance(name = '', changed?: () => void): GivenUp {
  const one = new GivenUp(`${readers} ${name}`, { store, key: 'key' }, changed);
  opened.push(one);
  return one;
}
async function settle(ms = 300): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
  mock.timers.tick(ms);
  for (let i = 0; i < 20; i++) await turn();
}

test('what was given up counts over a restart, until somebody has looked', async () => {
  const before = instance();
  before.add();
  before.add();
  await settle();
  let told = 0;
  const after = instance('restarted', () => told++);
  await settle();
  assert.deepEqual([after.count, told], [2, 1]);
  after.looked();
  assert.equal(after.count, 0);
  await settle();
  assert.equal(store.count, 0);
  await before.refresh();
  assert.equal(before.count, 0, 'the other instance hears of it');
});

test('many at once are one write', async () => {
  const one = instance();
  for (let i = 0; i < 1_000; i++) one.add();
  await settle();
  assert.deepEqual([store.count, store.puts], [1_000, 1]);
});

test('instances add up, and a look takes away only what it has seen', async () => {
  const [a, b] = [instance('a'), instance('b')];
  a.add();
  b.add();
  await settle();
  await a.refresh();
  assert.deepEqual([a.count, store.count], [2, 2]);
  b.add();
  store.meanwhile = () => a.looked();
  await settle();
  await settle();
  assert.equal(store.count, 1, 'what b gave up meanwhile nobody has seen');
  assert.equal(a.count, 1);
});

test('somebody else writes at the same moment, and nothing is lost of it', async () => {
  const [a, b] = [instance('a'), instance('b')];
  await settle();
  a.add();
  store.meanwhile = () => void (store.kept = { value: '{"count":5}', revision: 9 });
  await settle();
  await settle();
  assert.equal(store.count, 6);
  await b.refresh();
  assert.equal(b.count, 6);
});

test('a store that is away keeps nobody up, and is told when it is back', async () => {
  const one = instance();
  store.failing = new FlowError('TIMEOUT', 'away');
  one.add();
  await settle();
  assert.equal(one.count, 1);
  store.failing = undefined;
  await settle(10_000);
  assert.equal(store.count, 1);
});

test('a store that may not be used is not asked again, and the count is of this process', async () => {
  store.failing = new FlowError('PERMISSION_DENIED', 'no');
  const one = instance();
  await settle();
  store.failing = undefined;
  one.add();
  await settle(20_000);
  assert.deepEqual([one.count, store.puts], [1, 0]);
  const deployed = new GivenUp(`${readers} `);
  assert.equal(deployed.count, 1, 'a deploy hides nothing');
  deployed.looked();
  assert.equal(new GivenUp(`${readers} `).count, 0);
});

test('what stands in the store and is no count is none, and a key holds what a bucket takes', async () => {
  for (const value of ['', '{', '{"count":-1}', '{"count":"7"}', '{"count":1e400}', 'null']) {
    store.kept = { value, revision: 1 };
    const one = instance(value);
    await settle();
    assert.equal(one.count, 0, value);
  }
  assert.match(keyOf('given-up', 'a.b c', 'é*>'), /^given-up\.[-\w=]+\.[-\w=]+$/);
  assert.notEqual(keyOf('a.b', 'c'), keyOf('a', 'b.c'));
});

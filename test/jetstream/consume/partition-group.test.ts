import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Group, LENGTH, type Clock, type GroupStore } from '../../../nodes/jetstream/consume/partition-group';
import { onAbort } from '../../../nodes/shared/async/signals';

/** Longer by the environment; the seed of a run that failed makes it again. */
const SECONDS = Number(process.env.ORACLE_SECONDS ?? 15);
const SEED = Number(process.env.ORACLE_SEED ?? Date.now() % 1e6);
const PARTITIONS = 100;
const MOST = 12;
/** What the processes need to see a death and to write that; the lease is counted from the last beat before it. */
const NOBODYS = 2_000;

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Time that goes on from one thing that is due to the next. */
class World {
  time = 0;
  private due: { at: number; serial: number; run: () => void }[] = [];
  private serial = 0;

  at(ms: number, run: () => void): void {
    const entry = { at: this.time + Math.max(0, ms), serial: ++this.serial, run };
    const after = this.due.findIndex(({ at }) => at > entry.at);
    if (after < 0) this.due.push(entry);
    else this.due.splice(after, 0, entry);
  }

  async until(time: number): Promise<void> {
    for (let next = this.due[0]; next && next.at <= time; next = this.due[0]) {
      this.due.shift();
      this.time = next.at;
      next.run();
      await turn();
    }
    this.time = time;
  }
}

/** One store for all, by revisions; each has a way to it that takes time. */
class Store {
  readonly values = new Map<string, { value: string; revision: number }>();
  readonly listeners = new Set<(key: string, value: string) => void>();
  revision = 0;
  writes = 0;
  gets = 0;
}

/** A process: what it waits for comes late while it hangs, and never when it is dead. */
class Host {
  state: 'well' | 'hangs' | 'leaves' | 'dead' = 'well';
  private late: (() => void)[] = [];
  readonly group: Group;
  readonly working = new Map<number, number>();
  readonly ending = new Set<number>();

  constructor(
    readonly name: string,
    private readonly world: World,
    private readonly shared: Store,
    private readonly random: () => number,
    private readonly deaf: boolean,
  ) {
    const hooks = {
      changed: () => this.changed(),
      lapsed: () => undefined,
      layOut: () => this.answer(undefined),
      failed: (error: Error) => assert.fail(error),
    };
    this.group = new Group(this.store(), 'p', { partitions: PARTITIONS, filters: [] }, hooks, this.clock());
    this.group.start();
  }

  wake(): void {
    this.state = 'well';
    for (const run of this.late.splice(0)) run();
  }

  /** As its flow is: what is given up ends a little later. */
  private changed(): void {
    for (const partition of this.group.surplus) {
      if (this.ending.has(partition)) continue;
      this.ending.add(partition);
      this.world.at(5 + this.random() * 60, () =>
        this.hands(() => {
          this.ending.delete(partition);
          this.group.release(partition);
        }),
      );
    }
  }

  /** By what it knows itself it may work on it. */
  works(partition: number): boolean {
    return this.group.held && this.group.claim(partition) !== undefined;
  }

  private hands(run: () => void): void {
    if (this.state === 'dead') return;
    if (this.state === 'hangs') this.late.push(run);
    else run();
  }

  private answer<T>(value: T): Promise<T> {
    return new Promise((resolve) => this.world.at(this.way(), () => this.hands(() => resolve(value))));
  }

  private way(): number {
    return 0.5 + this.random() * (this.random() < 0.02 ? 200 : 3);
  }

  private store(): GroupStore {
    const { shared, world } = this;
    /** Done when the request arrives, told when the answer does. */
    const call = <T>(work: () => T): Promise<T> =>
      new Promise((resolve) =>
        world.at(this.way(), () => {
          const done = work();
          world.at(this.way(), () => this.hands(() => resolve(done)));
        }),
      );
    return {
      get: (key) => {
        shared.gets++;
        return call(() => shared.values.get(key));
      },
      put: (key, value, revision) =>
        call(() => {
          if ((shared.values.get(key)?.revision ?? 0) !== revision) return undefined;
          shared.writes++;
          shared.values.set(key, { value, revision: ++shared.revision });
          for (const listener of shared.listeners) listener(key, value);
          return shared.revision;
        }),
      listen: (_prefix, heard) => {
        if (this.deaf) return () => undefined;
        const listener = (key: string, value: string): void =>
          world.at(this.way(), () => this.hands(() => heard(key, value)));
        shared.listeners.add(listener);
        return () => shared.listeners.delete(listener);
      },
      remove: (key) => call(() => void shared.values.delete(key)),
    };
  }

  private clock(): Clock {
    const { world } = this;
    return {
      now: () => world.time,
      pause: (ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) return resolve();
          const forget = onAbort(signal, () => this.hands(resolve));
          world.at(ms, () =>
            this.hands(() => {
              forget();
              resolve();
            }),
          );
        }),
    };
  }
}

async function run(seed: number, seconds: number, deaf: boolean): Promise<string> {
  const random = randomOf(seed);
  const world = new World();
  const shared = new Store();
  const hosts: Host[] = [];
  let names = 0;
  const add = (): void => void hosts.push(new Host(`host ${++names}`, world, shared, random, deaf));
  for (let i = 0; i < 4; i++) add();
  await world.until(2_000);

  const since: number[] = Array.from({ length: PARTITIONS }, () => world.time);
  let longest = 0;
  let handed = 0;
  const lastBy: string[] = Array.from({ length: PARTITIONS }, () => '');
  const check = (): void => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const workers = hosts.filter((host) => host.state !== 'dead' && host.works(partition));
      assert.ok(
        workers.length <= 1,
        `seed ${seed}, at ${world.time}: partition ${partition} is in ${workers.map(({ name }) => name).join(' and ')}`,
      );
      const [worker] = workers;
      if (worker && worker.state !== 'hangs') {
        if (lastBy[partition] !== worker.name) handed++;
        lastBy[partition] = worker.name;
        since[partition] = world.time;
      }
      longest = Math.max(longest, world.time - (since[partition] ?? 0));
    }
  };

  const end = world.time + seconds * 1_000;
  let nextAct = world.time + 1_000;
  let moves = 0;
  while (world.time < end) {
    await world.until(world.time + 10);
    check();
    if (world.time < nextAct) continue;
    nextAct = world.time + 200 + random() * 2_500;
    const well = hosts.filter(({ state }) => state === 'well');
    const one = well[Math.floor(random() * well.length)];
    const act = random();
    moves++;
    if (act < 0.35 && well.length < MOST) add();
    else if (act < 0.6 && one && well.length > 2) {
      one.state = 'dead';
    } else if (act < 0.9 && one && well.length > 2) {
      one.state = 'hangs';
      world.at(random() * 4_000, () => one.wake());
    } else if (one && well.length > 2) {
      one.group.leave();
      one.group.owned.forEach((partition) => one.group.release(partition));
      one.state = 'leaves';
      void one.group.stop();
    }
  }
  assert.ok(longest <= NOBODYS, `seed ${seed}: a partition was nobody's for ${longest} ms`);

  // In the end each has its share.
  for (const host of hosts) if (host.state === 'hangs') host.wake();
  await world.until(world.time + 6_000);
  const { writes, gets } = shared;
  const from = world.time;
  await world.until(world.time + 10_000);
  const alive = hosts.filter(({ state }) => state === 'well');
  const owned = alive.map(({ group }) => group.owned.length);
  assert.equal(
    owned.reduce((a, b) => a + b, 0),
    PARTITIONS,
    `seed ${seed}: ${owned.join()}`,
  );
  assert.ok(Math.max(...owned) <= Math.ceil(PARTITIONS / alive.length), owned.join());
  const perSecond = (count: number): number => count / ((world.time - from) / 1_000) / alive.length;
  // At rest: its own record three times a lease, and looks at the table; whatever the number of partitions.
  assert.ok(
    perSecond(shared.writes - writes) < 1.1 * (3_000 / LENGTH),
    `${perSecond(shared.writes - writes)} writes`,
  );
  if (!deaf) assert.ok(perSecond(shared.gets - gets) < 4, `${perSecond(shared.gets - gets)} reads`);
  for (const { group } of alive) void group.stop();
  await world.until(world.time + 2_000);
  return `seed ${seed}: ${moves} came, died, hung or left; ${handed} hand-overs; nobody's for ${Math.round(longest)} ms at most; ${perSecond(writes).toFixed(0)} writes in all`;
}

describe('a hundred partitions, and instances that come, hang, die and leave', () => {
  test('a partition is in one instance at a time, and never without one for two seconds', async (t) => {
    for (const [i, deaf] of [false, false, true].entries()) t.diagnostic(await run(SEED + i, SECONDS, deaf));
  });
});

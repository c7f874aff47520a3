import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { escapeToken } from '../../../nodes/shared/token';
import { startApi, type Api } from '../../apis/api';
import { startNats } from '../../support/nats';
import { until } from '../../support/until';
import { chance } from '../oracle';
import { assertHistoryOf } from '../oracle-history';
import { keepCheckpoints, timeline } from '../oracle-timeline';
import { readTable } from '../table';
import { Instance } from './process';
import { USERS, type Users } from './users';
import { ApiWorld } from './world';

/** How long the storm lasts; longer by hand. */
const SECONDS = Number(process.env.ORACLE_SECONDS ?? 5);
const SEED = Number(process.env.ORACLE_SEED ?? 7);
/** "jira", or "zendesk:organizations"; all of them by default. */
const ONLY = process.env.ORACLE_OF ?? '';
const LEASE = 1_000;
const KINDS = ['kill at publishing', 'nats', 'kill', 'freeze', 'kill at publishing'] as const;

describe(
  'nothing is lost and nothing goes back while all is changed and everything is killed',
  { concurrency: 4 },
  () => {
    for (const users of USERS) {
      const name = `${users.provider}:${users.collection}`;
      if (name.includes(ONLY)) test(name, (t) => storm(t, users));
    }
  },
);

async function storm(t: TestContext, users: Users): Promise<void> {
  const { provider, collection } = users;
  const api = await startApi(provider, { latencyMs: 15, ...users.options });
  t.after(() => api.close());
  users.seed(api);
  const world = new ApiWorld(api, users);
  const nats = await startNats();
  t.after(() => nats.stop());
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 200 });
  t.after(() => nc.close());
  await keepCheckpoints(nc);
  const name = `${provider}:${collection}`;
  const { baseUrl, token } = api;
  // Zendesk's clients name the user with what the declaration adds.
  const user = api.user?.replace(/\/token$/, '');
  const settings = {
    nats: nats.url,
    provider,
    collection: name,
    baseUrl,
    user,
    token,
    lease: LEASE,
    hurried: true,
  };
  const instances = [new Instance(settings), new Instance(settings)];
  t.after(() => Promise.all(instances.map((instance) => instance.kill())));

  const { below } = chance(SEED + 1);
  const acting = act(world, users);
  t.after(() => acting.stop());
  const faults: Record<string, number> = {};
  const end = Date.now() + SECONDS * 1_000;
  // Where the machine is slow each kind comes all the same.
  for (let count = 0; count < KINDS.length || Date.now() < end; count++) {
    await wait(400 + below(1_600));
    const instance = instances[below(2)] as Instance;
    const kind = KINDS[count % KINDS.length] ?? 'kill';
    faults[kind] = (faults[kind] ?? 0) + 1;
    if (kind === 'nats') {
      await nats.kill();
      await wait(below(500));
      await nats.restart();
    } else if (kind === 'freeze') {
      // Longer than a lease: it wakes up with what it held, while another one is at work.
      instance.freeze();
      await wait(LEASE + 500 + below(500));
      instance.wake();
    } else {
      // Between what it publishes and what it saves behind that.
      if (kind === 'kill at publishing') await published(nc);
      await instance.kill();
      await wait(below(300));
      instance.start();
    }
  }
  await acting.stop();
  api.faults.clear();
  const wrong = async () => world.differences(await readTable(nc, escapeToken(name)));
  await until(async () => (await wrong()) === '', {
    // After a long storm there is more to catch up with.
    timeout: 30_000 + SECONDS * 2_000,
    interval: 300,
    what: 'the stream to be right',
  }).catch(async (error: Error) => {
    const id = (await wrong()).split(' ')[0] ?? '';
    for (const entry of await timeline(nc))
      if (entry.kind === 'record' && entry.subject.endsWith(`.${id}`))
        error.message += `\n${new Date(entry.at).toISOString()} ${entry.seq} ${entry.data}`;
    throw new Error(
      `${error.message}\n${await wrong()}\n${instances.map((instance) => instance.lines()).join('\n---\n')}`,
    );
  });
  const seen = await assertHistoryOf(world, { nc, lease: LEASE }).catch((error: Error) => {
    throw new Error(`${error.message}\n${instances.map((instance) => instance.lines()).join('\n---\n')}`);
  });
  t.diagnostic(JSON.stringify({ name, faults, done: acting.done, seen, refused: refusals(api) }));
  assert.ok(Object.values(acting.done).reduce((sum, count) => sum + count, 0) > 15, 'a storm');
}

/** Users act, and the API fails and refuses at random, until it is stopped. */
function act(world: ApiWorld, users: Users): { done: Record<string, number>; stop: () => Promise<void> } {
  const { api } = world;
  const of = chance(SEED);
  const done: Record<string, number> = {};
  const actions = users.actions(api, of);
  const total = actions.reduce((sum, [, weight]) => sum + weight, 0);
  let running = true;
  const ended = (async () => {
    while (running) {
      let at = of.next() * total;
      const [name, , take] = actions.find(([, weight]) => (at -= weight) < 0) ?? ['', 0, () => undefined];
      take();
      world.observe();
      done[name] = (done[name] ?? 0) + 1;
      if (of.below(20) === 0) fail(api, of.below);
      await wait(of.below(120));
    }
  })();
  return {
    done,
    stop: () => {
      running = false;
      return ended;
    },
  };
}

/** The next call or two fail. */
function fail(api: Api, below: (n: number) => number): void {
  const limited = { status: 429, headers: { 'Retry-After': '0' } };
  const actions = [
    limited,
    limited,
    { status: 503 },
    { status: 502 },
    { status: 500, after: true },
    { reset: 'before' as const },
    { reset: 'body' as const },
    { delayMs: 300 },
  ];
  api.faults.add({ action: actions[below(actions.length)] ?? limited, times: 1 + below(3) });
}

function refusals(api: Api): number {
  return api.requests().filter(({ status }) => status === 429 || status === 403).length;
}

/** The moment at which a record is published, or a while without one. */
async function published(nc: NatsConnection): Promise<void> {
  const subscription = nc.subscribe('sequin-records.>', { max: 1, timeout: 1_500 });
  try {
    for await (const _ of subscription) return;
  } catch {
    // Nobody is at work.
  }
}

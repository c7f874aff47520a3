import assert from 'node:assert/strict';
import { after, before, describe, mock, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { connect, type Msg, type NatsConnection } from 'nats';
import { Connection } from '../../nodes/jetstream/connection';
import { RequestMany, type Answer } from '../../nodes/jetstream/request-many';
import { FlowError } from '../../nodes/shared/errors';
import { watchHeartbeat } from '../support/heartbeat';
import { startNats, type Nats } from '../support/nats';
import { until } from '../support/until';

watchHeartbeat();

const never = new AbortController().signal;
const read = (answer: Answer): string => (answer instanceof FlowError ? answer.code : answer.string());
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('many requests', () => {
  let nats: Nats;
  let server: NatsConnection;
  let asked: Msg[] = [];

  before(async () => {
    nats = await startNats({ jetstream: false });
    server = await connect({ servers: nats.url });
    server.subscribe('ask.>', { callback: (_error, msg) => asked.push(msg) });
    server.subscribe('echo.>', { callback: (_error, msg) => void msg.respond(msg.subject.slice(5)) });
    await server.flush();
  });
  after(async () => {
    await server.close();
    await nats.stop();
  });

  async function open(t: TestContext, url = nats.url): Promise<RequestMany> {
    asked = [];
    const many = new RequestMany(new Connection({ servers: url, auth: 'none' }));
    t.after(() => many.close());
    await many.connection.ready(never);
    return many;
  }
  const send = (many: RequestMany, count: number, window: number, prefix = 'ask', signal = never) =>
    many.send(numbers(count), window, signal, { request: (n) => ({ subject: `${prefix}.${n}` }), read });
  /** Everything that was sent until now has arrived. */
  async function arrived(many: RequestMany): Promise<string[]> {
    for (let n = 0; n < 3; n++) await turn();
    await many.connection.open?.flush();
    await server.flush();
    return asked.map(({ subject }) => subject.slice(4));
  }

  test('each gets its own answer, whatever the order of the answers', async (t) => {
    const many = await open(t);
    const outcome = send(many, 3, 10);
    await until(() => asked.length === 3);
    for (const msg of asked.reverse()) msg.respond(`to ${msg.subject}`);
    assert.deepEqual(await outcome, ['to ask.0', 'to ask.1', 'to ask.2']);
    assert.deepEqual(
      await send(many, 2_500, 100, 'echo'),
      numbers(2_500).map((n) => String(n)),
    );
  });

  test('never more than the window is without an answer; half of it is awaited before more is sent', async (t) => {
    const many = await open(t);
    const outcome = send(many, 6, 4);
    await until(() => asked.length === 4);
    assert.deepEqual(await arrived(many), ['0', '1', '2', '3']);
    asked[0]?.respond('a');
    assert.deepEqual((await arrived(many)).length, 4);
    asked[1]?.respond('a');
    await until(() => asked.length === 6);
    asked.slice(2).forEach((msg) => void msg.respond('a'));
    assert.deepEqual(await outcome, ['a', 'a', 'a', 'a', 'a', 'a']);
  });

  test('one that nobody answers is not waited for', async (t) => {
    const many = await open(t);
    const outcome = many.send(numbers(3), 1, never, {
      request: (n) => ({ subject: `ask.${n}`, silent: n < 2 }),
      read,
    });
    await until(() => asked.length === 3);
    assert.deepEqual(
      asked.map(({ reply }) => Boolean(reply)),
      [false, false, true],
    );
    asked[2]?.respond('a');
    assert.deepEqual(Object.entries(await outcome), [['2', 'a']]);
  });

  test('without any answer for 10 s what is under way fails', async (t) => {
    const many = await open(t);
    await send(many, 1, 1, 'echo');
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const outcome = send(many, 3, 10);
    while (asked.length < 3) await arrived(many);
    mock.timers.tick(9_999);
    asked[0]?.respond('a');
    for (let n = 0; n < 3; n++) await arrived(many);
    mock.timers.tick(10_000);
    assert.deepEqual(await outcome, ['a', 'TIMEOUT', 'TIMEOUT']);
  });

  test('while disconnected it fails at once, what is under way and what is not sent yet', async (t) => {
    const own = await startNats({ jetstream: false });
    t.after(() => own.stop());
    const many = await open(t, own.url);
    const silent = await connect({ servers: own.url, reconnect: false });
    silent.subscribe('ask.>', { callback: () => undefined });
    await silent.flush();
    const outcome = send(many, 40_000, 1_000);
    let ended = false;
    void outcome.then(() => (ended = true));
    await arrived(many);
    let turns = 0;
    const count = (): void => {
      turns++;
      if (!ended) setImmediate(count);
    };
    await own.kill();
    count();
    await until(() => ended, { timeout: 5_000, what: 'all to fail, the server being away' });
    assert.deepEqual([...new Set(await outcome)], ['DISCONNECTED']);
    assert.ok(turns > 30, `the event loop had ${turns} turns`);
  });

  test('close: what is under way is answered CLOSED, and nothing more is sent', async (t) => {
    const many = await open(t);
    const user = many.connection.use({}); // the connection stays open for others
    t.after(user);
    const outcome = send(many, 6, 2);
    await until(() => asked.length === 2);
    await many.close();
    assert.deepEqual(
      await outcome,
      numbers(6).map(() => 'CLOSED'),
    );
    assert.equal((await arrived(many)).length, 2);
  });

  test('a signal ends it at each of its waits, and nothing more is sent', async (t) => {
    const many = await open(t);
    const aborted = AbortSignal.abort();
    await assert.rejects(send(many, 3, 10, 'ask', aborted), { code: 'CLOSED' });
    for (const window of [2, 10]) {
      asked = [];
      const stop = new AbortController();
      const outcome = send(many, 3, window, 'ask', stop.signal);
      await until(() => asked.length === Math.min(window, 3));
      stop.abort();
      await assert.rejects(outcome, { code: 'CLOSED' });
      assert.equal((await arrived(many)).length, Math.min(window, 3));
    }
    asked = [];
    const lonely = new RequestMany(new Connection({ servers: 'nats://127.0.0.1:1', auth: 'none' }));
    const stop = new AbortController();
    const outcome = send(lonely, 1, 1, 'ask', stop.signal);
    stop.abort();
    await assert.rejects(outcome, { code: 'CLOSED' });
    await lonely.close();
    assert.deepEqual(await arrived(many), []);
  });

  test("an answer that comes too late, or twice, is nobody else's", async (t) => {
    const many = await open(t);
    const stop = new AbortController();
    const first = send(many, 1, 1, 'ask', stop.signal);
    await until(() => asked.length === 1);
    stop.abort();
    await assert.rejects(first, { code: 'CLOSED' });
    const second = send(many, 2, 2);
    await until(() => asked.length === 3);
    asked[0]?.respond('late');
    asked[1]?.respond('a');
    asked[1]?.respond('b');
    asked[2]?.respond('c');
    assert.deepEqual(await second, ['a', 'c']);
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';
import {
  AckPolicy,
  connect,
  createInbox,
  headers,
  type ConsumerConfig,
  type Msg,
  type NatsConnection,
} from 'nats';
import { Pull, type PullProblem } from '../../../nodes/jetstream/consume/pull';
import { fakeClock, type FakeClock } from '../../support/clock';
import { watchHeartbeat } from '../../support/heartbeat';
import { openRoom, type Room } from '../room';

watchHeartbeat();

/** The clock of the machine, while the test's stands still. */
const realTime = performance.now.bind(performance);

interface Asked {
  batch: number;
  max_bytes?: number;
  expires: number;
  idle_heartbeat: number;
}

/** A pull on a durable of its own, on a real server; the clock and its timers are the test's. */
describe('pull', () => {
  let room: Room;
  let nc: NatsConnection;
  let serial = 0;
  let durable: string;
  let subject: string;
  let asked: Asked[];
  let messages: Msg[];
  let problems: PullProblem[];
  let alive: number;
  /** How many messages the flow holds. */
  let held: number;
  /** Bytes that there is room for. */
  let roomFor: number;
  let inbox: string;
  let pull: Pull;
  let clock: FakeClock;

  before(async () => {
    room = await openRoom();
    nc = await connect({ servers: room.nats.url });
  });
  after(async () => {
    await nc.close();
    await room.stop();
  });
  beforeEach(() => {
    clock = fakeClock();
    roomFor = Infinity;
  });
  afterEach(async () => {
    await pull.stop();
    clock.reset();
  });

  async function start(
    capacity: number,
    config: Partial<ConsumerConfig> | null = {},
    maxRequests?: number,
  ): Promise<void> {
    durable = `d${++serial}`;
    subject = `crm.${durable}`;
    inbox = createInbox();
    [asked, messages, problems, alive, held] = [[], [], [], 0, 0];
    const mine = asked;
    if (config) {
      room.nc.subscribe(`$JS.API.CONSUMER.MSG.NEXT.crm.${durable}`, {
        callback: (_error, msg) => mine.push(msg.json<Asked>()),
      });
      const durable_name = durable;
      const ack_policy = AckPolicy.Explicit;
      await room.jsm.consumers.add('crm', { durable_name, ack_policy, filter_subject: subject, ...config });
    }
    pull = open(capacity, undefined, maxRequests);
    await sent();
  }

  function open(capacity: number, domain?: string, maxRequests?: number): Pull {
    const [into, troubles] = [messages, problems];
    return new Pull({
      nc,
      inbox,
      domain,
      stream: 'crm',
      durable,
      capacity,
      maxRequests,
      inFlight: () => held,
      room: () => roomFor,
      onMessage: (msg) => {
        held++;
        into.push(msg);
      },
      onProblem: (problem) => void troubles.push(problem),
      onAlive: () => void alive++,
    });
  }

  /** What was asked for has arrived at the server, and what it sent until now has arrived here. */
  async function sent(): Promise<number[]> {
    await nc.flush();
    await room.nc.flush();
    await nc.flush();
    return asked.map(({ batch }) => batch);
  }
  /** Turns of real sockets; the clock stands. */
  async function until(condition: () => boolean): Promise<void> {
    const end = realTime() + 5_000;
    while (!condition()) {
      assert.ok(realTime() < end, `waited for ${condition.toString()}`);
      await sent();
    }
  }
  async function publish(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await room.nc.jetstream().publish(subject);
  }
  async function receive(count: number): Promise<void> {
    const total = messages.length + count;
    await publish(count);
    await until(() => messages.length === total);
  }
  /** The flow is done with so many. */
  function settle(count: number): void {
    for (const msg of messages.slice(0, count)) msg.respond('+ACK');
    held -= count;
  }
  const info = () => room.jsm.consumers.info('crm', durable);
  function pass(ms: number, step = Math.min(500, ms)): void {
    for (let passed = 0; passed < ms; passed += step) mock.timers.tick(step);
  }
  /** The server's word for the `id`th request, where it would take long to have it say so itself. */
  function say(id: number, code: number, text = ''): void {
    room.nc.publish(`${inbox}.${id}`, '', { headers: headers(code, text) });
  }

  describe('asks for what there is room for', () => {
    test('all of it at the start, for 5 s with a heartbeat every second', async () => {
      await start(10);
      assert.deepEqual(asked, [{ batch: 10, expires: 5e9, idle_heartbeat: 1e9 }]);
      await receive(3);
      assert.deepEqual([alive, problems, await sent()], [1, [], [10]]);
    });

    test('with some held, ack pending never exceeds the capacity, also a while later', async () => {
      await start(10);
      await receive(4);
      for (let n = 0; n < 5; n++) {
        pull.ask();
        pass(500);
      }
      settle(2);
      pull.ask();
      pass(20);
      await sent();
      await publish(30);
      await until(() => messages.length >= 12);
      for (let n = 0; n < 4; n++) {
        pull.ask();
        pass(500);
        await sent();
      }
      const { num_ack_pending, num_pending, num_waiting } = await info();
      assert.deepEqual([num_ack_pending, num_pending, num_waiting], [10, 22, 0]);
      assert.equal(messages.length, 12);
    });

    test('at once when a quarter of it is free, else gathered for 20 ms', async () => {
      await start(8);
      await receive(8);
      assert.deepEqual(await sent(), [8]);
      settle(2);
      pull.ask();
      assert.deepEqual(await sent(), [8, 2]);
      settle(1);
      pull.ask();
      assert.deepEqual(await sent(), [8, 2]);
      pass(10);
      pull.ask();
      pass(9);
      assert.deepEqual(await sent(), [8, 2]);
      pass(1);
      assert.deepEqual(await sent(), [8, 2, 1]);
      settle(1);
      pull.ask();
      pass(20);
      assert.deepEqual(await sent(), [8, 2, 1, 1]);
    });

    test('what was gathered is not asked for again after a request that took it', async () => {
      await start(8);
      await receive(8);
      settle(1);
      pull.ask();
      settle(1);
      pull.ask();
      pass(10);
      settle(1);
      pull.ask();
      pass(19);
      assert.deepEqual(await sent(), [8, 2], 'the 20 ms begin anew');
      pass(1);
      assert.deepEqual(await sent(), [8, 2, 1]);
    });

    test('not by itself when a request is served: the flow says when there is room', async () => {
      await start(8);
      await receive(7);
      settle(1);
      await receive(1);
      assert.deepEqual(await sent(), [8]);
    });

    test('requests are served in order', async () => {
      await start(8);
      await receive(8);
      settle(2);
      pull.ask();
      settle(2);
      pull.ask();
      assert.deepEqual(await sent(), [8, 2, 2]);
      await receive(3);
      say(2, 408, 'Request Timeout'); // served and forgotten
      await sent();
      assert.deepEqual(await sent(), [8, 2, 2]);
      say(3, 408, 'Request Timeout'); // one of its two is free
      await sent();
      pass(20);
      assert.deepEqual(await sent(), [8, 2, 2, 1]);
    });

    test('by the API of its domain', async () => {
      await start(4);
      const seen: string[] = [];
      room.nc.subscribe('$JS.hub.API.>', { callback: (_error, msg) => seen.push(msg.subject) });
      await room.nc.flush();
      const other = open(4, 'hub');
      await sent();
      await other.stop();
      assert.deepEqual(seen, [`$JS.hub.API.CONSUMER.MSG.NEXT.crm.${durable}`]);
    });
  });

  describe('asks for bytes', () => {
    const fill = async (...sizes: number[]): Promise<void> => {
      for (const size of sizes) await room.nc.jetstream().publish(subject, Buffer.alloc(size));
    };
    const wanted = () => asked.map(({ batch, max_bytes }) => [batch, max_bytes]);

    test('where there is a limit: half of it as long as nobody knows how large messages are', async () => {
      roomFor = 10_000;
      await start(8);
      assert.deepEqual(wanted(), [[8, 5_000]]);
    });

    test('by the largest message of late', async () => {
      roomFor = 1_000_000;
      await start(8);
      await fill(1_000);
      await until(() => messages.length === 1);
      settle(1);
      pull.ask();
      pass(20);
      await sent();
      assert.deepEqual(wanted().at(-1), [1, 2 * 1_512]);
    });

    test('never for more than the room that is left', async () => {
      roomFor = 10_000;
      await start(8);
      await fill(2_000, 2_000);
      await until(() => messages.length === 2);
      roomFor = 6_000;
      await fill(2_000);
      await until(() => wanted().length > 1);
      const left = (): number => wanted().reduce((sum, [, bytes = 0]) => sum + bytes, 0);
      assert.ok(left() <= 5_000 + 6_000, JSON.stringify(wanted()));
      for (const [batch] of wanted()) assert.ok((batch ?? 0) <= 8);
    });

    test('and for one message of any size where it is the only one', async () => {
      roomFor = 10_000;
      await start(8);
      await fill(50_000, 50_000);
      await until(() => messages.length === 1);
      assert.deepEqual(wanted().at(-1), [1, undefined]);
      pull.ask();
      pass(500);
      await sent();
      assert.equal(messages.length, 1, 'the second one waits for the first');
      settle(1);
      pull.ask();
      pass(20);
      await until(() => messages.length === 2);
      assert.deepEqual(problems, []);
    });

    test('and again as soon as there is room, when the server says that it has brought all', async () => {
      roomFor = 1_000_000;
      await start(2);
      await fill(100, 100);
      await until(() => messages.length === 2);
      settle(2);
      pull.ask();
      await fill(100);
      await until(() => messages.length === 3);
    });

    test('no more at once than the durable allows', async () => {
      roomFor = 100_000;
      await start(8, { max_bytes: 700 });
      await until(() => wanted().length === 2);
      assert.deepEqual(
        [wanted(), problems],
        [
          [
            [8, 50_000],
            [8, 700],
          ],
          [],
        ],
      );
      await fill(100);
      await until(() => messages.length === 1);
    });
  });

  describe('what the server says instead of a message', () => {
    test('that a request has expired: what was left of it is asked for again', async () => {
      for (const [code, text] of [
        [408, 'Request Timeout'],
        [404, 'No Messages'],
      ] as const) {
        await start(8);
        await receive(2);
        say(1, code, text);
        await until(() => asked.length === 2);
        assert.deepEqual([await sent(), problems], [[8, 6], []]);
        say(1, code, text); // once more, for the same one
        assert.deepEqual(await sent(), [8, 6]);
        await pull.stop();
      }
    });

    test('that it is idle: then it is alive, and nothing else changes', async () => {
      await start(8);
      say(1, 100, 'Idle Heartbeat');
      await sent();
      say(1, 100, 'Idle Heartbeat');
      await sent();
      pass(500);
      assert.deepEqual([alive, await sent(), problems], [1, [8], []]);
    });

    test('that there is no such durable: it is gone, and asked for again half a second later', async () => {
      await start(8, null);
      const gone = { kind: 'gone', text: 'nothing answers for this consumer' };
      await until(() => problems.length === 1);
      pull.ask();
      pass(499, 499);
      pull.ask();
      await sent();
      assert.deepEqual([problems, alive], [[gone], 0]);
      pass(1);
      await until(() => problems.length === 2);
      assert.deepEqual([problems, alive], [[gone, gone], 0]);
    });

    test('that the durable was deleted', async () => {
      await start(8);
      await room.jsm.consumers.delete('crm', durable);
      await until(() => problems.length === 1);
      assert.deepEqual(problems, [{ kind: 'gone', text: '409 Consumer Deleted' }]);
    });

    test('that it takes no request so large: smaller ones are made', async () => {
      await start(28, { max_batch: 12 });
      await until(() => asked.length > 1);
      assert.deepEqual(await sent(), [28, 12]);
      pass(500);
      assert.deepEqual([await sent(), problems], [[28, 12, 12], []]);
      pass(500);
      assert.deepEqual(await sent(), [28, 12, 12, 4]);
      await receive(28);
    });

    test('that no request may wait so long: shorter ones are made, with heartbeats that fit', async () => {
      await start(10, { max_expires: 1_500_000_000 });
      await until(() => asked.length > 1);
      assert.deepEqual(
        asked.map(({ expires, idle_heartbeat }) => [expires / 1e6, idle_heartbeat / 1e6]),
        [
          [5_000, 1_000],
          [1_500, 750],
        ],
      );
      await receive(10);
      assert.deepEqual(problems, []);
    });

    test('that it takes no more requests: as many as it takes are made, and nobody is troubled', async () => {
      await start(20, { max_waiting: 1 }, 1);
      await receive(8);
      settle(8);
      pull.ask();
      pass(1_000);
      const before = await sent();
      await receive(12);
      pass(500);
      assert.deepEqual([await sent(), problems], [[...before, 8], []]);
    });

    test('that it takes no more requests, while others have them: said with the way out', async () => {
      await start(4);
      say(1, 409, 'Exceeded MaxWaiting');
      await until(() => problems.length === 1);
      assert.equal(problems[0]?.kind, 'refused');
      assert.match(problems[0]?.text ?? '', /max_waiting.*raise it, or let fewer nodes share/);
      pass(500);
      assert.deepEqual(await sent(), [4, 4]);
    });

    test('that it is moving: asked again half a second later, and nobody is troubled', async () => {
      for (const text of ['Leadership Change', 'Server Shutdown']) {
        await start(8);
        say(1, 409, text);
        await sent();
        pull.ask();
        assert.deepEqual([await sent(), problems], [[8], []]);
        pass(500);
        assert.deepEqual(await sent(), [8, 8]);
        await pull.stop();
      }
    });

    test('anything else is a refusal in its own words, and asked again half a second later', async () => {
      await start(8);
      say(1, 409, 'Exceeded MaxRequestNobodyKnows of 100');
      say(7, 409, 'consumer not found');
      await sent();
      assert.deepEqual(problems, [
        { kind: 'refused', text: '409 Exceeded MaxRequestNobodyKnows of 100' },
        { kind: 'gone', text: '409 consumer not found' },
      ]);
      pass(500);
      assert.deepEqual(await sent(), [8, 8]);
    });

    test('nothing that makes sense is a refusal too, and no message', async () => {
      await start(8);
      room.nc.publish(`${inbox}.1`, 'hello', { reply: 'somewhere' });
      await sent();
      assert.deepEqual([problems, messages], [[{ kind: 'refused', text: '0 ' }], []]);
    });
  });

  describe('when the server says nothing', () => {
    test('for more than 3 s all is asked for again, and the second time it is told, once', async () => {
      await start(8);
      pass(3_000);
      assert.deepEqual(await sent(), [8]);
      pass(500);
      assert.deepEqual([await sent(), problems], [[8, 8], []]);
      pass(3_000);
      assert.deepEqual([await sent(), problems], [[8, 8], []]);
      pass(500);
      const silent = [{ kind: 'silent', text: 'the server sends no heartbeats' }];
      assert.deepEqual([await sent(), problems], [[8, 8, 8], silent]);
      pass(7_000);
      assert.deepEqual([(await sent()).length, problems], [5, silent]);
    });

    test('what it says in between begins the silence anew', async () => {
      await start(8);
      pass(3_500);
      say(1, 100, 'Idle Heartbeat');
      await sent();
      pass(3_500);
      assert.deepEqual([problems, (await sent()).length], [[], 3]);
      await receive(1);
      pass(3_000);
      assert.deepEqual([problems, (await sent()).length], [[], 3]);
    });

    test('that is no silence while nothing is asked for', async () => {
      await start(2);
      await receive(2);
      pass(20_000);
      assert.deepEqual([problems, await sent()], [[], [2]]);
    });

    test('about a request within 7 s the request is lost, and asked for again', async () => {
      await start(8);
      pass(2_500);
      await receive(1);
      pass(2_500);
      await receive(1);
      pass(2_000);
      assert.deepEqual(await sent(), [8], 'it may still be served');
      pass(500);
      assert.deepEqual([await sent(), problems], [[8, 6], []]);
    });
  });

  describe('after a reconnect', () => {
    test('all that there is room for is asked for anew, and the first answer tells that it is alive', async () => {
      await start(8);
      await receive(2);
      pass(10_000);
      await sent();
      await receive(1);
      asked.length = 0;
      pull.reset();
      assert.deepEqual([await sent(), alive], [[5], 1]);
      say(9, 100, 'Idle Heartbeat');
      await sent();
      assert.equal(alive, 2);
    });

    test('a connection that did not last 10 s gets a quarter at a time, however much the flow holds', async () => {
      await start(16);
      pass(9_999, 9_999);
      await sent();
      asked.length = 0;
      pull.reset();
      assert.deepEqual(await sent(), [4]);
      pass(500);
      assert.deepEqual(await sent(), [4]);
      await receive(4);
      assert.deepEqual(await sent(), [4, 4]);
      await receive(3);
      pull.ask();
      pass(20);
      assert.deepEqual(await sent(), [4, 4, 3]);
      pull.reset();
      pull.reset();
      pull.reset();
      assert.deepEqual((await sent()).slice(-3), [1, 1, 1], 'one at least');
    });

    test('one that lasts doubles that every 10 s until it is all', async () => {
      await start(16);
      pull.reset();
      const latest = async (): Promise<number | undefined> => (await sent()).at(-1);
      // The server's silence has all be asked for again every 3.5 s.
      pass(10_000);
      assert.deepEqual(await sent(), [16, 4, 4, 4]);
      pass(500);
      assert.equal(await latest(), 8);
      pass(10_000);
      assert.equal(await latest(), 8);
      pass(500);
      assert.equal(await latest(), 16);
      pass(31_500);
      assert.equal(await latest(), 16);
    });

    test('one that has lasted 10 s is sound', async () => {
      await start(16);
      pass(10_000, 10_000);
      await sent();
      asked.length = 0;
      pull.reset();
      assert.deepEqual(await sent(), [16]);
      pass(15_000);
      await sent();
      asked.length = 0;
      pull.reset();
      assert.deepEqual(await sent(), [16]);
    });
  });

  describe('stop', () => {
    test('asks for nothing more, and hands out what the server had already sent', async () => {
      await start(8);
      await receive(1);
      await publish(2);
      const stopping = pull.stop();
      pull.ask();
      pull.reset();
      pass(5_000);
      await stopping;
      await publish(1);
      assert.deepEqual([await sent(), messages.length], [[8], 3]);
    });

    test('ends on a closed connection too, and a closed connection is asked for nothing', async () => {
      await start(8);
      const own = await connect({ servers: room.nats.url });
      const options = { domain: undefined, stream: 'crm', durable, capacity: 8, inFlight: () => 0 };
      const nobody = { onMessage: () => undefined, onProblem: () => undefined, onAlive: () => undefined };
      const closed = new Pull({ nc: own, inbox: createInbox(), ...options, ...nobody });
      await own.close();
      closed.reset();
      closed.ask();
      pass(1_000);
      await closed.stop();
    });
  });
});

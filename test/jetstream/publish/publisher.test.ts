import assert from 'node:assert/strict';
import { after, before, describe, mock, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Msg } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Publisher, type Outgoing, type PublisherSettings } from '../../../nodes/jetstream/publish/publisher';
import { codeOf } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { startNats } from '../../support/nats';
import { until } from '../../support/until';
import { openRoom, type Room } from '../room';

watchHeartbeat();

const out = (subject: string, more: Partial<Outgoing> = {}): Outgoing => ({
  subject,
  data: 'x',
  headers: {},
  ...more,
});

const settings = (window: number, more: Partial<PublisherSettings> = {}): PublisherSettings => ({
  window,
  queue: 1_000,
  whenFull: 'fail',
  ...more,
});

describe('publisher', () => {
  let room: Room;
  let connection: Connection;
  let release: () => Promise<void>;
  /** What arrives on slow.>, where the test gives the PubAcks. */
  const slow: Msg[] = [];

  before(async () => {
    room = await openRoom();
    room.nc.subscribe('slow.>', { callback: (_error, msg) => slow.push(msg) });
    connection = new Connection({ servers: room.nats.url, auth: 'none' });
    release = connection.use({});
    await connection.ready(new AbortController().signal);
  });
  after(async () => {
    await release();
    await room.stop();
  });

  const give = (msg: Msg | undefined, ack: object = {}): void =>
    void msg?.respond(JSON.stringify({ stream: 'slow', seq: 1, ...ack }));
  /** Everything that was published until now has arrived. */
  async function arrived(): Promise<string[]> {
    await turn();
    await connection.open?.flush();
    await room.nc.flush();
    return slow.map((msg) => msg.subject.slice(5));
  }
  function start(t: TestContext, window: number): Publisher {
    slow.length = 0;
    const publisher = new Publisher(connection, settings(window));
    t.after(() => void publisher.stop());
    return publisher;
  }

  test('a queue of messages that none can be sent fails each by itself, and the one behind them goes out', async (t) => {
    slow.length = 0;
    const publisher = new Publisher(connection, settings(1, { queue: 30_000 }));
    t.after(() => void publisher.stop());
    const first = publisher.publish(out('slow.first'));
    const bad = Array.from({ length: 20_000 }, () =>
      publisher.publish(out('slow.bad', { headers: { 'X-Line': 'a\nb' } })),
    );
    const last = publisher.publish(out('slow.last'));
    await until(async () => (await arrived()).includes('first'));
    give(slow[0]);
    await first;
    const ends = await Promise.allSettled(bad);
    assert.ok(ends.every((end) => end.status === 'rejected' && codeOf(end.reason) === 'INVALID_HEADER'));
    await until(async () => (await arrived()).includes('last'));
    assert.deepEqual(await arrived(), ['first', 'last']);
    give(slow[1]);
    await last;
  });

  test('what waits when another instance may have it by now is not sent', async (t) => {
    const publisher = start(t, 1);
    const hold = { held: true };
    const first = publisher.publish(out('slow.first'), { hold });
    const waiting = publisher.publish(out('slow.waits'), { hold });
    const last = publisher.publish(out('slow.last'));
    await until(async () => (await arrived()).includes('first'));
    hold.held = false;
    give(slow[0]);
    await first;
    await assert.rejects(waiting, { code: 'TURN_LOST' });
    await until(async () => (await arrived()).includes('last'));
    give(slow[1]);
    await last;
    await assert.rejects(publisher.publish(out('slow.late'), { hold }), { code: 'TURN_LOST' });
    assert.deepEqual(await arrived(), ['first', 'last']);
  });

  test('gives the PubAck, and tells what the stream had already', async (t) => {
    const publisher = start(t, 1);
    const first = await publisher.publish(out('crm.a', { msgId: 'one' }));
    const again = await publisher.publish(out('crm.a', { msgId: 'one' }));
    const other = await publisher.publish(out('crm.a', { msgId: 'two' }));
    assert.deepEqual(
      [first, again, other],
      [
        { stream: 'crm', seq: 1, duplicate: false },
        { stream: 'crm', seq: 1, duplicate: true },
        { stream: 'crm', seq: 2, duplicate: false },
      ],
    );
    assert.equal(publisher.pending, 0);
  });

  test('headers go with the message, several values of one name too', async (t) => {
    const { seq } = await start(t, 1).publish(
      out('crm.h', { data: Buffer.from('bytes'), headers: { a: '1', b: ['2', '3'] } }),
    );
    const stored = await room.jsm.streams.getMessage('crm', { seq });
    assert.deepEqual(
      [stored.header.values('a'), stored.header.values('b'), stored.string()],
      [['1'], ['2', '3'], 'bytes'],
    );
    const { seq: bare } = await start(t, 1).publish(out('crm.h'));
    const answer = await room.nc.request('$JS.API.STREAM.MSG.GET.crm', JSON.stringify({ seq: bare }));
    assert.equal(answer.json<{ message: { hdrs?: string } }>().message.hdrs, undefined);
  });

  test('never more than the window is without a PubAck; the rest follows in order', async (t) => {
    const publisher = start(t, 2);
    const all = [1, 2, 3, 4, 5].map((n) =>
      publisher.publish(out(`slow.${n}`, n % 2 ? {} : { headers: { n: String(n) } })),
    );
    assert.deepEqual(await arrived(), ['1', '2']);
    assert.equal(publisher.pending, 5);
    give(slow[1]);
    await all[1];
    assert.deepEqual(await arrived(), ['1', '2', '3']);
    assert.equal(publisher.pending, 4);
    give(slow[0]);
    give(slow[2]);
    await all[2];
    assert.deepEqual(await arrived(), ['1', '2', '3', '4', '5']);
    slow.slice(3).forEach((msg) => give(msg));
    await Promise.all(all);
    assert.equal(publisher.pending, 0);
  });

  test('nobody slips in between one that ends and the next in line', async (t) => {
    const publisher = start(t, 1);
    const first = publisher.publish(out('slow.1'));
    const second = publisher.publish(out('slow.2'));
    assert.deepEqual(await arrived(), ['1']);
    // Sees every microtask in which the place might seem free.
    const late: Promise<unknown>[] = [];
    let watching = true;
    const watch = (): void => {
      if (!watching) return;
      if (publisher.pending === 1 && late.length === 0) late.push(publisher.publish(out('slow.3')));
      queueMicrotask(watch);
    };
    const ended = first.then(() => undefined);
    connection.open?.subscribe('poke', { callback: () => watch(), max: 1 });
    await connection.open?.flush();
    room.nc.publish('poke');
    give(slow[0]);
    await ended;
    watching = false;
    assert.deepEqual(await arrived(), ['1', '2']);
    give(slow[1]);
    await second;
    assert.deepEqual(await arrived(), ['1', '2', '3'].slice(0, 2 + late.length));
    give(slow[2]);
    await Promise.all(late);
  });

  test('one that fails makes room like one that succeeds', async (t) => {
    const publisher = start(t, 1);
    const refused = publisher.publish(out('nobody.takes.this'));
    const next = publisher.publish(out('crm.after'));
    await assert.rejects(refused, { code: 'NO_STREAM' });
    assert.equal((await next).stream, 'crm');
    assert.equal(publisher.pending, 0);
  });

  test('a subject that nothing may be published to is refused before its turn', async (t) => {
    const publisher = start(t, 1);
    const first = publisher.publish(out('slow.1'));
    for (const subject of ['a.>.b', 'a b', ''])
      await assert.rejects(publisher.publish(out(subject)), { code: 'INVALID_SUBJECT', retryable: false });
    assert.equal(publisher.pending, 1);
    assert.deepEqual(await arrived(), ['1']);
    give(slow[0]);
    await first;
  });

  test('without a PubAck for 5 s it fails, and says that it may be stored', async (t) => {
    const publisher = start(t, 1);
    mock.timers.enable({ apis: ['setTimeout'] });
    t.after(() => mock.timers.reset());
    const outcome = publisher.publish(out('slow.1')).catch((error: unknown) => error as { code: string });
    assert.deepEqual(await arrived(), ['1']);
    mock.timers.tick(4_999);
    await turn();
    assert.equal(publisher.pending, 1);
    mock.timers.tick(1);
    assert.equal(((await outcome) as { code: string }).code, 'TIMEOUT');
  });

  test('stop: what waits for its turn fails with CLOSED, what is sent ends by its own PubAck', async (t) => {
    const publisher = start(t, 1);
    const sent = publisher.publish(out('slow.1'));
    const waiting = [publisher.publish(out('slow.2')), publisher.publish(out('slow.3'))];
    await arrived();
    void publisher.stop();
    for (const outcome of waiting) await assert.rejects(outcome, { code: 'CLOSED' });
    await assert.rejects(publisher.publish(out('slow.4')), { code: 'CLOSED' });
    assert.equal(publisher.pending, 1);
    give(slow[0], { seq: 9, duplicate: true });
    assert.deepEqual(await sent, { stream: 'slow', seq: 9, duplicate: true });
    assert.deepEqual([await arrived(), publisher.pending], [['1'], 0]);
  });

  test('what is handed in goes out in that order, whether it has headers or waits', async (t) => {
    const publisher = start(t, 10);
    const all = [1, 2, 3, 4].map((n) =>
      publisher.publish(out(`slow.${n}`, n % 2 ? { headers: { a: '1' }, msgId: 'x' } : {})),
    );
    assert.deepEqual(await arrived(), ['1', '2', '3', '4']);
    slow.forEach((msg) => give(msg));
    await Promise.all(all);
  });

  for (const answer of [
    '{}',
    'null',
    'hello',
    '',
    '{"stream":"x"}',
    '{"seq":1}',
    '{"stream":"","seq":1}',
    '{"stream":"x","seq":0}',
    '{"stream":1,"seq":1}',
    '{"stream":"x","seq":"1"}',
    '{"stream":"x","seq":1.5}',
  ])
    test(`an answer ${JSON.stringify(answer)} is no PubAck`, async (t) => {
      const publisher = start(t, 1);
      const outcome = assert.rejects(publisher.publish(out('slow.1')), {
        code: 'NO_PUBACK',
        retryable: true,
        message: /What answers for "slow.1" is no stream/,
      });
      await arrived();
      slow[0]?.respond(answer);
      await outcome;
    });

  test('many go out while the turn of the event loop that hands them in still lasts, a few when it ends', async (t) => {
    const publisher = start(t, 1_000);
    const nc = connection.open;
    const before = nc?.stats().outMsgs ?? 0;
    const out63 = Array.from({ length: 63 }, (_, n) => publisher.publish(out(`slow.${n}`)));
    await Promise.resolve();
    assert.equal(nc?.stats().outMsgs, before);
    const last = publisher.publish(out('slow.63'));
    await Promise.resolve();
    assert.equal(nc?.stats().outMsgs, before + 64);
    assert.deepEqual(
      await arrived(),
      Array.from({ length: 64 }, (_, n) => String(n)),
    );
    slow.forEach((msg) => give(msg));
    await Promise.all([...out63, last]);
  });

  test('what the stream refuses says why', async (t) => {
    const publisher = start(t, 1);
    const outcome = assert.rejects(publisher.publish(out('slow.1')), {
      code: 'JETSTREAM_10071',
      message: /no such/,
    });
    await arrived();
    slow[0]?.respond('{"error":{"err_code":10071,"description":"no such"},"stream":"slow","seq":1}');
    await outcome;
  });

  test('headers that none can be are refused in words', async (t) => {
    const publisher = start(t, 1);
    for (const [headers, words] of [
      [{ 'a b': '1' }, /"a b" is not a header name/],
      [{ '': '1' }, /"" is not a header name/],
      [{ a: 'x\r\nNats-Rollup: all' }, /The header a holds a line break/],
    ] as const)
      await assert.rejects(publisher.publish(out('crm.h', { headers })), {
        code: 'INVALID_HEADER',
        retryable: false,
        message: words,
      });
    await assert.rejects(publisher.publish(out('crm.h', { msgId: 'a\nb' })), { code: 'INVALID_HEADER' });
    assert.equal(publisher.pending, 0);
  });

  test('headers larger than a stream takes are too large for good', async (t) => {
    await assert.rejects(start(t, 1).publish(out('crm.h', { headers: { a: 'x'.repeat(70_000) } })), {
      code: 'MESSAGE_TOO_LARGE',
      retryable: false,
      message: /headers .* are larger than a stream takes/,
    });
  });

  describe('that is full', () => {
    /** One in flight, two waiting. */
    async function full(t: TestContext, whenFull: 'hold' | 'fail', changed?: () => void) {
      slow.length = 0;
      const publisher = new Publisher(connection, settings(1, { queue: 2, whenFull }), changed);
      const all = [1, 2, 3].map((n) => publisher.publish(out(`slow.${n}`)));
      const settled = Promise.allSettled(all);
      t.after(async () => {
        const stopped = publisher.stop();
        slow.forEach((msg) => give(msg));
        await Promise.all([stopped, settled]);
      });
      await arrived();
      assert.deepEqual([publisher.waiting, publisher.pending], [2, 3]);
      return publisher;
    }

    test('fails what comes, and takes more as soon as there is room', async (t) => {
      const publisher = await full(t, 'fail');
      await assert.rejects(publisher.publish(out('slow.4'), { stops: true }), {
        code: 'QUEUE_FULL',
        retryable: true,
        message: /^2 messages wait to be published already/,
      });
      give(slow[0]);
      await until(() => publisher.waiting === 1);
      void publisher.publish(out('slow.5')).catch(() => undefined);
      assert.equal(publisher.waiting, 2);
    });

    test('by bytes as by count; one that is larger than the limit waits alone', async (t) => {
      slow.length = 0;
      const publisher = new Publisher(connection, settings(1, { queueBytes: 2_048 }));
      const settled: Promise<unknown>[] = [];
      const publish = (bytes: number) => {
        const published = publisher.publish(out('slow.b', { data: Buffer.alloc(bytes) }));
        settled.push(published.catch(() => undefined));
        return published;
      };
      t.after(async () => {
        const stopped = publisher.stop();
        slow.forEach((msg) => give(msg));
        await Promise.all([stopped, ...settled]);
      });
      void publish(1);
      await arrived();
      void publish(1_500);
      void publish(548);
      await assert.rejects(publish(1), {
        code: 'QUEUE_FULL',
        retryable: true,
        message: /^2 messages with 2KiB, the most, wait to be published already/,
      });
      give(slow[0]);
      await until(() => publisher.waiting === 1);
      void publish(1_500);
      assert.equal(publisher.waiting, 2);
      give(slow[1]);
      give(await until(() => slow[2]));
      await until(() => publisher.waiting === 0);
      void publish(5_000);
      assert.equal(publisher.waiting, 1);
      await assert.rejects(publish(1), { code: 'QUEUE_FULL' });
    });

    test('holds what comes from a sender that stops, and fails the rest', async (t) => {
      const publisher = await full(t, 'hold');
      const pauses: string[] = [];
      const sender = {
        stops: true,
        pause: () => {
          pauses.push('paused');
          return () => void pauses.push('resumed');
        },
      };
      const held = publisher.publish(out('slow.4'), sender);
      assert.deepEqual([publisher.waiting, pauses], [3, ['paused']]);
      await assert.rejects(publisher.publish(out('slow.5'), { stops: false }), { code: 'QUEUE_FULL' });
      await assert.rejects(publisher.publish(out('slow.5')), { code: 'QUEUE_FULL' });
      for (const n of [0, 1, 2]) {
        assert.deepEqual(pauses, ['paused']);
        give(slow[n]);
        await until(async () => (await arrived()).length === n + 2);
      }
      assert.deepEqual(pauses, ['paused', 'resumed']);
      give(slow[3]);
      assert.equal((await held).stream, 'slow');
      assert.deepEqual(await arrived(), ['1', '2', '3', '4']);
    });

    test('tells each change of what waits, and a stop ends the pauses', async (t) => {
      let changes = 0;
      const publisher = await full(t, 'hold', () => changes++);
      assert.equal(changes, 2);
      let resumed = 0;
      const held = publisher.publish(out('slow.4'), { stops: true, pause: () => () => resumed++ });
      assert.equal(changes, 3);
      give(slow[0]);
      await until(() => publisher.waiting === 2);
      assert.deepEqual([changes, resumed], [4, 0]);
      void publisher.stop();
      await assert.rejects(held, { code: 'CLOSED' });
      assert.equal(resumed, 1);
    });
  });

  test('what waits for the connection counts too, and goes out in order when there is one', async (t) => {
    const lonely = new Connection({ servers: room.nats.url, auth: 'none' });
    const publisher = new Publisher(lonely, settings(2, { queue: 3 }));
    const all = [1, 2, 3].map((n) => publisher.publish(out(`crm.order.${n}`)));
    await assert.rejects(publisher.publish(out('crm.order.4')), { code: 'QUEUE_FULL' });
    assert.deepEqual([publisher.waiting, publisher.pending], [3, 3]);
    t.after(lonely.use({}));
    const [a = 0, b = 0, c = 0] = (await Promise.all(all)).map(({ seq }) => seq);
    assert.deepEqual([b - a, c - b], [1, 1]);
    assert.equal(publisher.waiting, 0);
  });

  test('stop resolves when what was sent has ended', async (t) => {
    const publisher = start(t, 2);
    const sent = [publisher.publish(out('slow.1')), publisher.publish(out('slow.2'))];
    await arrived();
    let over = false;
    const stopped = publisher.stop().then(() => (over = true));
    give(slow[0]);
    await sent[0];
    await turn();
    assert.equal(over, false);
    give(slow[1]);
    await Promise.all([sent[1], stopped]);
    await publisher.stop();
  });

  test('a connection that is closed under a message says so, and not that time is over', async () => {
    slow.length = 0;
    const short = new Connection({ servers: room.nats.url, auth: 'none' });
    const over = short.use({});
    const nc = await short.ready(new AbortController().signal);
    const outcome = assert.rejects(new Publisher(short, settings(1)).publish(out('slow.1')), {
      code: 'DISCONNECTED',
    });
    await nc.flush();
    await over();
    await outcome;
  });

  test('waits for a connection, and stop ends the wait', async () => {
    const lonely = new Connection({ servers: room.nats.url, auth: 'none' });
    const stopped = new Publisher(lonely, settings(1));
    const waiting = new Publisher(lonely, settings(1));
    const [lost, kept] = [stopped.publish(out('crm.w')), waiting.publish(out('crm.w'))];
    await turn();
    void stopped.stop();
    await assert.rejects(lost, { code: 'CLOSED' });
    const over = lonely.use({});
    assert.equal((await kept).stream, 'crm');
    await over();
  });

  test('many may wait for a connection at once, without a word of warning', async (t) => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    t.after(() => process.off('warning', warned));
    const publisher = new Publisher(new Connection({ servers: room.nats.url, auth: 'none' }), settings(100));
    const all = Array.from({ length: 50 }, () => publisher.publish(out('crm.w')));
    await turn();
    void publisher.stop();
    await Promise.allSettled(all);
    await turn();
    assert.deepEqual(warnings, []);
  });

  test('a domain is asked by its own API', async (t) => {
    const nats = await startNats({ config: 'jetstream { domain: hub }', jetstream: false });
    t.after(() => nats.stop());
    const hub = new Connection({ servers: nats.url, auth: 'none', domain: 'hub' });
    const over = hub.use({});
    t.after(over);
    const error = await new Publisher(hub, settings(1))
      .publish(out('crm.a'))
      .catch((thrown: unknown) => thrown);
    assert.match((error as Error).message, /No stream takes "crm.a" in the domain "hub"/);
  });

  test('an age of its own is refused where the server would keep the message for ever', async (t) => {
    const nats = await startNats({ version: '2.10' });
    t.after(() => nats.stop());
    const old = new Connection({ servers: nats.url, auth: 'none' });
    t.after(old.use({}));
    const publisher = new Publisher(old, settings(1));
    await assert.rejects(publisher.publish(out('crm.ttl', { headers: { a: '1', 'nats-TTL': '1h' } })), {
      code: 'SERVER_TOO_OLD',
      retryable: false,
      message: /needs nats-server 2.11 or newer; this is 2\.10\..*: remove it/,
    });
    await assert.rejects(publisher.publish(out('crm.ttl', { headers: { a: '1' } })), { code: 'NO_STREAM' });
    const config = { name: 'ttl', subjects: ['ttl'], allow_msg_ttl: true };
    if ((room.nc.info?.version ?? '') < '2.11') return;
    await room.nc.request('$JS.API.STREAM.CREATE.ttl', JSON.stringify(config));
    const current = new Publisher(connection, settings(1));
    assert.equal((await current.publish(out('ttl', { headers: { 'Nats-TTL': '1h' } }))).stream, 'ttl');
  });
});

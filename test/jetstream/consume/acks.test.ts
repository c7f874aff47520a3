import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { Acks } from '../../../nodes/jetstream/consume/acks';
import { watchHeartbeat } from '../../support/heartbeat';
import { startNats, type Nats } from '../../support/nats';

watchHeartbeat();

describe('acknowledgements', () => {
  let nats: Nats;
  /** The consumer's connection, and one that sees what arrives at the server. */
  let nc: NatsConnection;
  let server: NatsConnection;
  let arrived: string[] = [];
  /** What the consumer knows of its connection. */
  let open: NatsConnection | undefined;
  let acks: Acks;

  before(async () => {
    nats = await startNats({ jetstream: false });
    [nc, server] = await Promise.all([connect({ servers: nats.url }), connect({ servers: nats.url })]);
    server.subscribe('ack.>', {
      callback: (_error, msg) => arrived.push(`${msg.subject.slice(4)} ${msg.string()}`),
    });
    await server.flush();
  });
  after(async () => {
    await Promise.all([nc.close(), server.close()]);
    await nats.stop();
  });
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    arrived = [];
    open = nc;
    acks = new Acks(() => open);
  });
  afterEach(() => mock.timers.reset());

  /** What has arrived at the server since the last look. */
  async function heard(): Promise<string[]> {
    // What is said within a turn goes out at its end: a ping before that would be answered before.
    await new Promise((resolve) => setImmediate(resolve));
    await nc.flush();
    await server.flush();
    // What was asked whether it was read is known to be a turn after the answer.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    return arrived.splice(0);
  }

  test('each goes out in the words of the server, a delay in whole nanoseconds', async () => {
    acks.ack('ack.1');
    acks.term('ack.2');
    acks.nak('ack.3', 0);
    acks.nak('ack.4', 1_500);
    acks.nak('ack.5', 0.0000014);
    acks.progress('ack.6');
    assert.deepEqual(await heard(), [
      '1 +ACK',
      '2 +TERM',
      '3 -NAK',
      '4 -NAK {"delay":1500000000}',
      '5 -NAK {"delay":1}',
      '6 +WPI',
    ]);
  });

  test('what the server has read is not sent again', async () => {
    acks.ack('ack.1');
    await acks.settle();
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  describe('refused for want of a right', () => {
    let granted: number;
    beforeEach(() => {
      granted = 0;
      acks = new Acks(
        () => open,
        () => granted++,
      );
    });

    /** What was tried again two seconds later has come to an end. */
    async function tried(): Promise<void> {
      mock.timers.tick(2_000);
      for (let turn = 0; turn < 3; turn++) {
        await nc.flush();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }

    test('it is kept, and said again when the server takes such words', async () => {
      acks.nak('ack.1', 1_500);
      acks.refused('ack.1');
      await heard();
      await tried();
      assert.deepEqual(new Set(await heard()), new Set(['1 -NAK {"delay":1500000000}']));
      assert.equal(granted, 1);
    });

    test('nothing is said of it once the node is stopped', async () => {
      acks.refused('ack.1');
      mock.timers.tick(2_000);
      await acks.settle();
      await tried();
      assert.equal(granted, 0);
    });
  });

  test('what it has not read is sent again after a reconnect, until it has', async () => {
    acks.ack('ack.1');
    acks.nak('ack.2', 5);
    await heard();
    acks.repeat();
    acks.repeat();
    const twice = ['1 +ACK', '2 -NAK {"delay":5000000}'];
    assert.deepEqual(await heard(), [...twice, ...twice]);
    await acks.settle();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('what is said while there is no connection is sent when there is one', async () => {
    open = undefined;
    acks.ack('ack.1');
    await acks.settle();
    mock.timers.tick(1_000);
    open = nc;
    assert.deepEqual(await heard(), []);
    acks.repeat();
    assert.deepEqual(await heard(), ['1 +ACK']);
  });

  test('what is said while the server is asked counts as read only by the next answer', async () => {
    acks.ack('ack.1');
    const first = acks.settle();
    acks.ack('ack.2');
    const second = acks.settle();
    acks.ack('ack.3');
    await Promise.all([first, second]);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), ['3 +ACK']);
  });

  test('the latest word on a delivery is the one that is sent again', async () => {
    open = undefined;
    acks.nak('ack.1', 0);
    acks.ack('ack.1');
    open = nc;
    acks.repeat();
    assert.deepEqual(await heard(), ['1 +ACK']);
  });

  test('an extension is not sent again: the next one comes in time', async () => {
    acks.progress('ack.1');
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('200 ms after a word the server is asked whether it has read it', async () => {
    acks.ack('ack.1');
    mock.timers.tick(150);
    acks.ack('ack.2');
    mock.timers.tick(49);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), ['1 +ACK', '2 +ACK'], 'not asked before');
    mock.timers.tick(1);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('and asked again for what is said later', async () => {
    acks.ack('ack.1');
    mock.timers.tick(200);
    await heard();
    acks.ack('ack.2');
    mock.timers.tick(200);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('and asked 200 ms after they were sent again', async () => {
    open = undefined;
    acks.ack('ack.1');
    mock.timers.tick(200);
    open = nc;
    acks.repeat();
    mock.timers.tick(200);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('the answer counts for what was said before the question', async () => {
    acks.ack('ack.1');
    acks.nak('ack.2', 0);
    const settled = acks.settle();
    open = undefined; // the two below are dropped
    acks.term('ack.2');
    acks.ack('ack.3');
    open = nc;
    await settled;
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), ['2 +TERM', '3 +ACK']);
  });

  test('the answer of a new connection says nothing of what the lost one dropped', async () => {
    open = undefined;
    acks.ack('ack.1');
    acks.interrupt();
    open = nc;
    await acks.settle();
    mock.timers.tick(200);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), ['1 +ACK']);
    await acks.settle();
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('what was said to a consumer that was made anew is not sent to the new one', async () => {
    open = undefined;
    acks.ack('ack.1');
    acks.forget();
    open = nc;
    acks.repeat();
    assert.deepEqual(await heard(), []);
  });

  test('settle ends when the server has read what was said, also what it was asked about before', async () => {
    nats.suspend();
    try {
      acks.ack('ack.1');
      mock.timers.tick(200);
      let settled = false;
      const settling = acks.settle().then(() => (settled = true));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(settled, false);
      nats.resume();
      await settling;
    } finally {
      nats.resume();
    }
    assert.deepEqual(await heard(), ['1 +ACK']);
  });

  test('settle leaves nothing to be asked later', async () => {
    acks.ack('ack.1');
    await acks.settle();
    await heard();
    open = undefined;
    acks.ack('ack.2');
    open = nc;
    mock.timers.tick(199);
    await heard();
    acks.repeat();
    assert.deepEqual(await heard(), ['2 +ACK'], 'its 200 ms begin with it');
  });

  test('a connection that breaks while it is asked, or is closed, leaves what was said for the next one', async () => {
    mock.timers.reset();
    const own = await startNats({ jetstream: false });
    const broken = await connect({ servers: own.url, reconnectTimeWait: 20, reconnectJitter: 0 });
    open = broken;
    own.suspend();
    acks.ack('ack.1');
    const settling = acks.settle();
    await own.kill();
    await settling;
    await broken.close();
    acks.ack('ack.2');
    acks.progress('ack.3');
    await acks.settle();
    await own.stop();
    open = nc;
    acks.repeat();
    assert.deepEqual(await heard(), ['1 +ACK', '2 +ACK']);
  });
});

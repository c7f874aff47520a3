import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import {
  BatchPublisher,
  WRONG_LAST_SEQUENCE,
  type BatchMessage,
} from '../../../nodes/jetstream/publish/batches';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { LastMessages } from '../../../nodes/jetstream/publish/last-messages';
import type { Published } from '../../../nodes/jetstream/publish/pub-ack';
import { RequestMany } from '../../../nodes/jetstream/publish/request-many';
import { FlowError } from '../../../nodes/shared/errors';
import { startNats, type Nats, type NatsOptions } from '../../support/nats';

const never = new AbortController().signal;

interface Rig {
  nats: Nats;
  nc: NatsConnection;
  publisher: BatchPublisher;
  last: LastMessages;
  stream: (config?: object) => Promise<void>;
  headers: (sequence: number) => Promise<Map<string, string>>;
}

async function rig(t: TestContext, options: NatsOptions = {}, settings: object = {}): Promise<Rig> {
  const nats = await startNats(options);
  t.after(() => nats.stop());
  const nc = await connect({
    servers: nats.url,
    ...(options.config ? { user: 'admin', pass: 'admin' } : {}),
  });
  t.after(() => nc.close());
  const jsm = await nc.jetstreamManager();
  const connection = new Connection({ servers: nats.url, auth: 'none', ...settings });
  const requests = new RequestMany(connection);
  t.after(() => requests.close());
  return {
    nats,
    nc,
    publisher: new BatchPublisher(requests),
    last: new LastMessages(requests, 'S'),
    stream: async (config = {}) => {
      await jsm.streams.add({ name: 'S', subjects: ['s.>'], max_msgs_per_subject: 1, ...config });
    },
    headers: async (seq) => {
      const { header } = await jsm.streams.getMessage('S', { seq });
      return new Map([...header].map(([key, [value = '']]) => [key, value]));
    },
  };
}

const message = (id: string | number, more: Partial<BatchMessage> = {}): BatchMessage => ({
  subject: `s.${id}`,
  data: `{"id":"${id}"}`,
  msgId: `id-${id}`,
  ...more,
});
const many = (count: number, more: Partial<BatchMessage> = {}): BatchMessage[] =>
  Array.from({ length: count }, (_, i) => message(i, more));
const code = (outcome: unknown): string | undefined =>
  outcome instanceof FlowError ? outcome.code : undefined;

describe('publishing many', () => {
  test('goes in atomic batches where the server and the stream have them', async (t) => {
    const { publisher, stream, headers } = await rig(t, { version: 'latest' });
    await stream({ allow_atomic: true });
    const outcomes = (await publisher.publish(many(2_500, { expected: 0 }), never)) as Published[];
    assert.deepEqual(
      outcomes.map(({ seq }) => seq).sort((a, b) => a - b),
      Array.from({ length: 2_500 }, (_, i) => i + 1),
    );
    const stored = await headers(outcomes[1_700]?.seq ?? 0);
    assert.equal(stored.get('Nats-Msg-Id'), 'id-1700');
    assert.equal(stored.get('Nats-Batch-Sequence'), '701');
  });

  for (const [name, options, config] of [
    ['on an older server', { version: '2.10' }, {}],
    ['where the stream takes no batches', { version: 'latest' }, {}],
  ] as const) {
    test(`is pipelined ${name}`, async (t) => {
      const { publisher, stream, headers } = await rig(t, options);
      await stream(config);
      const outcomes = (await publisher.publish(many(2_500), never)) as Published[];
      const stored = await headers(outcomes[1_700]?.seq ?? 0);
      assert.equal(stored.get('Nats-Msg-Id'), 'id-1700');
      assert.equal(stored.has('Nats-Batch-Id'), false);
    });
  }

  for (const version of ['latest', '2.10'] as const) {
    test(`one message that is there already does not spoil the others (${version})`, async (t) => {
      const { publisher, stream, nc } = await rig(t, { version });
      await stream({ allow_atomic: true });
      await nc.jetstream().publish('s.2', 'x', { msgID: 'id-2' });
      const outcomes = (await publisher.publish(many(4), never)) as Published[];
      assert.deepEqual(
        outcomes.map(({ duplicate }) => duplicate),
        [false, false, true, false],
      );
      assert.equal(outcomes[2]?.seq, 1);
    });

    test(`one message whose subject has moved on is refused alone (${version})`, async (t) => {
      const { publisher, stream, nc } = await rig(t, { version });
      await stream({ allow_atomic: true });
      await nc.jetstream().publish('s.2', 'newer');
      const outcomes = await publisher.publish(many(4, { expected: 0 }), never);
      assert.deepEqual(outcomes.map(code), [undefined, undefined, WRONG_LAST_SEQUENCE, undefined]);
    });

    test(`of two writers that see nothing one is refused, whichever way they publish (${version})`, async (t) => {
      const { publisher, stream } = await rig(t, { version });
      await stream({ allow_atomic: true });
      for (const atomic of [true, false]) {
        publisher.atomic = atomic;
        const first = [message(`${atomic}1`, { expected: 0 }), message(`${atomic}2`, { expected: 0 })];
        const second = first.map((each) => ({ ...each, msgId: `${each.msgId} of another` }));
        assert.deepEqual((await publisher.publish(first, never)).map(code), [undefined, undefined]);
        const refused = [WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE];
        assert.deepEqual((await publisher.publish(second, never)).map(code), refused);
      }
    });

    test(`one message that is too large fails alone (${version})`, async (t) => {
      const { publisher, stream } = await rig(t, { version, config: 'max_payload: 10000' });
      await stream({ allow_atomic: true });
      const messages = [...many(3), message('big', { data: 'x'.repeat(20_000) })];
      const outcomes = await publisher.publish(messages, never);
      assert.deepEqual(outcomes.map(code), [undefined, undefined, undefined, 'MESSAGE_TOO_LARGE']);
    });

    test(`a missing stream is named (${version})`, async (t) => {
      const { publisher } = await rig(t, { version });
      assert.deepEqual((await publisher.publish(many(2), never)).map(code), ['NO_STREAM', 'NO_STREAM']);
    });

    test(`a refused subject fails with the right that is missing (${version})`, async (t) => {
      const config = `authorization { users: [ { user: admin, password: admin }, { user: weak, password: weak,
        permissions: { publish: ["s.1", "s.2"], subscribe: "_INBOX.>" } } ] }`;
      const { publisher, stream } = await rig(
        t,
        { version, config },
        { auth: 'userpass', user: 'weak', password: 'weak' },
      );
      await stream({ allow_atomic: true });
      const outcomes = await publisher.publish([message(1), message(2), message(3)], never);
      assert.ok(outcomes.map(code).includes('PERMISSION_DENIED'));
    });

    test(`last messages are read, with and without direct gets (${version})`, async (t) => {
      for (const allow_direct of [true, false]) {
        const { publisher, stream, last } = await rig(t, { version });
        await stream({ allow_direct });
        await publisher.publish(many(1_200), never);
        const found = await last.read(['s.7', 's.none', 's.1100'], never);
        assert.deepEqual(
          found.map((entry) => entry?.data),
          ['{"id":"7"}', undefined, '{"id":"1100"}'],
        );
        assert.equal(found[0]?.seq, 8);
      }
    });
  }

  test('what was under way when the server went fails, and works again when it is back', async (t) => {
    const { publisher, stream, nats } = await rig(t);
    await stream();
    await publisher.publish(many(2), never);
    nats.suspend();
    const outcome = publisher.publish([message('a')], never);
    await nats.kill();
    assert.deepEqual((await outcome).map(code), ['DISCONNECTED']);
    const next = publisher.publish([message('b')], never);
    await nats.restart();
    assert.deepEqual((await next).map(code), [undefined]);
  });

  test('stops when it is told to', async (t) => {
    const { publisher, stream, nats } = await rig(t);
    await stream();
    await publisher.publish(many(2), never);
    const stop = new AbortController();
    nats.suspend();
    const outcome = publisher.publish([message('a')], stop.signal);
    stop.abort();
    await assert.rejects(outcome, { code: 'CLOSED' });
    nats.resume();
  });
});

for (const answer of ['{}', '{"stream":"S"}', '{"seq":1}', '{"batch":"x","count":2}', 'hello'])
  test(`an answer ${answer} of somebody who is no stream is no PubAck, in a batch neither`, async (t) => {
    const { nc, publisher } = await rig(t);
    nc.subscribe('s.>', { callback: (_error, msg) => void (msg.reply && msg.respond(answer)) });
    await nc.flush();
    for (const outcome of await publisher.publish(many(3), never)) {
      assert.ok(outcome instanceof FlowError);
      assert.deepEqual([outcome.code, outcome.retryable], ['NO_PUBACK', true]);
    }
  });

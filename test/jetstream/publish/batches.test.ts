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
import type { StreamConfig } from '../../../nodes/jetstream/streams/stream';
import { FlowError } from '../../../nodes/shared/errors';
import { startNats, type Nats, type NatsOptions } from '../../support/nats';

const never = new AbortController().signal;

interface Rig {
  nats: Nats;
  nc: NatsConnection;
  publisher: BatchPublisher;
  last: LastMessages;
  stream: (config?: object) => Promise<void>;
  stored: () => Promise<number>;
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
  const publisher = new BatchPublisher(requests);
  return {
    nats,
    nc,
    publisher,
    last: new LastMessages(requests, 'S'),
    stream: async (config = {}) => {
      await jsm.streams.add({ name: 'S', subjects: ['s.>'], max_msgs_per_subject: 1, ...config });
      const { config: made } = (await jsm.streams.info('S')) as { config: Partial<StreamConfig> };
      publisher.batches = { atomic: made.allow_atomic === true, fast: made.allow_batched === true };
    },
    stored: async () => (await jsm.streams.info('S')).state.last_seq,
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
/** What a backfill publishes. */
const bare = (count: number): BatchMessage[] => many(count, { expected: 0, msgId: undefined });
const code = (outcome: unknown): string | undefined =>
  outcome instanceof FlowError ? outcome.code : undefined;

describe('publishing many in fast batches', () => {
  const version = 'latest';
  const isFast = (outcome: unknown): boolean =>
    !(outcome instanceof FlowError) && (outcome as Published).seq === undefined;

  test('they are used where the stream has them and a repeat is harmless', async (t) => {
    const { publisher, stream, stored } = await rig(t, { version });
    await stream({ allow_batched: true, allow_atomic: true });
    assert.ok((await publisher.publish(bare(2_500), never)).every(isFast));
    assert.equal(await stored(), 2_500);
    for (const [name, more] of [
      ['a', { expected: 0 }],
      ['b', { msgId: undefined }],
    ] as const) {
      const messages = [message(`${name}1`, more), message(`${name}2`, more)];
      assert.equal((await publisher.publish(messages, never)).some(isFast), false);
    }
  });

  for (const at of [0, 1, 3])
    test(`where one is refused (${at}) all are sent alone, and none is stored twice`, async (t) => {
      const { publisher, stream, stored, nc } = await rig(t, { version });
      await stream({ allow_batched: true });
      await nc.jetstream().publish(`s.${at}`, 'newer');
      const outcomes = await publisher.publish(bare(4), never);
      const there = Array.from({ length: at + 1 }, () => WRONG_LAST_SEQUENCE);
      assert.deepEqual(outcomes.map(code), [...there, undefined, undefined, undefined].slice(0, 4));
      assert.equal(await stored(), 4);
    });

  for (const [what, options, config] of [
    ['the server', { config: 'max_payload: 10000' }, {}],
    ['the stream', {}, { max_msg_size: 10_000 }],
  ] as const)
    test(`one that is too large for ${what} fails alone`, async (t) => {
      const { publisher, stream, stored } = await rig(t, { version, ...options });
      await stream({ allow_batched: true, ...config });
      const [first, ...others] = bare(4) as [BatchMessage, ...BatchMessage[]];
      const outcomes = await publisher.publish([first, { ...first, subject: 's.big', data: 'x'.repeat(20_000) }, ...others], never); // prettier-ignore
      // The first one is there: it is stored by the batch.
      const expected = [WRONG_LAST_SEQUENCE, 'MESSAGE_TOO_LARGE', undefined, undefined, undefined];
      assert.deepEqual(outcomes.map(code), expected);
      assert.equal(await stored(), 4);
    });

  test('a stream that takes none any more is asked once', async (t) => {
    const { publisher, stream, stored } = await rig(t, { version });
    await stream();
    publisher.batches = { atomic: false, fast: true };
    assert.deepEqual((await publisher.publish(bare(3), never)).map(code), [undefined, undefined, undefined]);
    assert.equal(publisher.batches.fast, false);
    assert.equal(await stored(), 3);
  });

  test('a server that does not know them stores each message once', async (t) => {
    const { publisher, stream, stored } = await rig(t, { version: '2.10' });
    await stream();
    publisher.batches = { atomic: false, fast: true };
    const codes = (await publisher.publish(bare(3), never)).map(code);
    assert.deepEqual(codes, [WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE]);
    assert.equal(await stored(), 3);
  });

  test('a server that is killed in the middle leaves all of them open', async (t) => {
    const { publisher, stream, nats } = await rig(t, { version });
    await stream({ allow_batched: true });
    await publisher.publish(many(2), never);
    nats.suspend();
    const outcome = publisher.publish(bare(3), never);
    await nats.kill();
    assert.deepEqual((await outcome).map(code), ['DISCONNECTED', 'DISCONNECTED', 'DISCONNECTED']);
  });
});

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
        publisher.batches = { atomic, fast: false };
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
    for (const batches of [
      { atomic: false, fast: false },
      { atomic: true, fast: false },
      { atomic: false, fast: true },
    ]) {
      publisher.batches = batches;
      for (const outcome of await publisher.publish(bare(3), never)) {
        assert.ok(outcome instanceof FlowError);
        assert.deepEqual([outcome.code, outcome.retryable], ['NO_PUBACK', true]);
      }
    }
  });

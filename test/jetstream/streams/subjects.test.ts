import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { connect, type NatsConnection } from 'nats';
import { decodePayload, deliveryInfo } from '../../../nodes/jetstream/consume/message';
import { parseSize } from '../../../nodes/shared/size';
import {
  checkFilterSubject,
  checkPublishSubject,
  covers,
  overlap,
  parseSubjects,
} from '../../../nodes/jetstream/streams/subjects';
import { startNats, type Nats } from '../../support/nats';

const token = fc.constantFrom('a', 'b', 'c');
const concrete = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const filter = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '*'), { maxLength: 3 }), fc.constantFrom('a', 'b', '*', '>'))
  .map(([tokens, last]) => [...tokens, last].join('.'));

/** The plain definition: token by token. */
function matches(pattern: string, subject: string): boolean {
  const body = pattern.split('.').map((part) => (part === '*' ? '[^.]+' : part === '>' ? '.+' : part));
  return new RegExp(`^${body.join('\\.')}$`).test(subject);
}

test('a filter that covers another matches all that the other matches', () => {
  fc.assert(
    fc.property(
      filter,
      filter,
      concrete,
      (outer, inner, subject) =>
        !(covers(outer, inner) && matches(inner, subject)) || matches(outer, subject),
    ),
  );
});

test('filters that match one subject overlap', () => {
  fc.assert(
    fc.property(
      filter,
      filter,
      concrete,
      (a, b, subject) => !(matches(a, subject) && matches(b, subject)) || overlap(a, b),
    ),
  );
});

test('a concrete subject is covered exactly by the filters that match it', () => {
  fc.assert(
    fc.property(
      filter,
      concrete,
      (pattern, subject) => covers(pattern, subject) === matches(pattern, subject),
    ),
  );
});

describe('subjects against a real server', () => {
  let nats: Nats;
  let nc: NatsConnection;
  before(async () => {
    nats = await startNats({ jetstream: false });
    nc = await connect({ servers: nats.url, reconnect: false });
  });
  after(async () => {
    await nc.close();
    await nats.stop();
  });

  test('whatever passes the check reaches a subscriber unchanged and leaves the connection alone', async () => {
    const received: string[] = [];
    nc.subscribe('>', { callback: (_error, msg) => received.push(msg.subject) });
    const sent: string[] = [];
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), concrete), (subject) => {
        try {
          checkPublishSubject(subject);
        } catch {
          return;
        }
        sent.push(subject);
        nc.publish(subject);
      }),
      { numRuns: 2_000 },
    );
    await nc.flush();
    assert.deepEqual(received, sent);
    assert.ok(sent.length > 500);
  });

  test('what would break the protocol, or be stored under a wildcard, is refused', () => {
    for (const subject of [
      '',
      'a b',
      'a\r\nPUB x',
      'a\tb',
      '.a',
      'a.',
      'a..b',
      'a.*',
      '*',
      '*.b',
      'a.*.b',
      'a.>',
      '>',
      '>.b',
      'a.>.b',
      'x'.repeat(4_001),
    ]) {
      assert.throws(
        () => checkPublishSubject(subject),
        { code: 'INVALID_SUBJECT', retryable: false },
        subject,
      );
    }
    checkFilterSubject('a.*.>');
    for (const filter of ['a.>.b', '>.b', 'a.b.>.c'])
      assert.throws(() => checkFilterSubject(filter), { code: 'INVALID_SUBJECT' }, filter);
    checkPublishSubject('crm.a*b.c>d');
  });
});

test('several filters may be separated by commas, blanks or lines', () => {
  assert.deepEqual(parseSubjects(' a.>, b\n c.* '), ['a.>', 'b', 'c.*']);
  assert.deepEqual(parseSubjects(''), []);
  assert.deepEqual(parseSubjects(undefined), []);
  assert.deepEqual(parseSubjects(['a', ' ']), ['a']);
});

test('sizes are read as people write them', () => {
  assert.equal(parseSize('2147483648', 'x'), 2 ** 31);
  assert.equal(parseSize('2GiB', 'x'), 2 ** 31);
  assert.equal(parseSize('1.5 kb', 'x'), 1_500);
  assert.equal(parseSize(-1, 'x'), -1);
  for (const wrong of ['', 'x', '-2', '1 parsec'])
    assert.throws(() => parseSize(wrong, 'x'), { code: 'INVALID_SIZE' });
});

test('ack subjects of old and new servers are read alike', () => {
  const old = deliveryInfo('$JS.ACK.crm.flow.3.17.9.1700000000123456789.42');
  const current = deliveryInfo('$JS.ACK.hub.hash.crm.flow.3.17.9.1700000000123456789.42.random');
  assert.deepEqual(old, {
    stream: 'crm',
    consumer: 'flow',
    deliveries: 3,
    sequence: 17,
    consumerSequence: 9,
    timestamp: '1700000000123456789',
    pending: 42,
  });
  assert.deepEqual(current, old);
  const other = deliveryInfo('$JS.ACK.crm.flow2.1.9007199254740991.1.1700000000123456789.0');
  assert.equal(other.consumer, 'flow2');
  assert.equal(other.sequence, Number.MAX_SAFE_INTEGER);
  assert.equal(other.pending, 0);
  for (const wrong of ['', '$JS.ACK.crm.flow', '$JS.ACK.crm.flow.1', '$JS.ACK.crm.flow.x.y.z.t.p'])
    assert.ok(Number.isNaN(deliveryInfo(wrong).pending), wrong);
});

test('payloads: auto gives back any JSON value, any text and any bytes', () => {
  const auto = (data: Uint8Array): unknown => decodePayload(data, 'auto');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const json = JSON.stringify(value);
      fc.pre(!/\d{16}/.test(json)); // Such numbers come as text.
      assert.deepEqual(auto(Buffer.from(json)), JSON.parse(json));
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const decoded = auto(Buffer.from(text));
      let expected: unknown = Buffer.from(text).toString();
      try {
        expected = JSON.parse(text);
      } catch {
        // Text it stays.
      }
      assert.deepEqual(decoded, expected);
    }),
  );
  assert.deepEqual(auto(Uint8Array.of(0xff, 0xfe)), Buffer.from([0xff, 0xfe]));
  assert.deepEqual(decodePayload(Buffer.from('5'), 'string'), '5');
  assert.throws(() => decodePayload(Buffer.from('nope'), 'json'), { code: 'BAD_PAYLOAD', retryable: false });
  assert.throws(() => decodePayload(Uint8Array.of(0xff), 'string'), {
    code: 'BAD_PAYLOAD',
    retryable: false,
  });
});

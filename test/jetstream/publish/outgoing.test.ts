import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as vm from 'node:vm';
import fc from 'fast-check';
import {
  compileOutgoing,
  encodePayload,
  type OutgoingSettings,
} from '../../../nodes/jetstream/publish/outgoing';
import { headerLine } from '../../../nodes/jetstream/publish/raw-headers';
import { checkPublishSubject } from '../../../nodes/jetstream/streams/subjects';
import { FlowError } from '../../../nodes/shared/errors';
import { templateScope } from '../../../nodes/shared/template';

const outgoing = (settings: Partial<OutgoingSettings>, msg: object, inboxPrefix?: string) =>
  compileOutgoing(
    { subject: 'crm.a', escapeTokens: false, msgId: '', headers: [], ...settings },
    inboxPrefix,
  )(templateScope(msg, () => undefined));
const subject = (template: string, value: unknown, escapeTokens = false) =>
  outgoing({ subject: template, escapeTokens }, { v: value }).subject;
const header = (name: string, value: string, msg: object) =>
  outgoing({ headers: [{ name, value }] }, msg).headers;

describe('a message can not choose', () => {
  for (const [template, value] of [
    ['{{v}}', '$JS.API.STREAM.DELETE.victim'],
    ['{{v}}', '$SYS'],
    ['{{v}}.x', '$JS.API'],
    ['{{v}}', '_INBOX.abc.1'],
    ['_IN{{v}}', 'BOX.abc'],
    ['${{v}}', 'JS.API.STREAM.DELETE.victim'],
    ['$J{{v}}', 'S.API.STREAM.DELETE.victim'],
    ['{{v}}', 'my.replies.abc'],
  ])
    test(`${value} as the subject ${template}`, () => {
      assert.throws(() => outgoing({ subject: template }, { v: value }, 'my.replies'), {
        code: 'INVALID_SUBJECT',
        retryable: false,
        message: /comes from the message/,
      });
    });

  test('an order to the server as a header, whatever its case', () => {
    for (const name of ['Nats-Rollup', 'nats-ttl', 'NATS-Expected-Stream'])
      assert.throws(() => header('{{n}}', 'all', { n: name }), { code: 'INVALID_HEADER', retryable: false });
    assert.throws(() => header('Nats-{{n}}', 'all', { n: 'Rollup' }), { code: 'INVALID_HEADER' });
  });

  test('a header that stands in the settings', () => {
    const headers = [
      { name: 'Tenant', value: 'acme' },
      { name: '{{n}}', value: 'x' },
    ];
    assert.throws(() => outgoing({ headers }, { n: 'tenant' }), { code: 'INVALID_HEADER' });
    assert.deepEqual(outgoing({ headers }, { n: 'Other' }).headers, { Tenant: 'acme', Other: 'x' });
  });

  test('a subject of the server in a header that orders', () => {
    assert.throws(() => header('Nats-Schedule-Target', '{{t}}', { t: '$JS.API.STREAM.DELETE.x' }), {
      code: 'INVALID_SUBJECT',
      message: /The header Nats-Schedule-Target/,
    });
    assert.deepEqual(header('Nats-Schedule-Target', '{{t}}', { t: 'crm.later' }), {
      'Nats-Schedule-Target': 'crm.later',
    });
    assert.deepEqual(header('Price', '{{t}}', { t: '$5' }), { Price: '$5' });
  });
});

test('what stands in the settings before the first template is meant', () => {
  assert.equal(subject('$KV.bucket.{{v}}', 'key'), '$KV.bucket.key');
  assert.equal(subject('$JS.{{v}}', 'x'), '$JS.x');
  assert.equal(subject('_INBOX.{{v}}', 'x'), '_INBOX.x');
  assert.equal(subject('$SYS', 'x'), '$SYS');
  assert.equal(subject('crm.{{v}}', '$JS'), 'crm.$JS');
  assert.equal(outgoing({ subject: 'my.replies.{{v}}' }, { v: 'x' }, 'my.replies').subject, 'my.replies.x');
  assert.deepEqual(header('Nats-TTL', '{{t}}', { t: '1h' }), { 'Nats-TTL': '1h' });
  assert.deepEqual(header('X-{{n}}', '{{n}}', { n: 'k' }), { 'X-k': 'k' });
});

test('with escapeTokens each value in a longer subject is exactly one token', () => {
  assert.equal(subject('crm.{{v}}.upsert', 'a.b *', true), 'crm.a%2Eb%20%2A.upsert');
  assert.equal(subject('crm.{{v}}', '', true), 'crm.%');
  assert.equal(subject('crm.{{v}}', null, true), 'crm.%');
  assert.equal(subject('{{v}}', 'crm.a', true), 'crm.a');
  assert.equal(subject('{{v}}.x', '$JS.API', true), '%24JS%2EAPI.x');
  assert.equal(subject('crm.{{v}}', 'a.b'), 'crm.a.b');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      assert.match(subject('a.{{v}}.b', value, true), /^a\.[^.\s*>]+\.b$/);
    }),
  );
});

test('a template alone is written as a text like one among others', () => {
  const at = vm.runInNewContext('new Date(0)') as Date;
  const iso = '1970-01-01T00:00:00.000Z';
  assert.deepEqual(header('At', '{{at}}', { at }), { At: iso });
  assert.deepEqual(header('At', 'at {{at}}', { at }), { At: `at ${iso}` });
  assert.deepEqual(header('N', '{{n}}', { n: 7 }), { N: '7' });
  assert.deepEqual(
    header('B', '{{b}}', { b: vm.runInNewContext('new Uint8Array([104, 105])') as Uint8Array }),
    {
      B: 'hi',
    },
  );
  assert.equal(outgoing({ msgId: '{{n}}' }, { n: null }).msgId, '');
  assert.equal(outgoing({ msgId: '{{n}}-{{n}}' }, { n: 1 }).msgId, '1-1');
  assert.equal(outgoing({}, {}).msgId, undefined);
});

describe('whatever a message holds, it is published or fails for good, in words', () => {
  const refuse = (): never => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- a flow may throw anything
    throw null;
  };
  const circular: Record<string, unknown> = { n: 1n };
  circular.v = circular;
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  const handedOver = new ArrayBuffer(8);
  structuredClone(handedOver, { transfer: [handedOver] });
  const revoked = (): object => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const hostile: Record<string, unknown> = {
    'a circle with a BigInt in it': circular,
    '100,000 levels': deep,
    '100,000 levels within': { v: deep },
    'a getter that throws null': Object.defineProperty({}, 'v', { enumerable: true, get: refuse }),
    'a toJSON that throws null': { toJSON: refuse, v: { toJSON: refuse } },
    'a toJSON that gives nothing': { toJSON: () => undefined, v: { toJSON: () => undefined } },
    'a proxy that refuses': new Proxy({}, { get: refuse, getOwnPropertyDescriptor: refuse, ownKeys: refuse }),
    'a revoked proxy': revoked(),
    'a revoked proxy within': { v: revoked() },
    'an array that is a revoked proxy': [revoked()],
    'a buffer that was handed over': handedOver,
    'a view of one': { v: handedOver },
    'a date that is none': { v: new Date(NaN) },
    'a symbol': { v: Symbol('v') },
    'a function': { v: () => 1 },
    "JavaScript's own names": JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"v":"__proto__"}',
    ) as unknown,
    'no prototype': Object.assign(Object.create(null) as object, { v: 1 }),
  };
  const templates: Partial<OutgoingSettings>[] = [
    { subject: 'crm.{{payload.v}}' },
    { subject: 'crm.{{payload}}', escapeTokens: true },
    { msgId: '{{payload.v}}' },
    { headers: [{ name: '{{payload.v}}', value: '{{payload}}' }] },
  ];
  for (const [what, payload] of Object.entries(hostile))
    test(what, () => {
      for (const make of [
        () => encodePayload(payload),
        ...templates.map((settings) => () => outgoing(settings, { payload })),
      ])
        try {
          make();
        } catch (error) {
          assert.ok(error instanceof FlowError, String(error));
          assert.equal(error.retryable, false);
          assert.ok(error.message.length > 20);
        }
      assert.equal('polluted' in {}, false);
    });
});

describe('what tells messages apart', () => {
  const big = Number('1234567890123456789');
  const half = '\ud83d';

  test('is no number that two ids may have become', () => {
    for (const settings of [
      { subject: 'crm.{{v}}' },
      { subject: '{{v}}' },
      { msgId: '{{v}}' },
      { msgId: 'a-{{v}}' },
    ])
      assert.throws(() => outgoing(settings, { v: big }), {
        code: 'TEMPLATE_VALUE',
        retryable: false,
        message: /1234567890123456800 is no exact number any more; hand it over as a text/,
      });
    assert.equal(outgoing({ msgId: '{{v}}' }, { v: 1234567890123456789n }).msgId, '1234567890123456789');
    assert.deepEqual(header('X', 'about {{v}}', { v: big }), { X: 'about 1234567890123456800' });
  });

  test('is no half of a character, which becomes the same sign as any other', () => {
    assert.throws(() => checkPublishSubject(`crm.${half}`), { code: 'INVALID_SUBJECT', retryable: false });
    assert.throws(() => headerLine('Nats-Msg-Id', half), { code: 'INVALID_HEADER', retryable: false });
    checkPublishSubject('crm.😀');
    assert.equal(headerLine('X', '😀'), 'X: 😀\r\n');
    assert.equal(subject('crm.{{v}}', half, true), 'crm.%uD83D');
  });
});

describe('payload', () => {
  for (const code of [
    'new Uint8Array([1, 2, 3, 4]).subarray(1, 3)',
    'new Uint8Array([2, 3]).buffer',
    'new DataView(new Uint8Array([1, 2, 3]).buffer, 1)',
    'new Uint16Array([0x0302])',
    '(() => { const s = new SharedArrayBuffer(2); new Uint8Array(s).set([2, 3]); return s; })()',
  ])
    for (const [realm, made] of [
      ['this', vm.runInThisContext(code)],
      ['another', vm.runInNewContext(code)],
    ] as const)
      test(`${code} of ${realm} realm is bytes`, () => {
        const sent = encodePayload(made);
        assert.ok(sent instanceof Uint8Array);
        assert.deepEqual([...sent], [2, 3]);
      });

  test('text is itself, anything else JSON', () => {
    assert.equal(encodePayload('{"a"'), '{"a"');
    assert.equal(encodePayload(Buffer.from('b')).toString(), 'b');
    assert.equal(encodePayload(null), 'null');
    assert.equal(encodePayload({ n: 1n }), '{"n":1}');
    assert.equal(
      encodePayload({ at: vm.runInNewContext('new Date(0)') as Date }),
      '{"at":"1970-01-01T00:00:00.000Z"}',
    );
  });

  test('what JSON can not say fails for good, in words', () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const throws = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('no x');
      },
    });
    for (const payload of [undefined, () => 1, Symbol('x'), circular, throws])
      assert.throws(() => encodePayload(payload), { code: /^(NO|INVALID|BAD)_PAYLOAD$/, retryable: false });
    assert.throws(() => encodePayload(throws), /no x/);
  });

  for (const [code, what] of [
    ['NaN', 'it is NaN'],
    ['({ a: { score: [1, Number("1.234,5")] } })', 'it.a.score.1 is NaN'],
    ['({ a: null, b: -Infinity })', 'it.b is -Infinity'],
    ['({ at: new Date("soon") })', 'it.at is an invalid date'],
    ['new Map([[1, 2]])', 'it is of the kind Map'],
    ['({ rows: new Set([1]) })', 'it.rows is of the kind Set'],
    ['Promise.resolve({ a: 1 })', 'it is of the kind Promise'],
    ['({ bytes: new ArrayBuffer(2) })', 'it.bytes is of the kind ArrayBuffer'],
    ['({ why: new Error("no") })', 'it.why is of the kind Error'],
  ] as const)
    for (const made of [vm.runInThisContext(code), vm.runInNewContext(code)])
      test(`what JSON would change unsaid fails for good: ${what}`, () => {
        assert.throws(
          () => encodePayload(made),
          (error: FlowError) => {
            assert.deepEqual([error.code, error.retryable], ['INVALID_PAYLOAD', false]);
            return error.message.includes(`: ${what}, which JSON has no word for`);
          },
        );
      });

  test('null, and what is empty, is written as it is', () => {
    const empty = { a: null, b: {}, c: [], d: [undefined], e: Object.create(null) as object, f: 'null {}' };
    assert.equal(encodePayload(empty), JSON.stringify(empty));
    const own = {
      at: Object.assign(new Map(), { toJSON: () => null }),
      bytes: new Uint8Array(0),
      n: Object(1) as unknown,
    };
    assert.equal(encodePayload(own), '{"at":null,"bytes":{},"n":1}');
  });
});

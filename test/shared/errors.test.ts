import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runInNewContext } from 'node:vm';
import {
  FlowError,
  codeOf,
  errorOf,
  isFlowError,
  isOutage,
  isRetryable,
  messageOf,
} from '../../nodes/shared/errors';
import { Secrets } from '../../nodes/shared/secrets';

test('a FlowError carries its code, whether it is worth another try, its cause and facts', () => {
  const cause = new Error('socket');
  const error = new FlowError('CODE' as string, 'What happened.', false, { cause, details: [1] });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.retryable, error.cause, error.details],
    ['FlowError', 'CODE', 'What happened.', false, cause, [1]],
  );
  const plain = new FlowError('CODE' as string, 'What happened.');
  assert.equal(plain.retryable, true);
  assert.equal(plain.details, undefined);
  assert.ok(!Object.keys(new FlowError('C' as string, 'm', true, { details: null })).includes('cause'));
  assert.equal(new FlowError('C' as string, 'm', true, { details: null }).details, null);
});

test('a thrown value says its message, whatever was thrown', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  for (const [thrown, message] of [
    [new Error('no'), 'no'],
    [new TypeError(''), 'TypeError'],
    ['text', 'text'],
    ['', ''],
    [{ message: 'like an error' }, 'like an error'],
    [{ message: 7 }, '7'],
    [{ reason: 'x' }, '{"reason":"x"}'],
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [7n, '7'],
    [Symbol('s'), 'Symbol(s)'],
    [circular, '[object Object]'],
    [{ message: Object.create(null) as unknown }, '{}'],
    [Object.assign(new Error(), { message: { inner: 1 } }), '{"inner":1}'],
    [{ message: { toString: 1, valueOf: 1 } }, '{"toString":1,"valueOf":1}'],
    [{ n: 1n }, '[object Object]'],
    [Array.from({ length: 100_000 }, () => 0), '[object Object]'],
    ['two\nlines\r\n\u001b[31mred\u2028\u202e', 'two\\nlines\\r\\n\\u001b[31mred\\u2028\\u202e'],
    [new Error('x'.repeat(10_001)), `${'x'.repeat(10_000)}…`],
    [runInNewContext('new RangeError("of another realm")'), 'of another realm'],
  ] as [unknown, string][])
    assert.equal(messageOf(thrown), message);
});

test('the message of a FlowError is one line, whatever it quotes', () => {
  const error = new FlowError('C' as string, `said "\n\u001b[2J${'x'.repeat(20_000)}"`);
  assert.ok(error.message.startsWith('said "\\n\\u001b[2Jxxx'));
  assert.ok(error.message.length < 10_100);
});

/** What a function node may hand to node.error, or to done. */
function hostile(): unknown[] {
  const revoked = <T extends object>(target: T): T => {
    const { proxy, revoke } = Proxy.revocable(target, {});
    revoke();
    return proxy;
  };
  const thrower = (target: object): object =>
    new Proxy(target, {
      get: () => assert.fail(),
      has: () => assert.fail(),
      ownKeys: () => assert.fail(),
      getPrototypeOf: () => assert.fail(),
    });
  const getter = (name: string | symbol): object =>
    Object.defineProperty({}, name, { get: () => assert.fail(), enumerable: true });
  return [
    ...[{}, [], new Error('x'), () => 0].map(revoked),
    ...[{}, [], new Error('x')].map(thrower),
    ...['message', 'code', 'retryable', 'outage', 'name', 'toJSON', Symbol.toStringTag].map(getter),
    { message: Symbol('s') },
    { message: revoked({}), code: Symbol('c') },
    { toJSON: () => assert.fail(), toString: () => assert.fail() },
    { toJSON: () => undefined },
    Object.assign(Object.create(null) as object, { message: 'm' }),
    Array.from({ length: 20_000 }).reduce((inner) => [inner], 1),
    'x'.repeat(2 ** 24),
  ];
}

test('what does not want to be told neither throws nor makes anything throw', () => {
  for (const thrown of hostile()) {
    assert.equal(typeof messageOf(thrown), 'string');
    assert.equal(typeof codeOf(thrown), 'string');
    assert.equal(typeof isRetryable(thrown), 'boolean');
    assert.equal(isOutage(thrown), false);
    assert.equal(isFlowError(thrown), false);
    assert.equal(typeof errorOf(thrown).message, 'string');
    assert.doesNotThrow(() => new Secrets('secret').inError(thrown));
  }
});

test('nothing that is thrown makes the message, the code or the verdict throw', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true }), (thrown) => {
      assert.equal(typeof messageOf(thrown), 'string');
      assert.equal(typeof codeOf(thrown), 'string');
      assert.equal(typeof isRetryable(thrown), 'boolean');
    }),
  );
});

test('the code is a text or a number, else the fallback', () => {
  assert.equal(codeOf({ code: 'A' }), 'A');
  assert.equal(codeOf({ code: 503 }), '503');
  assert.equal(codeOf({ code: {} }), 'ERROR');
  assert.equal(codeOf({ code: null }, 'OTHER'), 'OTHER');
  assert.equal(codeOf({}, 'OTHER'), 'OTHER');
  assert.equal(codeOf(null), 'ERROR');
  assert.equal(codeOf('text'), 'ERROR');
});

test('only what says so itself is not worth another try', () => {
  assert.equal(isRetryable({ retryable: false }), false);
  for (const thrown of [{ retryable: true }, { retryable: 0 }, {}, null, undefined, 'no', new Error('no')])
    assert.equal(isRetryable(thrown), true);
});

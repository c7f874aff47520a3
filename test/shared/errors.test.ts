import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowError, codeOf, isRetryable, messageOf } from '../../nodes/shared/errors';

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
    [{ message: Object.create(null) as unknown }, '[object Object]'],
    [Object.assign(new Error(), { message: { inner: 1 } }), '[object Object]'],
  ] as [unknown, string][])
    assert.equal(messageOf(thrown), message);
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { carry, distinct, traceOf, tracesIn } from '../../../nodes/shared/tracing/context';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const one = `00-${TRACE}-b7ad6b7169203331-01`;
const two = `00-${TRACE}-00f067aa0ba902b7-00`;

test('a traceparent is read by the grammar of W3C Trace Context, and what is none is ignored', () => {
  const later = `cc-${TRACE}-b7ad6b7169203331-01`;
  for (const traceparent of [one, two, later, `${later}-what-the-future-brings`])
    assert.deepEqual(traceOf({ traceparent }), { traceparent });
  const none: unknown[] = [
    undefined,
    null,
    7,
    '',
    [one],
    ` ${one}`,
    `${one}\n`,
    one.toUpperCase(),
    `${one}-more`,
    one.slice(0, -1),
    one.replace('00-', 'ff-'),
    one.replace(TRACE, '0'.repeat(32)),
    one.replace('b7ad6b7169203331', '0'.repeat(16)),
    one.replace('b7', 'g7'),
    `${later}more`,
    `${later}-${'x'.repeat(200)}`,
  ];
  for (const traceparent of none) assert.equal(traceOf({ traceparent }), undefined, String(traceparent));
});

test('whatever stands there is a context that is valid, or none', () => {
  const part = fc.stringMatching(/^[0-9a-fg-]{0,40}$/);
  fc.assert(
    fc.property(fc.oneof(fc.anything(), part, fc.constant(one)), fc.anything(), (traceparent, tracestate) => {
      const found = traceOf({ traceparent, tracestate });
      if (found) assert.match(found.traceparent, /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}/);
    }),
  );
});

test('a tracestate that is none is left out alone', () => {
  const kept = ['rojo=00f067aa0ba902b7', 'a=1, tenant@b=2 ,\tc=x y', 'a=1,,b=2'];
  for (const tracestate of kept)
    assert.deepEqual(traceOf({ traceparent: one, tracestate }), { traceparent: one, tracestate });
  assert.equal(traceOf({ traceparent: one, tracestate: ['a=1', 'b=2'] })?.tracestate, 'a=1,b=2');
  const many = Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',');
  for (const tracestate of ['', ',', 'a', 'a=', 'A=1', 'a=1,a=2', 'a=1\r\nx: y', 'a=ü', 'a=b=c', many, 7])
    assert.deepEqual(traceOf({ traceparent: one, tracestate }), { traceparent: one }, String(tracestate));
});

test('headers of one message, or of each of a batch, give the contexts that differ', () => {
  assert.deepEqual(tracesIn(undefined), []);
  assert.deepEqual(tracesIn({}), []);
  assert.deepEqual(tracesIn({ traceparent: one, tracestate: 'a=1' }), [
    { traceparent: one, tracestate: 'a=1' },
  ]);
  assert.deepEqual(tracesIn({ Traceparent: one }), [{ traceparent: one }]);
  assert.deepEqual(tracesIn({ traceparent: [one, two] }), []);
  assert.deepEqual(tracesIn([{ traceparent: one }, {}, { traceparent: two }, { traceparent: one }]), [
    { traceparent: one },
    { traceparent: two },
  ]);
  assert.deepEqual(distinct([undefined]), []);
});

test('a context that is carried on takes the place of the one before, tracestate included', () => {
  const msg = { traceparent: one, tracestate: 'a=1' };
  carry(msg, { traceparent: two });
  assert.deepEqual(msg, { traceparent: two });
});

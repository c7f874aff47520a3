import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration, parseDurations } from '../../nodes/shared/duration';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

test('durations are read as people write them', () => {
  for (const [text, ms] of [
    ['250ms', 250],
    ['10s', 10 * SECOND],
    ['1.5s', 1_500],
    ['1m30s', 90 * SECOND],
    ['1m 30s', 90 * SECOND],
    [' 2h ', 2 * HOUR],
    ['2d', 48 * HOUR],
    ['1d2h3m4s5ms', 26 * HOUR + 3 * MINUTE + 4_005],
    ['0.4ms', 0],
    ['0.6ms', 1],
    ['0', 0],
    ['120', 120 * SECOND],
    [' 0.25 ', 250],
    [3, 3 * SECOND],
    [0.0004, 0],
    [0.0016, 2],
  ] as [string | number, number][])
    assert.equal(parseDuration(text), ms, String(text));
});

test('what is no duration is refused by the setting’s name, for good', () => {
  for (const text of [
    '',
    ' ',
    'soon',
    '10',
    '10 minutes',
    '5M',
    '-5s',
    '1m x',
    'x1m',
    '1m,2m',
    '1..5s',
    '.5s',
    '1e3',
  ])
    if (text === '10') assert.equal(parseDuration(text), 10_000);
    else
      assert.throws(
        () => parseDuration(text, 'ackWait'),
        (error: { code: string; retryable: boolean; message: string }) => {
          assert.deepEqual([error.code, error.retryable], ['INVALID_DURATION', false]);
          assert.equal(
            error.message,
            `ackWait: "${text}" is not a duration; write for example 250ms, 10s, 1m30s, 1h or 2d`,
          );
          return true;
        },
      );
  assert.throws(() => parseDuration('x'), /^FlowError: duration: "x"/);
});

test('a list of durations, empty entries left out', () => {
  assert.deepEqual(parseDurations('10s, 30s,1m , 5m'), [10_000, 30_000, 60_000, 300_000]);
  assert.deepEqual(parseDurations(''), []);
  assert.deepEqual(parseDurations(' , 1s,'), [1_000]);
  assert.throws(() => parseDurations('1s; 2s', 'backoff'), /backoff: "1s; 2s"/);
  assert.throws(() => parseDurations('x'), /durations: "x"/);
});

test('a duration is shown by its two largest units, minutes kept', () => {
  for (const [ms, text] of [
    [0, '0ms'],
    [850.4, '850ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [12_400, '12s'],
    [59_499, '59s'],
    [59_500, '1m'],
    [60_000, '1m'],
    [200_000, '3m 20s'],
    [59 * MINUTE + 59 * SECOND, '59m 59s'],
    [HOUR, '1h'],
    [HOUR + 59 * SECOND, '1h'],
    [2 * HOUR + 5 * MINUTE, '2h 5m'],
    [2 * HOUR + 59 * MINUTE + 59 * SECOND, '2h 59m'],
    [50 * HOUR, '50h'],
  ] as [number, string][])
    assert.equal(formatDuration(ms), text, String(ms));
});

test('whatever is shown can be read again, and is right to its last unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100 * HOUR }), (ms) => {
      const unit = ms < 999.5 ? 1 : ms < HOUR - 500 ? SECOND : MINUTE;
      assert.ok(Math.abs(parseDuration(formatDuration(ms)) - ms) < unit + 500 * Number(unit > 1));
    }),
  );
});

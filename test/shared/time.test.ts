import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { consumerSettings } from '../../nodes/jetstream/consumer-settings';
import { parseTime } from '../../nodes/shared/time';
import { isoTime, timeOf } from '../../nodes/sync/record';

const HERE = process.env.TZ;
/** West of UTC by three and a half hours, east with and without daylight saving, and that of half an hour. */
const ZONES = ['America/St_Johns', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'UTC'];
/** In one of these zones each is an hour that is left out or comes twice, or near one. */
const ODD = [
  '2026-03-08T02:30:00', // St. John's
  '2026-11-01T01:30:00',
  '2026-03-29T02:30:00', // Berlin
  '2026-10-25T02:30:00',
  '2026-10-04T02:15:00', // Lord Howe
  '2026-04-05T01:45:00',
];

afterEach(() => {
  if (HERE === undefined) delete process.env.TZ;
  else process.env.TZ = HERE;
});

const everywhere = (check: () => void): void => {
  for (const zone of ZONES) {
    process.env.TZ = zone;
    check();
  }
};

test('the tests run away from UTC', () => {
  process.env.TZ = HERE;
  assert.notEqual(
    new Date(2026, 0, 1).getTimezoneOffset(),
    0,
    'so that what is read as local time is noticed',
  );
});

test('a time without an offset is UTC wherever this runs, at its odd hours too', () =>
  everywhere(() => {
    for (const time of ODD) {
      const utc = Date.parse(`${time}Z`);
      for (const text of [time, time.replace('T', ' '), `${time}.000`, time.slice(0, -3), `${time}+0000`])
        assert.equal(parseTime(text), utc, `${text} in ${process.env.TZ}`);
      assert.equal(timeOf(time), utc);
      assert.equal(isoTime(time), `${time}Z`);
    }
    assert.equal(parseTime('2026-03-29'), Date.UTC(2026, 2, 29));
  }));

test('the start time of a consumer without an offset is UTC', () =>
  everywhere(() => {
    const form = {
      stream: 'ORDERS',
      durable: 'c',
      deliver: 'by_start_time' as const,
      startTime: '2026-03-29T02:30:00',
    };
    const { startTime } = consumerSettings({ ...form, batchSize: 1 });
    assert.equal(startTime, '2026-03-29T02:30:00.000Z');
  }));

test('an offset counts, however it is written', () => {
  const utc = Date.UTC(2026, 0, 31, 10, 30);
  for (const text of [
    '2026-01-31T12:30:00+02:00',
    '2026-01-31T12:30:00.000+0200',
    '2026-01-31t12:30+02',
    '2026-01-31 05:00:00-0530',
    '2026-01-31T10:30:00z',
    ' 2026-01-31T10:30Z ',
    'Sat, 31 Jan 2026 10:30:00 GMT',
    '31 Jan 2026 12:30:00 +0200',
  ])
    assert.equal(parseTime(text), utc, text);
});

test('every moment comes back as it was', () =>
  everywhere(() =>
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }), (date) => {
        assert.equal(parseTime(date.toISOString()), date.getTime());
        assert.equal(parseTime(date.toISOString().slice(0, -1)), date.getTime());
        assert.equal(timeOf(isoTime(date.getTime())), date.getTime());
      }),
      { numRuns: 50 },
    ),
  ));

test('what is no time, or names none for sure, is none', () => {
  for (const text of [
    '',
    'tomorrow',
    '2026',
    '12:00',
    '1/2/2026',
    'Jan 31 2026 12:00',
    'Sat, 31 Jan 2026 10:30:00',
    '2026-01-31T12',
    '2026-01-31T25:00:00Z',
    '2026-01-31T12:00:00 Europe/Berlin',
    '2026-13-01',
    '2026-02-30',
    '2026-02-29T12:00:00Z',
    '2026-04-31T12:00:00',
  ])
    assert.ok(Number.isNaN(parseTime(text)), text);
  assert.ok(!Number.isNaN(parseTime('2028-02-29T12:00:00Z')));
  for (const time of [NaN, Infinity, 8.64e15 + 1, undefined, null, {}])
    assert.equal(isoTime(time), undefined);
});

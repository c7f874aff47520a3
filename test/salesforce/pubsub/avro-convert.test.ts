import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import { compileConversion } from '../../../nodes/salesforce/pubsub/avro-convert';
import { eventFields } from '../../../nodes/salesforce/pubsub/avro-fields';
import { FlowError } from '../../../nodes/shared/errors';

// Where times without an offset are UTC all the same, and where clocks are set forward.
const ZONES = ['America/St_Johns', 'Asia/Tokyo'];
process.env.TZ = ZONES[0];

// As captured from an org (facts), with the types that custom fields have.
const SCHEMA = JSON.stringify({
  name: 'Order__e',
  namespace: 'com.sforce.eventbus',
  type: 'record',
  fields: [
    { name: 'CreatedDate', type: 'long', doc: 'CreatedDate:DateTime' },
    { name: 'CreatedById', type: 'string', doc: 'CreatedBy:EntityId' },
    { name: 'Status__c', type: ['null', 'string'], doc: 'Data:Text:00N', default: null },
    { name: 'Amount__c', type: ['null', 'double'], doc: 'Data:Double:00N', default: null },
    { name: 'Count__c', type: ['null', 'long'], doc: 'Data:Integer:00N', default: null },
    { name: 'Urgent__c', type: ['null', 'boolean'], doc: 'Data:Boolean:00N', default: null },
    { name: 'Due__c', type: ['null', 'long'], doc: 'Data:DateOnly:00N', default: null },
    { name: 'Time__c', type: ['null', 'long'], doc: 'Data:DateTime:00N', default: null },
  ],
  uuid: 'K98aAtiNFBjA-PJlcvaQ2g',
});
const fields = eventFields(SCHEMA);
const convert = compileConversion('Order__e', fields);
const codec = compileCodec(SCHEMA);
const ORIGIN = { CreatedById: '005000000000001AAA', CreatedDate: 1_700_000_000_000 };
const publish = (record: unknown) => codec.decode(codec.encode(convert(record, ORIGIN)));

test('what is absent is null, and who publishes when is filled in', () => {
  assert.deepEqual(publish({ Status__c: 'paid', Amount__c: undefined }), {
    CreatedDate: ORIGIN.CreatedDate,
    CreatedById: ORIGIN.CreatedById,
    Status__c: 'paid',
    Amount__c: null,
    Count__c: null,
    Urgent__c: null,
    Due__c: null,
    Time__c: null,
  });
});

test('the publisher is the session’s user whatever the record says: any other triggers nothing', () => {
  const event = publish({ CreatedById: '005999999999999AAA', CreatedDate: 5 });
  assert.equal(event.CreatedById, ORIGIN.CreatedById);
  assert.equal(event.CreatedDate, 5);
});

const conversions: [field: string, given: unknown, stored: unknown][] = [
  ['Status__c', 7, '7'],
  ['Status__c', false, 'false'],
  ['Status__c', new Date('2026-01-31T08:00:00Z'), '2026-01-31T08:00:00.000Z'],
  ['Amount__c', '12.50', 12.5],
  ['Amount__c', 3n, 3],
  ['Count__c', '42', 42],
  ['Urgent__c', 'TRUE', true],
  ['Urgent__c', 0, false],
  ['Due__c', '2026-01-31', Date.UTC(2026, 0, 31)],
  ['Time__c', '2026-01-31T08:00:00Z', Date.UTC(2026, 0, 31, 8)],
  ['Time__c', '2026-01-31T08:00:00+02:00', Date.UTC(2026, 0, 31, 6)],
  ['Time__c', '2026-01-31T08:00:00.250+0000', Date.UTC(2026, 0, 31, 8, 0, 0, 250)],
  ['Time__c', '2026-01-31 08:00', Date.UTC(2026, 0, 31, 8)],
  ['Due__c', '2024-02-29', Date.UTC(2024, 1, 29)],
  ['Due__c', ' 2026-12-31 ', Date.UTC(2026, 11, 31)],
  ['Time__c', 1_769_846_400_000, 1_769_846_400_000],
  ['Time__c', '1769846400000', 1_769_846_400_000],
  ['Time__c', new Date(1_769_846_400_000), 1_769_846_400_000],
];
for (const [field, given, stored] of conversions) {
  test(`${field} takes ${typeof given} ${given instanceof Date ? 'Date' : String(given)} as ${String(stored)}`, () => {
    assert.equal(publish({ [field]: given })[field], stored);
  });
}

test('a time without an offset is UTC, wherever Node-RED runs and whatever its clocks do that night', () => {
  for (const zone of ZONES) {
    process.env.TZ = zone;
    // Of the night in which the clocks of Newfoundland skip an hour.
    for (const hour of ['01', '02', '03'])
      assert.equal(
        publish({ Time__c: `2026-03-08T${hour}:30:00` }).Time__c,
        Date.UTC(2026, 2, 8, Number(hour), 30),
      );
    assert.equal(publish({ Due__c: '2026-03-08' }).Due__c, Date.UTC(2026, 2, 8));
  }
  process.env.TZ = ZONES[0];
});

test('any moment written with an offset is that moment', () => {
  const offset = fc.integer({ min: -14 * 60, max: 14 * 60 });
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
      offset,
      (date, minutes) => {
        const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 23);
        const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
        const two = (n: number) => String(n).padStart(2, '0');
        const text = `${local}${minutes < 0 ? '-' : '+'}${two(hours)}:${two(rest)}`;
        assert.equal(publish({ Time__c: text }).Time__c, date.getTime());
      },
    ),
  );
});

test('a date of another realm, as a function node makes it, is a date', () => {
  const at = runInNewContext('new Date("2026-01-31T08:00:00Z")') as Date;
  assert.deepEqual(
    [publish({ Time__c: at }).Time__c, publish({ Status__c: at }).Status__c],
    [at.getTime(), '2026-01-31T08:00:00.000Z'],
  );
});

test('what would be an event without fields is refused by what it is', () => {
  for (const [code, what] of [
    ['new Date(0)', /this is a date/],
    ['Promise.resolve({})', /this is of the kind Promise/],
    ['new Map([["Status__c", "paid"]])', /this is of the kind Map/],
    ['new Uint8Array(3)', /this is bytes/],
  ] as const)
    assert.throws(() => publish(runInNewContext(code)), { code: 'INVALID_PAYLOAD', message: what });
});

const refused: [field: string, given: unknown][] = [
  ['Status__c', { nested: true }],
  ['Status__c', ['a']],
  ['Status__c', Number('1234567890123456789')],
  ['Amount__c', ''],
  ['Amount__c', 'twelve'],
  ['Amount__c', Infinity],
  ['Amount__c', true],
  ['Count__c', 1.5],
  ['Count__c', '9007199254740993'],
  ['Urgent__c', 'yes'],
  ['Urgent__c', 2],
  ['Due__c', '31.01.2026'],
  ['Due__c', '20260131'],
  ['Due__c', '2026-02-30'],
  ['Due__c', '2026-02-29'],
  ['Due__c', '2026-04-31'],
  ['Due__c', '2026-13-01'],
  ['Time__c', '2026-02-30T08:00:00Z'],
  ['Time__c', '2026-01-31T25:00:00Z'],
  ['Time__c', '2026'],
  ['Time__c', 'tomorrow'],
  ['Time__c', new Date(NaN)],
];
for (const [field, given] of refused) {
  test(`${field} refuses ${JSON.stringify(given) ?? String(given)}, naming the field, for good`, () => {
    assert.throws(
      () => publish({ [field]: given }),
      (error) =>
        error instanceof FlowError &&
        error.code === 'FIELD_VALUE' &&
        !error.retryable &&
        error.message.includes(field),
    );
  });
}

test('field names count in any case, as in Salesforce', () => {
  assert.equal(publish({ status__C: 'paid' }).Status__c, 'paid');
});

test('a field the event does not have is an error that names the nearest', () => {
  const message = (record: object) => {
    try {
      publish(record);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(message({ Statu__c: 'x' }), /no field Statu__c; did you mean Status__c\?/);
  assert.match(message({ status: 'x' }), /did you mean Status__c\?/);
  assert.match(message({ xyzzy: 'x' }), /it has CreatedDate, CreatedById, Status__c/);
});

test('attributes, as records of the composite node have them, are passed over', () => {
  assert.equal(publish({ attributes: { type: 'Order__e' }, Status__c: 'x' }).Status__c, 'x');
});

for (const payload of [null, 'text', 5, [{}]]) {
  test(`a payload that is ${JSON.stringify(payload)} is no event`, () => {
    assert.throws(() => convert(payload, ORIGIN), { code: 'INVALID_PAYLOAD', retryable: false });
  });
}

test('a required field without a value is named', () => {
  const schema = JSON.stringify({
    name: 'R__e',
    type: 'record',
    fields: [{ name: 'Key__c', type: 'string', doc: 'Data:Text:00N' }],
  });
  const strict = compileConversion('R__e', eventFields(schema));
  assert.throws(() => strict({}, ORIGIN), /needs the field Key__c/);
});

test('any record of texts, numbers and truths comes out as it went in', () => {
  const record = fc.record(
    {
      Status__c: fc.string(),
      Amount__c: fc.double({ noNaN: true, noDefaultInfinity: true }),
      Count__c: fc.maxSafeInteger(),
      Urgent__c: fc.boolean(),
      Time__c: fc.maxSafeInteger(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(record, (values) => {
      const event = publish(values);
      // Avro has one zero.
      for (const [name, value] of Object.entries(values))
        assert.ok(Object.is(event[name], value) || value === 0);
    }),
  );
});

test('a number beyond 2^53 is read as its text, not refused with its whole event', () => {
  const big = { name: 'B', type: 'record', fields: [{ name: 'n', type: 'long' }] };
  const codec = compileCodec(JSON.stringify(big));
  const zigzag = Buffer.alloc(10, 0xff);
  zigzag[9] = 0x01;
  assert.deepEqual(codec.decode(zigzag), { n: '-9223372036854775808' });
});

test('a long is read exactly, however its type is written, up to the most that a number holds and beyond', () => {
  const fields = [
    { name: 'plain', type: 'long' },
    { name: 'logical', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'maybe', type: ['null', 'long'] },
  ];
  const codec = compileCodec(JSON.stringify({ type: 'record', name: 'L', fields }));
  const values = [0, 2 ** 31, 2 ** 49, 2 ** 52 - 1, 2 ** 52, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER];
  for (const value of [...values, ...values.slice(1).map((each) => -each)]) {
    const event = { plain: value, logical: value, maybe: value };
    assert.deepEqual(codec.decode(codec.encode(event)), event);
  }
  const least = 'ffffffffffffffffff01';
  const text = '-9223372036854775808';
  const read = codec.decode(Buffer.from(`${least}${least}02${least}`, 'hex'));
  assert.deepEqual(read, { plain: text, logical: text, maybe: text });
  for (const cut of ['80', 'ffffffffffffffff'])
    assert.throws(() => codec.decode(Buffer.from(cut, 'hex')), /truncated/);
});

test('an event is of plain objects alone, whatever its schema is made of', () => {
  const point = { type: 'record', name: 'Point', fields: [{ name: 'x', type: 'int' }] };
  const fields = [
    { name: 'one', type: point },
    { name: 'maybe', type: ['null', 'string', 'Point'] },
    { name: 'list', type: { type: 'array', items: 'Point' } },
    { name: 'map', type: { type: 'map', values: 'Point' } },
    { name: 'either', type: ['null', 'int', 'double', { ...point, name: 'Other' }] },
    { name: 'next', type: ['null', 'E'] },
  ];
  const codec = compileCodec(JSON.stringify({ type: 'record', name: 'E', fields }));
  const event = {
    one: { x: 1 },
    maybe: { x: 2 },
    list: [{ x: 3 }],
    map: { a: { x: 4 } },
    either: { Other: { x: 5 } },
    next: null,
  };
  const whole = { ...event, next: { ...event, maybe: 'text', either: { double: 0.5 } } };
  // Strict equality looks at prototypes, too.
  assert.deepStrictEqual(codec.decode(codec.encode(whole)), whole);
});

test('a whole number that a double does not hold is refused, whether as text or BigInt; digits behind the point are rounded', () => {
  for (const value of ['1234567890123456789', 1234567890123456789n, '1e400', ' 9007199254740993 '])
    for (const field of ['Amount__c', 'Count__c'])
      assert.throws(() => publish({ [field]: value }), { code: 'FIELD_VALUE', retryable: false });
  assert.equal(publish({ Amount__c: '0.12345678901234567890' }).Amount__c, 0.12345678901234568);
  assert.equal(publish({ Amount__c: '1234567890123456800' }).Amount__c, 1234567890123456800);
  assert.equal(publish({ Status__c: 1234567890123456789n }).Status__c, '1234567890123456789');
});

describe('an event that says it holds more than it does', () => {
  const field = (type: unknown) =>
    compileCodec(JSON.stringify({ type: 'record', name: 'E', fields: [{ name: 'X', type }] }));
  const list = field({ type: 'array', items: 'string' });
  const map = field({ type: 'map', values: 'long' });

  test('is refused, before the memory is full of it', () => {
    // 2^31 - 1 items, in one block, and with the block's size behind the count.
    const counts = ['feffffff0f', 'fdffffff0f02', 'ffffffffffffffff7f', '080002'];
    for (const items of ['null', 'string', { type: 'record', name: 'None', fields: [] }])
      for (const count of counts)
        assert.throws(() => field({ type: 'array', items }).decode(Buffer.from(count, 'hex')), Error, count);
    for (const count of counts) assert.throws(() => map.decode(Buffer.from(count, 'hex')), Error, count);
  });

  test('and what it does hold is read, in blocks of any kind', () => {
    assert.deepEqual(list.decode(list.encode({ X: ['a', '', 'b'] })), { X: ['a', '', 'b'] });
    assert.deepEqual(list.decode(Buffer.from('0202610402620000', 'hex')), { X: ['a', 'b', ''] });
    assert.deepEqual(list.decode(Buffer.from('03080261026200', 'hex')), { X: ['a', 'b'] });
    assert.deepEqual(map.decode(map.encode({ X: { a: 1, __proto__x: 2 } })), { X: { a: 1, __proto__x: 2 } });
  });

  test('and a schema that would give events another prototype is none', () => {
    const schema = { type: 'record', name: 'E', fields: [{ name: '__proto__', type: 'string' }] };
    assert.throws(() => compileCodec(JSON.stringify(schema)), /__proto__/);
  });
});

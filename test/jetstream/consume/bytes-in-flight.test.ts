import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BytesInFlight } from '../../../nodes/jetstream/consume/bytes-in-flight';
import { estimateSize, guessSize } from '../../../nodes/jetstream/consume/payload-size';
import { parseSize } from '../../../nodes/shared/size';

const message = (data: string | number) => ({
  msg: { data: typeof data === 'string' ? Buffer.from(data) : Buffer.alloc(data) },
});
const listOf = (item: string, count: number): string => `[${Array(count).fill(item).join(',')}]`;

describe('the estimate of what a payload takes', () => {
  /** Bytes for one in the stream, as measured in V8, with what the stream holds. */
  const shapes: [string, string, number][] = [
    ['empty objects', listOf('{}', 350_000), 22.7],
    ['empty arrays', listOf('[]', 350_000), 14.6],
    ['numbers', listOf('1', 500_000), 5.3],
    ['short texts', listOf('"a"', 250_000), 3.3],
    ['small objects', listOf('{"a":1}', 130_000), 6],
    ['a long text', JSON.stringify({ text: 'lorem ipsum '.repeat(85_000) }), 2.3],
    [
      'records',
      listOf('{"Id":"0012w000001","Name":"Company number 1","Amount":12.5,"Flag":true}', 9_000),
      3.2,
    ],
  ];
  for (const [what, json, measured] of shapes)
    test(`${what}: no less than six tenths of it, and not five times as much`, () => {
      const estimated = estimateSize(Buffer.from(json), 'json') / json.length;
      assert.ok(estimated > 0.6 * measured && estimated < 5 * measured, `${estimated} for ${measured}`);
    });

  test('of a text and bytes is made by the size alone', () => {
    for (const format of ['string', 'buffer'] as const)
      assert.equal(estimateSize(Buffer.alloc(1_000_000, '{'), format), guessSize(1_000_000, format));
  });

  test('lets a hundred thousand small records into the flow by default, and no more than three thousand of 10 kB', () => {
    const record = { LastName: 'Bench', ExternalId__c: 'order-000000012345' };
    const sizeOf = (payload: object): number => estimateSize(Buffer.from(JSON.stringify(payload)), 'auto');
    const limit = parseSize('64MiB', 'Memory');
    assert.ok(100_000 * sizeOf(record) < limit);
    assert.ok(3_500 * sizeOf({ ...record, Description: 'x'.repeat(10_000) }) > limit);
  });
});

describe('bytes in flight', () => {
  test('what has gone leaves nothing, in whatever order it came and went', () => {
    const steps = fc.array(fc.tuple(fc.nat(9), fc.constantFrom('arrived', 'entered', 'parked', 'released')));
    fc.assert(
      fc.property(steps, (taken) => {
        const bytes = new BytesInFlight<ReturnType<typeof message>>(1_000_000, 'buffer');
        const before = bytes.room();
        const messages = Array.from({ length: 10 }, (_, n) => message(n * 100));
        for (const [n, step] of taken) {
          const one = messages[n] as ReturnType<typeof message>;
          if (step === 'entered') bytes.arrived(one);
          bytes[step as 'arrived'](one);
        }
        for (const one of messages) bytes.released(one);
        assert.equal(bytes.room(), before);
      }),
    );
  });

  test('one in the flow takes what it became, one that waits for its dead letter what it was', () => {
    const bytes = new BytesInFlight<ReturnType<typeof message>>(10_000_000, 'json');
    const large = message(listOf('{}', 50_000));
    const next = message(listOf('{}', 150_000));
    bytes.arrived(large);
    assert.ok(bytes.admits(next));
    bytes.entered(large);
    assert.ok(!bytes.admits(next), 'it has been seen how payloads grow');
    bytes.parked(large);
    assert.ok(bytes.admits(next));
  });

  test('how much payloads grow is forgotten little by little', () => {
    const bytes = new BytesInFlight<ReturnType<typeof message>>(10_000_000, 'json');
    const pass = (json: string): number => {
      const one = message(json);
      bytes.arrived(one);
      bytes.entered(one);
      bytes.released(one);
      return bytes.room();
    };
    const least = pass(listOf('{}', 50_000));
    let room = least;
    const text = JSON.stringify('x'.repeat(10_000));
    for (let n = 0; n < 200; n++) {
      assert.ok(pass(text) >= room);
      room = pass(text);
    }
    assert.ok(room > 5 * least);
  });

  test('without a limit there is always room', () => {
    const bytes = new BytesInFlight<ReturnType<typeof message>>(-1, 'json');
    const one = message(listOf('{}', 50_000));
    bytes.arrived(one);
    bytes.entered(one);
    assert.deepEqual([bytes.room(), bytes.admits(one)], [Infinity, true]);
  });
});

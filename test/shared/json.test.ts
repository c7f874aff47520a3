import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  exactNumber,
  isTooDeep,
  jsonIsTooDeep,
  parseJson,
  staysTheSame,
  stringifyJson,
} from '../../nodes/shared/json';
import { watchHeartbeat } from '../support/heartbeat';

// Some hundred thousand numbers or quotes are read in a moment, not each by a look at all the others.
watchHeartbeat(5_000);

test('a number that a double does not hold exactly is its text', () => {
  const texts = [
    ...['1234567890123456788', '1234567890123456789', '-1234567890123456789', '12345678901234567890'],
    ...['9007199254740992', '9007199254740993', '-9007199254740992', '10000000000000000000'],
    ...['1e400', '-1E+400', '1e-400', '5e-325', '1.7976931348623159e308', '1234567890123456789e10'],
    ...['0.12345678901234567890', '3.141592653589793238', '12345678901234567.8', '9007199254740993.0'],
    '9'.repeat(5_000),
  ];
  for (const text of texts) {
    assert.equal(parseJson(text), text);
    assert.equal(parseJson(` ${text}\n`), text);
    assert.deepEqual(parseJson(`{"a": ${text},"b":[${text},\t${text}]}`), { a: text, b: [text, text] });
  }
});

test('any other number is a number, however it is written', () => {
  const numbers = [
    ...['0', '-0', '-0.0e5', '42', '9007199254740991', '-9007199254740991', '0.1', '1.10', '1e2', '1E+2'],
    ...['1e-7', '1e308', '1.5e300', '2.50e-300', '1e0002', '0e400', '5e-324', '6.02214076e23', '1e21'],
    ...['0.30000000000000004', '13.404953999999998', '0.000000000000000000001', '100.00000000000000000'],
    ...['1.7976931348623157e308', '123456789012345.6', '0.00000000000000000000', '-0.0000000000000000'],
  ];
  for (const text of numbers)
    assert.ok(
      Object.is(parseJson(text, 'refuse'), JSON.parse(text)),
      `${text} is ${String(parseJson(text))}`,
    );
});

test('what looks like such a number within a text or a key stays what it is', () => {
  const texts = [
    '1234567890123456789',
    ': 1234567890123456789',
    '",1234567890123456789',
    '\\',
    '\\" :1e400,',
  ];
  for (const text of texts) {
    const value = { [text]: text, n: [text] };
    assert.deepEqual(parseJson(JSON.stringify(value), 'refuse'), value);
    const with64Bits = JSON.stringify(value).replace('"n"', '"id":1234567890123456789,"n"');
    assert.deepEqual(parseJson(with64Bits), { ...value, id: '1234567890123456789' });
  }
});

/** JSON as somebody else may write it, with what it is to be read as. */
interface Written {
  json: string;
  value: unknown;
}
const digits = (most: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${most}}$`));
const literal = fc
  .tuple(
    fc.constantFrom('', '-'),
    digits(25).map((text) => text.replace(/^0+(?=.)/, '')),
    fc.option(digits(25)),
    fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), digits(3))),
  )
  .map(
    ([sign, whole, fraction, power]) =>
      `${sign}${whole}${fraction ? `.${fraction}` : ''}${power?.join('') ?? ''}`,
  );
const blank = fc.constantFrom('', '', ' ', '\n\t');
const nearlyNumber = fc.stringMatching(/^[0-9eE.:,"\\[\] {}-]{0,30}$/);

/** Digits and power of ten, as another would find them: by whole numbers of any length. */
function ratio(text: string): [bigint, bigint] {
  const [, sign, whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)\.?(\d*)(?:e([-+]?\d+))?$/i.exec(text) ?? [];
  const exponent = Number(power) - fraction.length;
  const top = BigInt(`${sign}${whole}${fraction}`);
  return exponent < 0 ? [top, 10n ** BigInt(-exponent)] : [top * 10n ** BigInt(exponent), 1n];
}
function same(a: string, b: string): boolean {
  const [[p, q], [r, s]] = [ratio(a), ratio(b)];
  return p * s === r * q;
}
function expected(text: string): unknown {
  const number = Number(text);
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(number) ? number : text;
  return Number.isFinite(number) && same(text, String(number)) ? number : text;
}

const written = fc.letrec<{ any: Written }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    literal.map((text) => ({ json: text, value: expected(text) })),
    fc
      .oneof(nearlyNumber, fc.string({ unit: 'grapheme' }))
      .map((text) => ({ json: JSON.stringify(text), value: text })),
    fc.constantFrom(true, false, null).map((value) => ({ json: String(value), value })),
    fc.array(fc.tuple(tie('any'), blank, blank), { maxLength: 4 }).map((items) => ({
      json: `[${items.map(([{ json }, before, after]) => before + json + after).join(',')}]`,
      value: items.map(([{ value }]) => value),
    })),
    fc
      .array(fc.tuple(fc.oneof(nearlyNumber, fc.constant('__proto__')), tie('any'), blank), { maxLength: 4 })
      .map((items) => ({
        json: `{${items.map(([key, { json }, space]) => `${space}${JSON.stringify(key)}${space}:${space}${json}${space}`).join(',')}}`,
        value: Object.fromEntries(items.map(([key, { value }]) => [key, value])),
      })),
  ),
})).any;

test('in any JSON each number is exact or its text, and all else is as JSON.parse has it', () => {
  fc.assert(
    fc.property(written, ({ json, value }) => {
      assert.deepEqual(parseJson(json), value);
      const changed = JSON.stringify(parseJson(json)) !== JSON.stringify(JSON.parse(json));
      if (changed) assert.throws(() => parseJson(json, 'refuse'), { code: 'BIG_NUMBER', retryable: false });
    }),
    { numRuns: 2_000 },
  );
});

test('what JSON.parse refuses is refused, and nothing else', () => {
  const outcome = (parse: (json: string) => unknown, json: string) => {
    try {
      return [parse(json)];
    } catch (error) {
      return (error as Error).name;
    }
  };
  const safe = (json: string) =>
    JSON.parse(json, (_key, value: unknown) => (typeof value === 'number' ? 0 : value)) as unknown;
  fc.assert(
    fc.property(nearlyNumber, (json) => {
      const [own, other] = [outcome(parseJson, json), outcome(safe, json)];
      assert.equal(typeof own, typeof other);
      if (typeof own === 'string') assert.equal(own, other);
    }),
    { numRuns: 2_000 },
  );
  for (const json of [
    '1234567890123456789.',
    '01234567890123456789',
    '{1234567890123456789:1}',
    '[1e400,]',
    '1e400e1',
  ])
    assert.throws(() => parseJson(json), SyntaxError, json);
});

test('the last of equal keys counts, and __proto__ is a key like any other, beside a big number too', () => {
  for (const number of ['1', '1234567890123456789']) {
    const parsed = parseJson(`{"a":0,"n":${number},"a":2,"__proto__":{"evil":true}}`) as Record<
      string,
      unknown
    >;
    assert.deepEqual(Object.keys(parsed), ['a', 'n', '__proto__']);
    assert.equal(parsed.a, 2);
    assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
    assert.equal(parsed.evil, undefined);
  }
});

test('a message full of big numbers, and of texts before them, is read at once', () => {
  const [big, count] = ['1234567890123456789', 100_000];
  const list = (parseJson(`[${`${big},`.repeat(count)}${'"\\\\\\"",'.repeat(count)}${big}]`) ??
    []) as string[];
  assert.deepEqual(
    [list.length, list[count - 1], list.at(-2), list.at(-1)],
    [2 * count + 1, big, '\\"', big],
  );
});

test('half a surrogate pair survives a big number beside it', () => {
  assert.deepEqual(parseJson('["\\ud83d",1234567890123456789,"\ude00"]'), [
    '\ud83d',
    '1234567890123456789',
    '\ude00',
  ]);
});

test('a refused number is named, a long one by its beginning', () => {
  const refused = (json: string) => () => parseJson(json, 'refuse');
  assert.throws(refused('[1234567890123456789]'), {
    code: 'BIG_NUMBER',
    message: /number 1234567890123456789, which/,
  });
  assert.throws(refused('7'.repeat(1_000)), { code: 'BIG_NUMBER', message: /number 7{50}…, which/ });
});

test('a number is the same text however it is written, where it is not exact', () => {
  for (const text of [
    '1234567890123456789',
    '1.234567890123456789E18',
    '1234567890123456789.00',
    '12345678901234567890e-1',
  ])
    assert.equal(exactNumber(text), '1234567890123456789');
  for (const text of ['1234567890123456800', '1.2345678901234568E18'])
    assert.equal(exactNumber(text), '1234567890123456800');
  for (const text of ['-0.1234567890123456789', '-1.234567890123456789E-1', '-00.12345678901234567890'])
    assert.equal(exactNumber(text), '-0.1234567890123456789');
  assert.equal(exactNumber('1234567890123456.7891'), '1234567890123456.7891');
  assert.equal(exactNumber('1e400'), '1e400');
  assert.equal(exactNumber('10.0E399'), '1e400');
  assert.equal(exactNumber('1.0E21'), '1000000000000000000000');
  assert.equal(exactNumber('5.0E8'), 500_000_000);
  assert.equal(exactNumber('-0'), 0);
  assert.equal(exactNumber('-0.00'), 0);
  assert.equal(exactNumber('0x10'), 16);
  assert.equal(exactNumber('none'), 'none');
  fc.assert(
    fc.property(literal, (text) => {
      const exact = exactNumber(text);
      assert.ok(!Number.isFinite(Number(exact)) || same(text, String(exact)), `${text} → ${exact}`);
      assert.equal(exactNumber(String(exact)), exact);
    }),
  );
});

test('a decimal number stays the same as a double where its shortest text is the same number', () => {
  fc.assert(
    fc.property(literal, (text) =>
      assert.equal(staysTheSame(text), Number.isFinite(Number(text)) && same(text, String(Number(text)))),
    ),
  );
});

test('a BigInt is written as the number that it is, whatever stands beside it', () => {
  assert.equal(stringifyJson(12345678901234567890n), '12345678901234567890');
  assert.equal(
    stringifyJson({ a: [-1n, '1', 'x'], b: { c: 0n, d: undefined } }),
    '{"a":[-1,"1","x"],"b":{"c":0}}',
  );
  const value = fc.oneof(fc.bigInt(), fc.string(), nearlyNumber);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), (record) => {
      const parsed = parseJson(stringifyJson(record) ?? '') as Record<string, unknown>;
      for (const [key, own] of Object.entries(record)) assert.equal(String(parsed[key]), String(own));
    }),
  );
});

test('all else is written as JSON.stringify does, and what that refuses is refused', () => {
  fc.assert(fc.property(fc.anything(), (value) => assert.equal(stringifyJson(value), JSON.stringify(value))));
  assert.equal(stringifyJson(undefined), undefined);
  const circular: unknown[] = [1n];
  circular.push(circular);
  assert.throws(() => stringifyJson(circular), TypeError);
});

test('deep nesting is told from many brackets side by side, or in texts', () => {
  const deeper = (json: string) => jsonIsTooDeep(json, JSON.parse(json));
  const nested = (levels: number, inner = '') => `${'['.repeat(levels)}${inner}${']'.repeat(levels)}`;
  assert.equal(deeper(nested(200)), false);
  assert.equal(deeper(nested(201)), true);
  assert.equal(deeper(nested(200, '{"a":1}')), true);
  assert.equal(deeper(`[1,{"a":${nested(199)}},2]`), true);
  assert.equal(deeper(`{"a":"${'['.repeat(1_000)}"}`), false);
  assert.equal(deeper(JSON.stringify(Array.from({ length: 1_000 }, () => ({ a: [] })))), false);
  assert.equal(deeper(nested(100_000)), true);
});

test('what a flow made is too deep where it holds itself, and not where a getter throws', () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: 0, b: nested(levels - 1) });
  assert.equal(isTooDeep(nested(200)), false);
  assert.equal(isTooDeep(nested(201)), true);
  const circular: Record<string, unknown> = {};
  circular.self = [circular];
  assert.equal(isTooDeep(circular), true);
  assert.equal(
    isTooDeep(Object.defineProperty({}, 'a', { get: () => assert.fail(), enumerable: true })),
    false,
  );
  assert.equal(isTooDeep(Buffer.alloc(1_000_000)), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CsvLines, csvLines } from '../../nodes/shared/csv';

const value = fc.oneof(
  fc.constantFrom('', '"', '""', '\n', '\r\n', ',', 'a"b', 'x,y', 'ä€😀'),
  fc.string({ maxLength: 6 }),
);
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const plain = (text: string): string => (/[",\r\n]/.test(text) || text === '' ? quoted(text) : text);

const documents = fc.record({
  rows: fc.array(fc.array(value, { minLength: 2, maxLength: 4 }), { maxLength: 8 }),
  quote: fc.constantFrom(quoted, plain),
  end: fc.constantFrom('\n', '\r\n'),
  closed: fc.boolean(),
  cuts: fc.array(fc.nat(200), { maxLength: 12 }),
});

test('a document in any parts has the lines that it has as a whole', () => {
  fc.assert(
    fc.property(documents, ({ rows, quote, end, closed, cuts }) => {
      const text =
        rows.map((row) => row.map(quote).join(',')).join(end) + (closed && rows.length > 0 ? end : '');
      const lines = new CsvLines();
      const found: string[][] = [];
      const places = [...cuts.filter((cut) => cut < text.length), text.length].sort((a, b) => a - b);
      let from = 0;
      for (const to of places) {
        found.push(...lines.push(text.slice(from, to)));
        from = to;
      }
      found.push(...lines.end());
      assert.deepEqual(found, rows);
      assert.deepEqual([...csvLines(text)], rows);
    }),
  );
});

test('a line is given only when it is whole, and a document that breaks off in a value is none', () => {
  const lines = new CsvLines();
  assert.deepEqual(lines.push('"Id","Na'), []);
  assert.deepEqual(lines.push('me"\n"1","a\nb'), [['Id', 'Name']]);
  assert.throws(() => lines.end(), /no end/);
  assert.deepEqual(lines.push('"\n'), [['1', 'a\nb']]);
  assert.deepEqual(lines.end(), []);
});

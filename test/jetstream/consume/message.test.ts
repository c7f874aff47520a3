import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePayload, kept } from '../../../nodes/jetstream/consume/message';

const id = '1234567890123456789';
const json = Buffer.from(`{"id":${id},"n":1}`);

test('a number that would be changed comes as text, as JSON and where JSON is recognised', () => {
  for (const format of ['json', 'auto'] as const) {
    assert.deepEqual(decodePayload(json, format), { id, n: 1 });
    assert.deepEqual(decodePayload(json, format, 'text'), { id, n: 1 });
    assert.equal(decodePayload(Buffer.from(id), format), id);
  }
});

test('or it is a failure for good, and never taken for a text', () => {
  for (const format of ['json', 'auto'] as const) {
    assert.throws(() => decodePayload(json, format, 'refuse'), { code: 'BIG_NUMBER', retryable: false });
    assert.deepEqual(decodePayload(Buffer.from('{"n":1}'), format, 'refuse'), { n: 1 });
  }
});

test('text and bytes are left alone', () => {
  assert.equal(decodePayload(json, 'string', 'refuse'), json.toString());
  assert.deepEqual(decodePayload(json, 'buffer', 'refuse'), json);
  assert.equal(decodePayload(Buffer.from(`no. ${id}`), 'auto', 'refuse'), `no. ${id}`);
});

test('JSON of more than 200 levels is a failure for good; as text it may be as deep as it likes', () => {
  const nested = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
  for (const format of ['json', 'auto'] as const) {
    assert.ok(Array.isArray(decodePayload(nested(200), format)));
    for (const levels of [201, 3_000, 100_000])
      assert.throws(() => decodePayload(nested(levels), format), {
        code: 'BAD_PAYLOAD',
        retryable: false,
        message: /deeper than 200 levels/,
      });
  }
  assert.equal(decodePayload(nested(3_000), 'string'), nested(3_000).toString());
  assert.equal(decodePayload(Buffer.from('['.repeat(500)), 'auto'), '['.repeat(500));
});

test('a small payload does not keep what came with it from the socket; a large one is not copied', () => {
  const chunk = new Uint8Array(65_536);
  const message = (size: number) => ({ subject: 'a', headers: undefined, data: chunk.subarray(8, 8 + size) });
  const small = kept(message(10)).data;
  assert.deepEqual([...small], [...chunk.subarray(8, 18)]);
  assert.notEqual(small.buffer, chunk.buffer);
  assert.equal(kept(message(20_000)).data.buffer, chunk.buffer);
});

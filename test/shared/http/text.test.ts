import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { textOf } from '../../../nodes/shared/http/text';

const JSON_TEXT = '{"name":"Müller ☃"}';
const plain = Buffer.from(JSON_TEXT);
const read = (body: Buffer, headers = {}, largest = 1_000) => textOf(body, headers, largest);

describe('the text of an answer', () => {
  for (const [encoding, body] of [
    ['', plain],
    ['identity', plain],
    ['gzip', gzipSync(plain)],
    ['GZIP', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['deflate, gzip', gzipSync(deflateSync(plain))],
  ] as const)
    test(`packed as "${encoding}"`, async () =>
      assert.equal(await read(body, { 'content-encoding': encoding }), JSON_TEXT));

  test('is empty where the body is, however it is said to be packed', async () =>
    assert.equal(await read(Buffer.alloc(0), { 'content-encoding': 'gzip' }), ''));

  test('has no byte order mark', async () =>
    assert.equal(await read(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), plain])), JSON_TEXT));

  test('is UTF-8 whatever is said, as long as it can be', async () =>
    assert.equal(await read(plain, { 'content-type': 'application/json; charset=ISO-8859-1' }), JSON_TEXT));

  for (const [charset, encoding] of [
    ['ISO-8859-1', 'latin1'],
    ['"utf-16le"', 'utf16le'],
  ] as const)
    test(`in ${charset}`, async () => {
      const headers = { 'content-type': `application/json;charset=${charset}` };
      assert.equal(await read(Buffer.from('{"a":"ü"}', encoding), headers), '{"a":"ü"}');
    });

  test('in a charset that nobody knows is read all the same', async () =>
    assert.equal(
      await read(Buffer.from([0x7b, 0xff, 0x7d]), { 'content-type': 'a; charset=klingon' }),
      '{\ufffd}',
    ));

  for (const [encoding, pack] of [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)
    test(`is no larger than it may be, unpacked from ${encoding}`, () =>
      assert.rejects(read(pack(Buffer.alloc(10_000)), { 'content-encoding': encoding }), {
        code: 'ANSWER_TOO_LARGE',
      }));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as vm from 'node:vm';
import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { util } from '@node-red/util';
import { compilePayload, type FieldType, type PayloadField } from '../../nodes/shared/payload';

const stored: Record<string, unknown> = { region: 'eu', empty: '', zero: 0 };
const node = {
  id: 'n1',
  context: () => {
    const context = {
      get: (key: string, _store: unknown, done: (error: Error | null, value?: unknown) => void) => {
        if (key === 'throws') throw new Error('no such store');
        setImmediate(done, key === 'fails' ? new Error('disk full') : null, stored[key]);
      },
    };
    return { flow: context, global: context };
  },
  _flow: { getSetting: (name: string) => ({ EMPTY: '', REGION: 'emea' })[name] },
} as unknown as Node;
const field = (name: string, type: FieldType, value: string): PayloadField => ({ name, type, value });
const compile = (...fields: PayloadField[]) =>
  compilePayload({ util } as unknown as NodeAPI, node, { mode: 'map', fields });
/** Records have no prototypes, which strict equality would compare. */
const plain = (record: unknown): unknown => structuredClone(record);
const map = (fields: PayloadField[], msg: object = { payload: {} }) =>
  Promise.resolve(msg as NodeMessage)
    .then(compile(...fields))
    .then(plain);
const permanent = (words: RegExp) => (error: { code: string; retryable: boolean; message: string }) => {
  assert.deepEqual([error.code, error.retryable], ['FIELD_VALUE', false]);
  assert.match(error.message, words);
  return true;
};

test('an empty environment variable is a value', async () => {
  assert.deepEqual(await map([field('A', 'env', 'EMPTY'), field('B', 'env', '${EMPTY}')]), { A: '', B: '' });
  await assert.rejects(
    map([field('A', 'env', 'NONE')]),
    permanent(/The field A can't be filled from env "NONE"/),
  );
});

test('empty texts, zero, false and null are values', async () => {
  const payload = { empty: '', zero: 0, no: false, nothing: null };
  const names = Object.keys(payload);
  assert.deepEqual(
    await map(
      names.map((name) => field(name, 'msg', `payload.${name}`)),
      { payload },
    ),
    payload,
  );
  assert.deepEqual(
    await map([
      field('A', 'flow', 'empty'),
      field('B', 'global', 'zero'),
      field('C', 'str', ''),
      field('D', 'bool', 'false'),
    ]),
    { A: '', B: 0, C: '', D: false },
  );
});

test('of a field that is named twice the later row counts', async () => {
  assert.deepEqual(await map([field('A', 'str', '1'), field(' A ', 'str', '2')]), { A: '2' });
});

test('parts of a relationship keep together', async () => {
  assert.deepEqual(
    await map([
      field('Owner.Email', 'str', 'x'),
      field('Owner.Profile.Name', 'str', 'y'),
      field('Name', 'str', 'z'),
    ]),
    { Owner: { Email: 'x', Profile: { Name: 'y' } }, Name: 'z' },
  );
});

test('a record is made at once where no field needs to be waited for, and is new for each message', () => {
  const make = compile(field('A', 'json', '{"list":[]}'), field('B.C', 'num', ' 4 '));
  const [one, two] = [make({}), make({})] as [{ A: object }, { A: object }];
  assert.deepEqual(plain(one), { A: { list: [] }, B: { C: 4 } });
  assert.notEqual(one.A, two.A);
  const list = compile(field('A', 'msg', 'payload'))({ payload: [1, 2] });
  assert.deepEqual(plain(list), [{ A: 1 }, { A: 2 }]);
});

test('what a context or an expression says of its failure stands in the field’s', async () => {
  await assert.rejects(
    map([field('A', 'flow', 'fails')]),
    permanent(/A can't be filled from flow "fails": disk full/),
  );
  await assert.rejects(map([field('A', 'global', 'throws')]), permanent(/no such store/));
  await assert.rejects(map([field('A', 'flow', 'none')]), permanent(/no such value/));
  await assert.rejects(map([field('A', 'jsonata', '$error("why")')]), permanent(/why/));
  await assert.rejects(
    map([field('A', 'msg', 'payload.x.y')]),
    permanent(/A can't be filled from msg "payload.x.y"/),
  );
  await assert.rejects(map([field('A', 'msg', 'payload.x')]), permanent(/no such value/));
});

test('one field that fails, while others wait, is no unhandled rejection', async () => {
  const fields = [field('A', 'flow', 'fails'), field('B', 'msg', 'payload.x'), field('C', 'global', 'fails')];
  await assert.rejects(map(fields), permanent(/./));
  await assert.rejects(map(fields, { payload: [{}, {}] }), permanent(/./));
});

test('elements of a batch have their own part of what the batch says', async () => {
  const msg = { payload: ['a', 'b'], other: [7, 8], jetstream: { sequence: [1, 2], stream: 'S' } };
  const fields = [
    field('N', 'msg', 'jetstream.sequence'),
    field('S', 'jsonata', 'jetstream.stream'),
    field('O', 'msg', 'other'),
  ];
  assert.deepEqual(await map(fields, msg), [
    { N: 1, S: 'S', O: [7, 8] },
    { N: 2, S: 'S', O: [7, 8] },
  ]);
  assert.deepEqual(msg.jetstream.sequence, [1, 2]);
});

test('a type that there is not is refused, and so are a number and JSON that are none', () => {
  assert.throws(
    () => compile(field('A', 'date' as FieldType, 'x')),
    permanent(/date is not a type of value/),
  );
  assert.throws(() => compile(field('A', 'num', 'x')), permanent(/not a number/));
  assert.throws(() => compile(field('A', 'num', ' ')), permanent(/not a number/));
  assert.throws(() => compile(field('A', 'json', '{')), permanent(/JSON/));
  assert.throws(() => compile(field('A', 'jsonata', '((')), permanent(/A can't be filled/));
});

test('numbers of the field map stay exact', async () => {
  const big = '1234567890123456789';
  assert.deepEqual(
    await map([
      field('A', 'num', big),
      field('B', 'num', ' 12.50 '),
      field('C', 'num', '0x10'),
      field('D', 'json', `[${big}, 1]`),
    ]),
    { A: big, B: 12.5, C: 16, D: [big, 1] },
  );
});

for (const name of ['__proto__', 'a.__proto__.b', 'constructor.prototype.x', ' prototype ', 'x.constructor'])
  test(`a field can't be called ${JSON.stringify(name)}`, () => {
    assert.throws(() => compile(field(name, 'str', 'x')), permanent(/is not the name of a field/));
  });

test('fields called like what every object has are the record’s own', async () => {
  const made = (await map([
    field('toString.call', 'str', 'x'),
    field('hasOwnProperty', 'str', 'y'),
  ])) as object;
  assert.equal(JSON.stringify(made), '{"toString":{"call":"x"},"hasOwnProperty":"y"}');
  assert.equal(typeof {}.toString.call, 'function');
});

test('a template that is one expression and nothing else keeps a date a date', async () => {
  const at = vm.runInNewContext('new Date(0)') as Date;
  const made = await map(
    [field('At', 'template', '{{payload.at}}'), field('On', 'template', 'on {{payload.at}}')],
    {
      payload: { at },
    },
  );
  assert.equal(JSON.stringify(made), '{"At":"1970-01-01T00:00:00.000Z","On":"on 1970-01-01T00:00:00.000Z"}');
});

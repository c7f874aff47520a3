import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { util } from '@node-red/util';
import { compilePayload, type FieldType, type PayloadField } from '../../nodes/shared/payload';

const RED = { util } as unknown as NodeAPI;
const stored: Record<string, unknown> = { region: 'eu' };
const context = {
  get: (key: string, _store: unknown, done: (e: null, v: unknown) => void) =>
    setImmediate(done, null, stored[key]),
};
const node = {
  id: 'n1',
  name: 'upsert',
  context: () => ({ flow: context, global: context }),
  _flow: { getSetting: (name: string) => ({ REGION: 'emea' })[name] },
} as unknown as Node;

const field = (name: string, type: FieldType, value: string): PayloadField => ({ name, type, value });
const map = (fields: PayloadField[], msg: object) =>
  Promise.resolve(msg as NodeMessage)
    .then(compilePayload(RED, node, { mode: 'map', fields }))
    // Records are made without a prototype: a plain copy is easier to compare.
    .then((record) => structuredClone(record));

test('the payload of the event passes as it is', () => {
  const payload = [{ LastName: 'Ada' }];
  assert.equal(compilePayload(RED, node, { mode: 'event' })({ payload }), payload);
});

test('a map takes every type of typed input', async () => {
  const record = await map(
    [
      field('Str', 'str', '{{not a template}}'),
      field('Num', 'num', '4.5'),
      field('Bool', 'bool', 'true'),
      field('Json', 'json', '{"a":[1]}'),
      field('Msg', 'msg', 'payload.name'),
      field('Flow', 'flow', 'region'),
      field('Global', 'global', 'region'),
      field('Env', 'env', 'REGION'),
      field('Env2', 'env', '${REGION}'),
      field('Sum', 'jsonata', '$sum(payload.amounts)'),
      field('Template', 'template', '{{event.data.amounts}}'),
    ],
    { payload: { name: 'Ada', amounts: [1, 2] } },
  );
  assert.deepEqual(record, {
    Str: '{{not a template}}',
    Num: 4.5,
    Bool: true,
    Json: { a: [1] },
    Msg: 'Ada',
    Flow: 'eu',
    Global: 'eu',
    Env: 'emea',
    Env2: 'emea',
    Sum: 3,
    Template: [1, 2],
  });
});

test('a dotted name makes the nested object of a relationship', async () => {
  const fields = [
    field('Account.ExternalId__c', 'msg', 'payload.account'),
    field('Account.Type', 'str', 'x'),
  ];
  assert.deepEqual(await map(fields, { payload: { account: 'A-1' } }), {
    Account: { ExternalId__c: 'A-1', Type: 'x' },
  });
});

test('each element of an array payload becomes a record, with its own subject', async () => {
  const msg = { payload: [{ n: 1 }, { n: 2 }], jetstream: { subject: ['a.1', 'a.2'], stream: 'A' } };
  const fields = [
    field('N', 'template', '{{payload.n}}'),
    field('S', 'template', '{{event.subject}} in {{msg.jetstream.stream}}'),
  ];
  assert.deepEqual(await map(fields, msg), [
    { N: 1, S: 'a.1 in A' },
    { N: 2, S: 'a.2 in A' },
  ]);
});

test('a field without a value is an error, never left out unsaid', async () => {
  for (const missing of [
    field('A', 'template', '{{payload.x}}'),
    field('A', 'msg', 'payload.x'),
    field('A', 'msg', 'payload.x.y'),
    field('A', 'flow', 'x'),
    field('A', 'global', 'x'),
    field('A', 'env', 'X'),
  ]) {
    await assert.rejects(
      map([field('B', 'jsonata', '$error("also wrong")'), missing], { payload: {} }),
      (error: { retryable: boolean }) => error.retryable === false,
      missing.type,
    );
  }
});

test('JSONata may leave a field out, and null stays null', async () => {
  const fields = [field('A', 'jsonata', 'payload.x'), field('B', 'msg', 'payload.n')];
  assert.deepEqual(await map(fields, { payload: { n: null } }), { B: null });
});

test('a field that cannot be compiled is named before any message comes', () => {
  for (const wrong of [
    field('A', 'num', 'x'),
    field('A', 'num', ' '),
    field('A', 'json', '{'),
    field('A', 'jsonata', '(('),
    field('A', 'template', '{{a b}}'),
  ]) {
    assert.throws(() => compilePayload(RED, node, { mode: 'map', fields: [wrong] }), { retryable: false });
  }
});

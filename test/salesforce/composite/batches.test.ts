import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Batcher } from '../../../nodes/salesforce/composite/batcher';
import type { Call } from '../../../nodes/salesforce/composite/call';
import type { Operation, Write } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const BIG = { records: 1_000, maxRequests: 4, coalesce: false };

interface Wish {
  operation?: Operation;
  sobject?: string;
  allOrNone?: boolean;
  keys: (string | number)[];
  values?: Record<string, unknown>;
}

function writesOf({
  operation = 'upsert',
  sobject = 'Contact',
  allOrNone = false,
  keys,
  values = {},
}: Wish): Write[] {
  const payload = keys.map((key) =>
    operation === 'get' || operation === 'delete'
      ? id(key)
      : { ...values, Key__c: key, Id: operation === 'update' ? id(key) : undefined },
  );
  return plan({ operation, sobject, externalIdField: 'Key__c', allOrNone, fields: ['Id'], payload }).writes;
}

const id = (key: string | number) => `003${String(key).padStart(12, '0')}`;
test('whatever comes, calls stay within limits, every write is sent once, and keys keep their order', () => {
  const wish = fc.record({
    operation: fc.constantFrom<Operation>('upsert', 'update', 'delete', 'create', 'get'),
    sobject: fc.constantFrom('Contact', 'Account'),
    allOrNone: fc.boolean(),
    keys: fc.uniqueArray(fc.nat(300), { minLength: 1, maxLength: 450 }),
    values: fc.constantFrom({}, { Note: '@{x}' }),
  });
  fc.assert(
    fc.property(
      fc.array(wish, { maxLength: 12 }),
      fc.array(fc.boolean()),
      fc.integer({ min: 1, max: 1_000 }),
      (wishes, overlap, records) => {
        const batcher = new Batcher({ ...BIG, records });
        const all: Write[] = [];
        for (const one of wishes) {
          if (one.values.Note && one.allOrNone && one.keys.length > 200) one.values = {};
          all.push(...writesOf(one));
        }
        batcher.add(all);
        const order = new Map<string, Write[]>();
        for (const write of all)
          for (const key of write.keys) order.set(key.name, [...(order.get(key.name) ?? []), write]);
        const underWay: Call[] = [];
        const sent = new Set<Write>();
        for (let turn = 0; sent.size < all.length; turn++) {
          const call = batcher.take(0, overlap[turn] === true && underWay.length > 0);
          if (!call) {
            assert.ok(underWay.length > 0, 'something can always be sent when nothing is under way');
            batcher.finished(underWay.shift() as Call, 0);
            continue;
          }
          checkLimits(call, records);
          const busy = new Set(
            underWay.flatMap((one) => one.keys.filter((key) => key.write).map((key) => key.name)),
          );
          for (const write of call.collections.flatMap((c) => c.entries.flatMap((e) => e.writes))) {
            assert.ok(!sent.has(write));
            sent.add(write);
            for (const key of write.keys) {
              assert.ok(!busy.has(key.name), 'no key is written by two calls at once');
              const before = order.get(key.name)?.slice(0, order.get(key.name)?.indexOf(write)) ?? [];
              const overtaken = before.filter(
                (one) =>
                  !sent.has(one) && (key.write || one.keys.some((k) => k.name === key.name && k.write)),
              );
              assert.equal(overtaken.length, 0, 'nothing overtakes on a key');
            }
          }
          underWay.push(call);
        }
      },
    ),
    { numRuns: 150 },
  );
});

function checkLimits(call: Call, records: number): void {
  const { collections } = call;
  const [first] = collections;
  const big = collections.length === 1 && first?.atomic === true;
  assert.equal(
    call.records,
    collections.reduce((sum, c) => sum + c.records, 0),
  );
  assert.ok(call.records <= records || big, 'records of a call');
  assert.ok(collections.length <= 5);
  for (const { atomic, records: size, entries, endpoint } of collections) {
    assert.ok(size <= 200 || endpoint.operation === 'get' || big);
    assert.ok(size <= 1_000);
    if (atomic) assert.equal(entries.length, 1);
    const writes = entries.flatMap((e) =>
      e.writes.flatMap((u) => u.keys.filter((k) => k.write).map((k) => k.name)),
    );
    assert.equal(new Set(writes).size, writes.length, 'a key twice in one request');
  }
  const text = JSON.stringify(collections.map((c) => c.entries.map((e) => e.bodies)));
  if (text.includes('@{')) assert.equal(collections.length, 1);
}

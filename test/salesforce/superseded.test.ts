import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Origin } from '../../nodes/salesforce/operations';
import { until } from '../support/until';
import { contact, startRig, type Rig } from './rig';

let rig: Rig;
afterEach(() => {
  tests++;
  return rig.close();
});
const begin = async (...options: Parameters<typeof startRig>) => (rig = await startRig(...options));

/** What is remembered outlives a writer, as it must: each test has a consumer of its own. */
let tests = 0;
const began = Date.now();
const time = (second: number): string => new Date(began + second * 1_000).toISOString();
const origin = (sequence: number, timestamp = time(sequence), consumer = `crm flow${tests}`): Origin => ({
  consumer,
  sequence,
  timestamp,
});
const one = () => rig.org.records('Contact')[0] ?? {};

describe('a message that is delivered again behind newer ones', () => {
  test('leaves what those have written, and says so', async () => {
    await begin();
    const old = contact(1, { LastName: 'old', Email: 'old@example.com', Title: 'old' });
    await rig.write({ payload: old, origin: origin(1) });
    await rig.write({ payload: contact(1, { LastName: 'new' }), origin: origin(2) });
    await rig.write({ payload: { ExternalId__c: 'K1', email: 'new@example.com' }, origin: origin(3) });
    const [result] = await rig.write({ payload: old, origin: origin(1), repeated: true });
    assert.deepEqual([one().LastName, one().Email, one().Title], ['new', 'new@example.com', 'old']);
    assert.deepEqual(
      [result?.success, result?.superseded, result?.record],
      [true, ['LastName', 'Email'], old],
    );
    assert.deepEqual(rig.calls().at(-1)?.records, 1);
  });

  test('costs no call where nothing of it is left', async () => {
    await begin();
    await rig.write({ payload: contact(1, { LastName: 'old' }), origin: origin(1) });
    const [written] = await rig.write({ payload: contact(1, { LastName: 'new' }), origin: origin(2) });
    const before = rig.calls().length;
    for (const allOrNone of [false, true]) {
      const payload = [contact(1, { LastName: 'old' }), contact(2)];
      const results = await rig.write({ payload, allOrNone, origin: origin(1), repeated: true });
      assert.deepEqual(
        results.map(({ id, success, created }) => [id === written?.id, success, created]),
        [
          [true, true, false],
          [false, true, !allOrNone],
        ],
      );
    }
    assert.deepEqual(
      rig
        .calls()
        .slice(before)
        .map(({ records }) => records),
      [1, 1],
    );
    await rig.write({ payload: contact(1, { LastName: 'old' }), origin: origin(1), repeated: true });
    assert.equal(rig.calls().length, before + 2);
    assert.equal(one().LastName, 'new');
  });

  test('waits for a newer one that is under way: where that fails, its own state counts', async () => {
    await begin({ org: { latencyMs: 50 } });
    await rig.write({ payload: contact(1, { LastName: 'old' }), origin: origin(1) });
    const newer = rig.write({ payload: contact(1, { LastName: 'new', Nope__c: 1 }), origin: origin(2) });
    const older = rig.write({
      payload: contact(1, { LastName: 'again' }),
      origin: origin(1),
      repeated: true,
    });
    assert.deepEqual((await newer)[0]?.success, false);
    assert.deepEqual((await older)[0]?.superseded, undefined);
    assert.equal(one().LastName, 'again');
  });

  test('does not bring back what a newer one has deleted', async () => {
    await begin();
    const [made] = await rig.write({ payload: contact(1), origin: origin(1) });
    const update = { operation: 'update', payload: { Id: made?.id, LastName: 'x' } } as const;
    await rig.write({ operation: 'delete', payload: made?.id, origin: origin(3) });
    const [result] = await rig.write({ ...update, origin: origin(2), repeated: true });
    assert.deepEqual([result?.success, result?.superseded], [true, ['LastName']]);
  });

  test('is written where the newer one is of another consumer, or of a stream that was made anew', async () => {
    await begin();
    const write = (LastName: string, from: Origin) =>
      rig.write({ payload: contact(1, { LastName }), origin: from, repeated: true });
    await write('first', origin(100, time(0)));
    await write('other consumer', origin(1, time(1), 'crm other'));
    assert.equal(one().LastName, 'other consumer');
    await write('made anew', origin(1, time(2)));
    assert.equal(one().LastName, 'made anew');
  });

  test('of a batch has each record at its own place', async () => {
    await begin();
    await rig.write({ payload: contact(2, { LastName: 'new' }), origin: origin(5) });
    await rig.write({
      payload: [
        contact(1, { LastName: 'a' }),
        contact(2, { LastName: 'old' }),
        contact(3, { LastName: 'c' }),
      ],
      origin: [origin(3), origin(4), origin(6)],
      repeated: true,
    });
    assert.deepEqual(
      rig.org
        .records('Contact')
        .map(({ LastName }) => LastName)
        .sort(),
      ['a', 'c', 'new'],
    );
  });

  for (const coalesce of [false, true])
    test(`leaves each field as its newest message has it, in whatever order they come again (coalesce ${coalesce})`, async () => {
      const fields = ['LastName', 'Title', 'Email', 'Phone'] as const;
      await begin({ writer: { coalesce } });
      let round = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.subarray([...fields], { minLength: 1 }), { minLength: 1, maxLength: 6 }),
          fc.array(fc.nat(5), { maxLength: 8 }),
          async (messages, again) => {
            const ExternalId__c = `R${round++}`;
            const value = (field: string, n: number) =>
              field === 'Email' ? `n${n}@example.com` : `${field} ${n}`;
            const write = (n: number, repeated: boolean) => {
              const own = Object.fromEntries((messages[n] ?? []).map((field) => [field, value(field, n)]));
              const payload = { ExternalId__c, ...own };
              return rig.write({ payload, origin: origin(n + 1), repeated });
            };
            await rig.write({ payload: { ExternalId__c, LastName: 'none' } });
            for (let n = 0; n < messages.length; n++) await write(n, false);
            await Promise.all(again.filter((n) => n < messages.length).map((n) => write(n, true)));
            const row = rig.org.records('Contact').find((record) => record.ExternalId__c === ExternalId__c);
            for (const field of fields) {
              const newest = messages.findLastIndex((message) => message.includes(field));
              if (newest >= 0) assert.equal(row?.[field], value(field, newest));
            }
          },
        ),
        { numRuns: 60 },
      );
    });
});

test('a message is not answered before an earlier one that writes the same record', async () => {
  await begin();
  const locked = { match: { record: { ExternalId__c: 'K2' } }, action: { rowError: 'UNABLE_TO_LOCK_ROW' } };
  rig.org.faults.add({ ...locked, times: 3 });
  const answered: string[] = [];
  const write = (name: string, ...keys: number[]) =>
    rig.write({ payload: keys.map((key) => contact(key, { Title: name })) }).then(() => answered.push(name));
  const all = [write('first', 1, 2), write('second', 1), write('third', 1, 3), write('stranger', 4)];
  await until(() => answered.length > 0);
  assert.deepEqual(answered, ['stranger']);
  await Promise.all(all);
  assert.deepEqual(answered, ['stranger', 'first', 'second', 'third']);
  assert.equal(one().Title, 'third');
});

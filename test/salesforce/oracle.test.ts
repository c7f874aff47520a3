import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Operation, RowResult, WriteRequest } from '../../nodes/salesforce/composite/operations';
import type { OrgSession } from '../../nodes/salesforce/org/session';
import { Writer } from '../../nodes/salesforce/composite/writer';
import { startOrg, type Org } from '../org/org';
import type { Fault } from '../org/control/faults';
import { sessionWith, WRITER } from './rig';

/** What one record of a message asks for: an upsert of key n, or something with seeded record n. */
interface Step {
  n: number;
  /** The org refuses the row for good. */
  bad: boolean;
}

interface Message {
  operation: Operation;
  allOrNone: boolean;
  steps: Step[];
  /** Event loop turns before it is sent. */
  gap: number;
}

const KEYS = 30;
const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 6, max: 450 }) },
);
const message: fc.Arbitrary<Message> = fc
  .record({
    operation: fc.constantFrom<Operation>('upsert', 'upsert', 'update', 'delete', 'create', 'get'),
    allOrNone: fc.boolean(),
    size,
    seed: fc.nat(),
    badShare: fc.constantFrom(0, 0, 0.02, 0.3),
    gap: fc.nat(4),
  })
  .map(({ operation, allOrNone, size, seed, badShare, gap }) => {
    const random = sequence(seed);
    const unique = operation === 'create' || allOrNone;
    const steps = Array.from(
      { length: unique && operation !== 'create' ? Math.min(size, KEYS) : size },
      (_, i) => ({
        n: unique ? (i + (seed % KEYS)) % KEYS : Math.floor(random() * KEYS),
        bad: operation !== 'get' && operation !== 'delete' && random() < badShare,
      }),
    );
    return { operation, allOrNone, steps, gap };
  });

const action = fc.constantFrom<Fault>(
  { match: { path: '/composite' }, action: { reset: 'before' } },
  { match: { path: '/composite' }, action: { reset: 'after' } },
  { match: { path: '/composite' }, action: { reset: 'body' } },
  { match: { path: '/composite' }, action: { status: 500 } },
  { match: { path: '/composite' }, action: { status: 500, after: true } },
  { match: { path: '/composite' }, action: { status: 503 } },
  { match: { path: '/services/data' }, action: { status: 403 } },
  { match: { path: '/services/data' }, action: { status: 401 } },
  { match: { path: '/composite' }, action: { delayMs: 15 } },
  { match: { path: '/composite' }, action: { rowError: 'UNABLE_TO_LOCK_ROW' } },
  { match: { path: '/composite' }, action: { rowError: 'UNABLE_TO_LOCK_ROW' } },
);
const faults = fc.array(fc.tuple(action, fc.integer({ min: 1, max: 3 })), { maxLength: 3 });

let org: Org;
let session: OrgSession;
before(async () => {
  org = await startOrg({ latencyMs: 2 });
  session = sessionWith(org);
});
after(async () => {
  session.close();
  await org.close();
});

test('random messages under random faults end as if each had been written in turn', async () => {
  const options = fc.record({
    records: fc.constantFrom(1_000, 1_000, 300, 20),
    maxRequests: fc.integer({ min: 1, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 14 }),
      faults,
      options,
      async (messages, troubles, { records, maxRequests }) => {
        const ids = reset();
        const writer = new Writer(session, { ...WRITER, records, maxRequests });
        for (const [fault, times] of troubles) org.faults.add({ ...fault, times });
        const requests = messages.map((one, i) => requestOf(one, i, ids));
        const outcomes = await Promise.all(
          requests.map(async (request, i) => {
            for (let turn = 0; turn < sum(messages.slice(0, i + 1).map((one) => one.gap)); turn++)
              await new Promise(setImmediate);
            return writer
              .write(request, () => () => undefined)
              .then(
                (results) => ({ results, code: undefined as string | undefined }),
                (error: { code: string; details?: RowResult[] }) => ({
                  results: error.details,
                  code: error.code,
                }),
              );
          }),
        );
        await writer.close(0);
        org.faults.clear();
        compare(messages, ids, outcomes);
        checkLimits(records, maxRequests);
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 50), endOnFailure: true, timeout: 60_000 },
  );
});

/** An org with KEYS contacts that have no external id; gives their ids. */
function reset(): string[] {
  org.remove(
    'Contact',
    org.records('Contact', { deleted: true }).map((row) => String(row.Id)),
    { hard: true },
  );
  const ids = org
    .write('Contact', ...Array.from({ length: KEYS }, (_, n) => ({ LastName: `seed ${n}` })))
    .map((row) => String(row.id));
  org.clearRequests();
  return ids;
}

function requestOf({ operation, allOrNone, steps }: Message, m: number, ids: string[]): WriteRequest {
  const payload = steps.map(({ n, bad }, i) => {
    const fields = { LastName: valueOf(m, i), ...(bad && { Nonsense__c: 1 }) };
    if (operation === 'upsert') return { ...fields, ExternalId__c: `K${n}` };
    if (operation === 'create') return fields;
    return operation === 'update' ? { ...fields, Id: ids[n] } : ids[n];
  });
  return {
    operation,
    sobject: 'Contact',
    externalIdField: 'ExternalId__c',
    fields: ['LastName'],
    allOrNone,
    payload,
  };
}

const valueOf = (m: number, i: number) => `message ${m} record ${i}`;

/** Records as writing one message after the other leaves them; undefined is deleted. */
interface World {
  byKey: Map<number, string>;
  byId: Map<number, string | undefined>;
  created: Set<string>;
}

function compare(
  messages: Message[],
  ids: string[],
  outcomes: { results?: RowResult[]; code?: string }[],
): void {
  let world: World = {
    byKey: new Map(),
    byId: new Map(ids.map((_, n) => [n, `seed ${n}`])),
    created: new Set(),
  };
  const maybe = new Set<string>();
  messages.forEach((one, m) => {
    const { results, code } = outcomes[m] ?? {};
    const { operation, steps, allOrNone } = one;
    if (code !== undefined) {
      assert.equal(code, 'AMBIGUOUS_WRITE');
      assert.equal(operation, 'create', 'only a create may be left open');
    }
    assert.equal(results?.length, steps.length, 'a result for each record');
    const together = allOrNone && steps.length > 1 && operation !== 'get';
    const next: World = together
      ? { byKey: new Map(world.byKey), byId: new Map(world.byId), created: new Set(world.created) }
      : world;
    const worked = steps.map((step, i) => apply(next, operation, step, valueOf(m, i), results?.[i]));
    if (together && worked.every(Boolean)) world = next;
    const expected = together && !worked.every(Boolean) ? worked.map(() => false) : worked;
    results?.forEach((row, i) => {
      if (row.errors[0]?.statusCode === 'AMBIGUOUS_WRITE') {
        maybe.add(valueOf(m, i));
        world.created.delete(valueOf(m, i));
      } else if (operation !== 'delete') {
        assert.equal(
          row.success,
          expected[i],
          `message ${m} (${operation}) record ${i}: ${JSON.stringify(row)}`,
        );
      }
    });
  });
  const rows = org.records('Contact');
  const found = (filter: (row: (typeof rows)[number]) => boolean) =>
    rows.filter(filter).map((row) => [String(row.ExternalId__c ?? row.Id), row.LastName]);
  const sorted = (pairs: unknown[][]) => pairs.map(String).sort();
  assert.deepEqual(
    sorted(found((row) => row.ExternalId__c != null)),
    sorted([...world.byKey].map(([n, value]) => [`K${n}`, value])),
  );
  const seeded = new Set(ids);
  assert.deepEqual(
    sorted(found((row) => seeded.has(String(row.Id)))),
    sorted([...world.byId].filter(([, value]) => value !== undefined).map(([n, value]) => [ids[n], value])),
  );
  const created = rows
    .filter((row) => row.ExternalId__c == null && !seeded.has(String(row.Id)))
    .map((row) => String(row.LastName));
  assert.equal(new Set(created).size, created.length, 'nothing is created twice');
  assert.deepEqual(created.filter((name) => !maybe.has(name)).sort(), [...world.created].sort());
}

/** One record in turn; false where the org must refuse it. */
function apply(
  world: World,
  operation: Operation,
  { n, bad }: Step,
  value: string,
  result: RowResult | undefined,
): boolean {
  if (bad) return false;
  const current = world.byId.get(n);
  switch (operation) {
    case 'upsert':
      world.byKey.set(n, value);
      return true;
    case 'create':
      world.created.add(value);
      return true;
    case 'get':
      if (result?.success)
        assert.equal(
          (result.record as { LastName: string }).LastName,
          current,
          'a get sees what was written before it',
        );
      return current !== undefined;
    default:
      if (current === undefined) return false;
      world.byId.set(n, operation === 'update' ? value : undefined);
      return true;
  }
}

function checkLimits(records: number, maxRequests: number): void {
  for (const call of org.requests().filter(({ path }) => path.includes('/composite'))) {
    const atomic = (call.parts ?? []).length > 1 || call.records <= 200;
    assert.ok(
      call.records <= records || (atomic && call.records <= 1_000),
      `${call.records} records in a call`,
    );
    assert.ok((call.parts ?? []).length <= 5);
    for (const part of call.parts ?? []) assert.ok(part <= 1_000);
    assert.ok(
      call.concurrent <= maxRequests + 1,
      `${call.concurrent} calls at once, a probe or login among them`,
    );
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

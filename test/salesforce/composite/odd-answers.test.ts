import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plan } from '../../../nodes/salesforce/composite/plan';
import type { RowOutcome } from '../../../nodes/salesforce/composite/fate';
import { outcomeOf } from '../../../nodes/salesforce/composite/outcome';
import type { Operation } from '../../../nodes/salesforce/composite/operations';
import { rowsFailed } from '../../../nodes/salesforce/composite/results';
import { dailyCalls, restError } from '../../../nodes/salesforce/org/answer';
import { json } from '../../fuzz/hostile';
import { random, type Random } from '../../fuzz/random';

const PAYLOADS: Record<Operation, unknown> = {
  create: { LastName: 'A' },
  update: { Id: '003000000000001AAA', LastName: 'A' },
  upsert: { ExternalId__c: 'K1', LastName: 'A' },
  delete: '003000000000001AAA',
  get: '003000000000001AAA',
  tree: { LastName: 'A', attributes: { type: 'Contact', referenceId: 'a' } },
};

const collectionOf = (operation: Operation) => {
  const { writes } = plan({
    operation,
    sobject: 'Contact',
    externalIdField: 'ExternalId__c',
    allOrNone: false,
    fields: ['Id'],
    payload: PAYLOADS[operation],
  });
  const [write] = writes;
  assert.ok(write);
  const entry = { writes: [write], bodies: write.rows.map(({ body }) => body) };
  return { endpoint: write.endpoint, atomic: write.atomic, entries: [entry] } as unknown as Parameters<
    typeof outcomeOf
  >[0];
};

const resultsOf = (outcomes: RowOutcome[]) =>
  outcomes.flatMap((one) => (one.kind === 'held' ? [] : one.results));

/** Much like an answer, and wrong in places. */
function oddBody(r: Random): unknown {
  const odd = (good: unknown): unknown => (r.chance(0.4) ? json(r, 2) : good);
  const error = odd({
    statusCode: odd('REQUIRED_FIELD_MISSING'),
    message: odd('no'),
    fields: odd(['Email']),
    errorCode: odd('X'),
  });
  const row = odd({
    id: odd('003000000000001AAA'),
    success: odd(false),
    errors: odd([error]),
    referenceId: odd('a'),
  });
  return odd(r.pick([[row], [error], { hasErrors: odd(true), results: odd([row]) }]));
}

test('an answer of any shape gives a verdict, and rows whose errors are texts', () => {
  for (let n = 0; n < 4_000; n++) {
    const r = random(`odd answer ${n}`);
    const operation = r.pick(Object.keys(PAYLOADS) as Operation[]);
    const status = r.pick([200, 201, 400, 403, 404, 500]);
    const outcome = outcomeOf(collectionOf(operation), { status, body: oddBody(r) });
    const errors =
      outcome.kind === 'refused'
        ? [outcome.error]
        : outcome.kind === 'rows'
          ? resultsOf(outcome.outcomes).flatMap((result) => result.errors)
          : [];
    for (const { statusCode, message, fields } of errors) {
      assert.deepEqual(
        [typeof statusCode, typeof message, Array.isArray(fields)],
        ['string', 'string', true],
        `${n}`,
      );
      assert.ok(fields.every((field) => typeof field === 'string'));
    }
    if (outcome.kind !== 'rows') continue;
    const results = resultsOf(outcome.outcomes);
    if (results.some(({ success }) => !success))
      assert.match(rowsFailed(operation, 'Contact', results).message, /failed in/);
  }
});

test('a row error whose fields are a text names that field', () => {
  const error = { statusCode: 'INVALID_EMAIL_ADDRESS', message: 'no', fields: 'Email' };
  const outcome = outcomeOf(collectionOf('create'), {
    status: 200,
    body: [{ success: false, errors: [error] }],
  });
  assert.ok(outcome.kind === 'rows');
  const [row] = resultsOf(outcome.outcomes);
  assert.deepEqual(row?.errors, [{ ...error, fields: ['Email'] }]);
});

test('what is no error of the REST API is told by its status', () => {
  for (const body of [null, 7, [], [null], [7], { errorCode: 7 }, [{ errorCode: '' }], { errorCode: null }])
    assert.deepEqual(restError({ status: 418, body }), {
      errorCode: 'HTTP_418',
      message: '',
      fields: [],
    });
  assert.deepEqual(restError({ status: 400, body: [{ errorCode: 'X', message: 7, fields: 'a' }] }), {
    errorCode: 'X',
    message: '',
    fields: ['a'],
  });
});

test('limits that are none say nothing of the day', () => {
  for (const body of [
    undefined,
    null,
    'x',
    [],
    { DailyApiRequests: null },
    { DailyApiRequests: { Max: '1', Remaining: 1 } },
  ])
    assert.equal(dailyCalls(body), undefined);
  assert.deepEqual(dailyCalls({ DailyApiRequests: { Max: 10, Remaining: 4 } }), { used: 6, max: 10 });
});

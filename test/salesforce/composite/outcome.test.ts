import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Batcher } from '../../../nodes/salesforce/composite/batcher';
import type { Collection } from '../../../nodes/salesforce/composite/call';
import { outcomeOf, type CollectionOutcome } from '../../../nodes/salesforce/composite/outcome';
import type { RowResult, Write, WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';
import { failed, locked } from '../fake-org';

const ID = (n: number) => `003${String(n).padStart(12, '0')}AAA`;

/** The collection in which a message goes. */
function collection(request: Partial<WriteRequest> & { payload: unknown }): Collection {
  const base = {
    operation: 'upsert',
    sobject: 'Contact',
    externalIdField: 'Key__c',
    allOrNone: false,
  } as const;
  const batcher = new Batcher({ records: 1_000, maxRequests: 4, coalesce: false });
  batcher.add(plan({ ...base, ...request }).writes);
  return batcher.take(0, false)?.collections[0] as Collection;
}
const people = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ Key__c: i, LastName: String(i) }));
const upserts = (count: number, allOrNone = false) => collection({ payload: people(count), allOrNone });
const writeOf = (one: Collection) => one.entries[0]?.writes[0] as Write;
const ok = (n = 0, more = {}) => ({ id: ID(n), success: true, errors: [], ...more });
const error = (errorCode: string, message = 'm') => [{ errorCode, message }];

function rows(outcome: CollectionOutcome): [string, RowResult[]][] {
  assert.equal(outcome.kind, 'rows');
  return outcome.kind === 'rows'
    ? outcome.outcomes.map((one) => [one.kind, one.kind === 'held' ? [] : one.results])
    : [];
}

describe('an answer of one result for each record', () => {
  test('gives each its own, in order', () => {
    const body = [ok(1, { created: true }), failed('FIELD_INTEGRITY_EXCEPTION'), ok(2, { created: false })];
    assert.deepEqual(rows(outcomeOf(upserts(3), { status: 200, body })), [
      ['final', [{ id: ID(1), success: true, created: true, errors: [], record: null }]],
      [
        'final',
        [{ id: null, success: false, errors: failed('FIELD_INTEGRITY_EXCEPTION').errors, record: null }],
      ],
      ['final', [{ id: ID(2), success: true, created: false, errors: [], record: null }]],
    ]);
  });

  test('of a message of all or none is one outcome', () => {
    const body = [ok(1), ok(2)];
    assert.deepEqual(
      rows(outcomeOf(upserts(2, true), { status: 200, body })).map(([kind, results]) => [
        kind,
        results.length,
      ]),
      [['final', 2]],
    );
  });

  test('knows the id from the record or the id that was sent, where the org does not say it', () => {
    const update = collection({ operation: 'update', payload: [{ Id: ID(1) }] });
    const lower = collection({ operation: 'update', payload: [{ id: ID(2) }] });
    const remove = collection({ operation: 'delete', payload: [ID(3)] });
    for (const [one, id] of [
      [update, ID(1)],
      [lower, ID(2)],
      [remove, ID(3)],
    ] as const)
      assert.equal(
        rows(outcomeOf(one, { status: 200, body: [failed('FIELD_INTEGRITY_EXCEPTION')] }))[0]?.[1][0]?.id,
        id,
      );
    assert.equal(rows(outcomeOf(update, { status: 200, body: [{ ...ok(), id: '' }] }))[0]?.[1][0]?.id, ID(1));
  });

  test('that says not clearly what became of a row says nothing of any', () => {
    for (const row of [null, 'yes', {}, { success: 'true' }, { success: 1 }]) {
      const outcome = outcomeOf(upserts(2), { status: 200, body: [ok(), row] });
      assert.ok(outcome.kind === 'outage' && outcome.outage.sent && outcome.counts);
    }
  });

  test('without a word on why a row failed is no evidence against it', () => {
    for (const errors of [[], 'all', [7]])
      assert.equal(
        rows(outcomeOf(upserts(1), { status: 200, body: [{ success: false, errors }] }))[0]?.[0],
        'again',
      );
  });
});

describe('row failures that pass', () => {
  for (const code of [
    'UNABLE_TO_LOCK_ROW',
    'UNKNOWN_EXCEPTION',
    'NEVER_HEARD_OF',
    'REQUEST_RUNNING_TOO_LONG',
    'QUERY_TIMEOUT',
    'TOO_MANY_APEX_REQUESTS',
  ])
    test(`${code} is tried again`, () =>
      assert.equal(rows(outcomeOf(upserts(1), { status: 200, body: [failed(code)] }))[0]?.[0], 'again'));

  test('with them the rest of a message of all or none, unless a row of it fails for good', () => {
    const kind = (...body: unknown[]) =>
      rows(outcomeOf(upserts(body.length, true), { status: 200, body }))[0]?.[0];
    assert.equal(kind(locked(), failed('ALL_OR_NONE_OPERATION_ROLLED_BACK')), 'again');
    assert.equal(kind(locked(), failed('PROCESSING_HALTED')), 'again');
    assert.equal(kind(locked(), failed('REQUIRED_FIELD_MISSING')), 'final');
    assert.equal(kind(failed('PROCESSING_HALTED'), failed('PROCESSING_HALTED')), 'final');
  });
});

describe('a row that says that the org writes nothing holds everything', () => {
  const held = (statusCode: string, message = '') => {
    const error = { statusCode, message, fields: [] };
    const outcome = outcomeOf(upserts(1), { status: 200, body: [{ success: false, errors: [error] }] });
    const [first] = outcome.kind === 'rows' ? outcome.outcomes : [];
    return first?.kind === 'held' ? first.outage.message : first?.kind;
  };
  for (const [code, words] of [
    ['REQUEST_LIMIT_EXCEEDED', /API request limit is spent/],
    ['STORAGE_LIMIT_EXCEEDED', /data storage is full/],
    ['API_DISABLED_FOR_ORG', /does not allow API calls/],
    ['FUNCTIONALITY_TEMPORARILY_UNAVAILABLE', /no such work just now/],
  ] as const) {
    test(code, () => assert.match(String(held(code)), words));
    test(`${code}, met by a trigger`, () => {
      const said = `T: execution of AfterInsert caused by: System.DmlException: Insert failed. First exception on row 0; first error: ${code}, x: []`;
      if (code !== 'API_DISABLED_FOR_ORG')
        assert.match(String(held('CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', said)), words);
    });
  }
  test('not where a validation rule has such words', () =>
    assert.equal(
      held('FIELD_CUSTOM_VALIDATION_EXCEPTION', 'first error: REQUEST_LIMIT_EXCEEDED, three requests'),
      'final',
    ));
});

describe('whose fault a row’s error is', () => {
  for (const met of [
    'System.QueryException: Record Currently Unavailable: The record you are attempting to edit is currently being modified by another user',
    'System.CalloutException: Read timed out',
    'System.AsyncException: Rate Limiting Exceeded',
    'first error: UNKNOWN_EXCEPTION, x; QUERY_TIMEOUT',
  ])
    test(`not the record’s where a flow has met ${met.split(':')[0]}`, () =>
      assert.equal(kindOf('CANNOT_EXECUTE_FLOW_TRIGGER', met), 'again'));

  const kindOf = (statusCode: string, message: string, fields: unknown = []) =>
    rows(
      outcomeOf(upserts(1), {
        status: 200,
        body: [{ success: false, errors: [{ statusCode, message, fields }] }],
      }),
    )[0]?.[0];
  const wrapped = (inner: string) => `ContactTrigger: execution of BeforeUpdate caused by: ${inner}`;

  for (const code of ['CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', 'CANNOT_EXECUTE_FLOW_TRIGGER']) {
    test(`${code}: a lock that a trigger or flow has met passes`, () =>
      assert.equal(
        kindOf(
          code,
          wrapped('System.DmlException: Update failed. first error: UNABLE_TO_LOCK_ROW, unable …'),
        ),
        'again',
      ));
    test(`${code}: the limits of automation want fewer rows`, () =>
      assert.equal(kindOf(code, wrapped('System.LimitException: Too many SOQL queries: 101')), 'crowded'));
    test(`${code}: anything else in it is the record’s`, () =>
      assert.equal(kindOf(code, wrapped('System.NullPointerException: Attempt to de-reference')), 'final'));
  }

  test('somebody else who creates the same record at the same moment is nobody’s', () => {
    const twin = (field: string) =>
      kindOf('DUPLICATE_VALUE', `duplicate value found: ${field} duplicates value on record with id: 003`);
    assert.equal(twin('key__c'), 'again');
    assert.equal(twin('Email__c'), 'final');
    assert.equal(kindOf('DUPLICATE_VALUE', 'Duplicate external id specified: a'), 'apart');
  });

  for (const code of ['INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE', 'SERVER_UNAVAILABLE'])
    test(`${code} holds, with the rest of a message of all or none`, () => {
      const outcome = outcomeOf(upserts(2, true), {
        status: 200,
        body: [failed(code), failed('ALL_OR_NONE_OPERATION_ROLLED_BACK')],
      });
      const [one] = outcome.kind === 'rows' ? outcome.outcomes : [];
      assert.ok(one?.kind === 'held');
      assert.deepEqual([one.outage.reason, one.outage.code, one.outage.sent], ['unreachable', code, false]);
    });

  test('fields that an unknown error names are the record’s, one of them as a text, too', () => {
    assert.equal(kindOf('NEVER_HEARD_OF', 'm', ['Email']), 'final');
    assert.equal(kindOf('NEVER_HEARD_OF', 'm', 'Email'), 'final');
    assert.equal(kindOf('UNABLE_TO_LOCK_ROW', 'm', ['Email']), 'again');
  });
});

describe('a delete that finds its record gone', () => {
  const remove = (change: (write: Write) => void, ...errors: unknown[]) => {
    const one = collection({ operation: 'delete', payload: [ID(1)] });
    change(writeOf(one));
    return rows(outcomeOf(one, { status: 200, body: [{ success: false, errors }] }))[0]?.[1][0];
  };
  const [gone] = failed('ENTITY_IS_DELETED').errors;
  const [other] = failed('FIELD_CUSTOM_VALIDATION_EXCEPTION').errors;
  const lose = (write: Write) => (write.losses = 1);

  test('is a success where it may have been carried out before', () => {
    assert.deepEqual(remove(lose, gone), { id: ID(1), success: true, errors: [], record: null });
    const again = (write: Write) => Object.assign(write.message.request, { repeated: true });
    assert.equal(remove(again, gone)?.success, true);
  });

  test('is none where it is new, or fails by something else too', () => {
    assert.equal(remove(() => undefined, gone)?.success, false);
    assert.equal(remove(lose, gone, other)?.success, false);
    assert.equal(remove(lose)?.success, false);
  });

  test('is another thing than an update that does', () => {
    const one = collection({ operation: 'update', payload: [{ Id: ID(1) }] });
    lose(writeOf(one));
    assert.equal(
      rows(outcomeOf(one, { status: 200, body: [failed('ENTITY_IS_DELETED')] }))[0]?.[1][0]?.success,
      false,
    );
  });
});

describe('get', () => {
  const get = (...payload: string[]) => collection({ operation: 'get', fields: ['Id'], payload });

  test('gives each id its record, also one that is asked for twice', () => {
    const body = [{ Id: ID(1), N: 1 }, null];
    const judged = rows(outcomeOf(get(ID(1), ID(2), ID(1)), { status: 200, body })).map(([, [row]]) => row);
    assert.deepEqual(judged[0], { id: ID(1), success: true, errors: [], record: { Id: ID(1), N: 1 } });
    assert.deepEqual(judged[2], judged[0]);
    assert.deepEqual(
      [judged[1]?.id, judged[1]?.success, judged[1]?.errors[0]?.statusCode, judged[1]?.errors[0]?.fields],
      [ID(2), false, 'NOT_FOUND', ['Id']],
    );
    assert.match(judged[1]?.errors[0]?.message ?? '', /no such record/);
  });

  test('without the Id among its fields has the id that was asked for', () =>
    assert.equal(rows(outcomeOf(get(ID(1)), { status: 200, body: [{ N: 1 }] }))[0]?.[1][0]?.id, ID(1)));
});

describe('an answer for the whole collection', () => {
  const judged = (status: number, body: unknown) => outcomeOf(upserts(2), { status, body });
  const lost = (outcome: CollectionOutcome) => {
    assert.ok(outcome.kind === 'outage' && outcome.outage.sent, 'nobody knows whether it was carried out');
    const { code, message, reason } = outcome.outage;
    return { code, message, reason, counts: outcome.counts };
  };

  test('that has not one result for each record is lost', () => {
    for (const body of [undefined, {}, [], [ok()], [ok(), ok(), ok()], 7]) {
      const { code, message, counts } = lost(judged(200, body));
      assert.deepEqual([code, counts], ['UNREADABLE_ANSWER', true]);
      assert.match(message, /one result for each record/);
    }
    const get = collection({ operation: 'get', fields: ['Id'], payload: [ID(1), ID(1)] });
    assert.equal(lost(outcomeOf(get, { status: 200, body: [{}, {}] })).code, 'UNREADABLE_ANSWER');
  });

  test('of 5xx is lost; where it is the outage of the org, with that', () => {
    assert.deepEqual(lost(judged(500, error('UNKNOWN_EXCEPTION'))), {
      code: 'UNKNOWN_EXCEPTION',
      message: 'The org failed (UNKNOWN_EXCEPTION: m)',
      reason: 'unreachable',
      counts: true,
    });
    const unavailable = lost(judged(503, error('SERVER_UNAVAILABLE')));
    assert.deepEqual([unavailable.reason, unavailable.counts], ['unreachable', false]);
    assert.equal(lost(judged(502, '')).code, 'HTTP_502');
    assert.deepEqual(lost(judged(200, '<html>')).code, 'HTTP_200');
  });

  test('that says the org may not be used is an outage', () => {
    const limit = judged(403, error('REQUEST_LIMIT_EXCEEDED'));
    assert.ok(limit.kind === 'outage' && limit.outage.reason === 'limit' && !limit.outage.sent);
  });

  test('that refuses is everybody’s where each record would be refused, else it may be one’s', () => {
    for (const code of [
      'NOT_FOUND',
      'INVALID_TYPE',
      'INSUFFICIENT_ACCESS',
      'INSUFFICIENT_ACCESS_OR_READONLY',
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
    ])
      assert.deepEqual(judged(400, error(code)), {
        kind: 'refused',
        error: { statusCode: code, message: 'm', fields: [] },
        shared: false,
      });
    const none = judged(400, error('INVALID_FIELD', 'Field name provided, Key__c is not an External ID'));
    assert.ok(none.kind === 'refused' && !none.shared && !none.at);
    const somebody = judged(400, error('INVALID_FIELD', 'm'));
    assert.ok(somebody.kind === 'refused' && somebody.shared);
    assert.deepEqual(judged(400, [{ errorCode: 'JSON_PARSER_ERROR', message: 'm', fields: ['F'] }]), {
      kind: 'refused',
      error: { statusCode: 'JSON_PARSER_ERROR', message: 'm', fields: ['F'] },
      shared: true,
    });
  });

  test('that names a field is the fault of the records that have it', () => {
    const one = collection({ payload: [{ Key__c: 1, Wrong__c: 1 }, { Key__c: 2 }] });
    const outcome = outcomeOf(one, {
      status: 400,
      body: error('INVALID_FIELD', "No such column 'wrong__c' on sobject of type Contact"),
    });
    assert.ok(outcome.kind === 'refused');
    assert.deepEqual([outcome.shared, outcome.at], [false, [one.entries[0]]]);
  });

  test('in words of the org that tell of no record is unexplained', () => {
    for (const code of ['UNKNOWN_EXCEPTION', 'NEVER_HEARD_OF', 'UNABLE_TO_LOCK_ROW', 'QUERY_TIMEOUT'])
      assert.equal(judged(400, error(code)).kind, 'unexplained', code);
  });

  for (const status of [
    301, 302, 307, 308, 400, 403, 404, 405, 406, 407, 409, 410, 415, 420, 421, 425, 429, 499,
  ])
    for (const body of [undefined, '<html><body>Blocked</body></html>', { message: 'Forbidden' }])
      test(`of ${status} with ${typeof body} of somebody on the way is an outage before the write`, () => {
        const outcome = judged(status, body);
        assert.ok(outcome.kind === 'outage' && !outcome.outage.sent, outcome.kind);
      });

  test('of 413 is the size’s: smaller calls pass, and one record alone is too large', () => {
    const large = judged(413, '<html>');
    assert.ok(large.kind === 'refused' && large.shared && large.error.statusCode === 'REQUEST_TOO_LARGE');
  });
});

describe('tree', () => {
  const leaf = (referenceId: string) => ({ attributes: { type: 'Contact', referenceId }, LastName: 'x' });
  const tree = (name: string) => ({
    attributes: { type: 'Account', referenceId: name },
    Name: 'Acme',
    Contacts: { records: [leaf(`${name}1`), leaf(`${name}2`)] },
    Other: { records: 'none' },
  });
  const trees = () => collection({ operation: 'tree', sobject: 'Account', payload: [tree('a'), tree('b')] });
  const all = ['a', 'a1', 'a2', 'b', 'b1', 'b2'];

  test('of 201 gives the id of each reference, of its root first', () => {
    const results = all.map((referenceId, i) => ({ referenceId, id: ID(i) })).reverse();
    assert.deepEqual(rows(outcomeOf(trees(), { status: 201, body: { hasErrors: false, results } })), [
      [
        'final',
        [
          {
            id: ID(0),
            success: true,
            errors: [],
            record: null,
            references: { a: ID(0), a1: ID(1), a2: ID(2) },
          },
          {
            id: ID(3),
            success: true,
            errors: [],
            record: null,
            references: { b: ID(3), b1: ID(4), b2: ID(5) },
          },
        ],
      ],
    ]);
    const [, [first] = []] =
      rows(outcomeOf(trees(), { status: 201, body: { hasErrors: false, results: [] } }))[0] ?? [];
    assert.deepEqual([first?.id, first?.references], [null, { a: '', a1: '', a2: '' }]);
  });

  test('that fails has the errors of the records at fault; the others were halted', () => {
    const results = [{ referenceId: 'b1', errors: failed('FIELD_INTEGRITY_EXCEPTION').errors }];
    for (const status of [400, 201]) {
      const [[kind, [first, second]] = ['', []]] = rows(
        outcomeOf(trees(), { status, body: { hasErrors: true, results } }),
      );
      assert.equal(kind, 'final');
      assert.deepEqual(
        [first?.success, first?.id, first?.errors[0]?.statusCode],
        [false, null, 'PROCESSING_HALTED'],
      );
      assert.match(first?.errors[0]?.message ?? '', /another tree of the same request failed/);
      assert.deepEqual(second?.errors, failed('FIELD_INTEGRITY_EXCEPTION').errors);
    }
    const wrong = rows(outcomeOf(trees(), { status: 400, body: { hasErrors: false, results } }));
    assert.equal(wrong[0]?.[1][1]?.success, false, 'a 400 is no success');
  });

  test('that is locked is tried again, unless something in it fails for good', () => {
    const kind = (...errors: unknown[]) =>
      rows(
        outcomeOf(trees(), {
          status: 400,
          body: { hasErrors: true, results: [{ referenceId: 'a1', errors }] },
        }),
      )[0]?.[0];
    const [lock] = locked().errors;
    assert.equal(kind(lock), 'again');
    assert.equal(kind(lock, ...failed('FIELD_INTEGRITY_EXCEPTION').errors), 'final');
    assert.equal(kind(...failed('PROCESSING_HALTED').errors), 'final');
  });

  test('that is refused as a whole is so alone; a 5xx is lost', () => {
    assert.deepEqual(outcomeOf(trees(), { status: 400, body: error('INVALID') }), {
      kind: 'refused',
      error: { statusCode: 'INVALID', message: 'm', fields: [] },
      shared: false,
    });
    assert.equal(outcomeOf(trees(), { status: 500, body: '' }).kind, 'outage');
  });
});

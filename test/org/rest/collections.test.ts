import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Connection } from 'jsforce';
import { connect, rawClient, rowCode } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let sf: Connection;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  sf = await connect(org);
  raw = await rawClient(org);
});
beforeEach(() => {
  const ids = org.records('Contact').map((row) => String(row.Id));
  if (ids.length > 0) org.remove('Contact', ids, { hard: true });
});
after(() => org.close());

const contact = (n: number): { LastName: string; ExternalId__c: string } => ({
  LastName: `Person ${n}`,
  ExternalId__c: `C-${n}`,
});

describe('create', () => {
  test('answers in request order, without `created`, and stores the records', async () => {
    const results = await sf.create('Contact', [contact(1), contact(2)]);
    const rows = org.records('Contact');
    assert.deepEqual(
      results,
      rows.map((row) => ({ id: row.Id, success: true, errors: [] })),
    );
    assert.deepEqual(
      rows.map((row) => row.Name),
      ['Person 1', 'Person 2'],
    );
    assert.match(String(rows[0]?.Id), /^003[A-Za-z0-9]{15}$/);
  });

  test('a failing row alone fails: statusCode, message, fields, no id', async () => {
    const results = await sf.create('Contact', [{ FirstName: 'No', Email: 'no@x.example' }, contact(1)]);
    assert.deepEqual(results[0], {
      success: false,
      errors: [
        {
          statusCode: 'REQUIRED_FIELD_MISSING',
          message: 'Required fields are missing: [LastName]',
          fields: ['LastName'],
        },
      ],
    });
    assert.equal(results[1]?.success, true);
  });

  test('allOrNone is still 200: innocent rows are rolled back and lose their id', async () => {
    const reply = await raw('POST', '/composite/sobjects', {
      allOrNone: true,
      records: [
        { attributes: { type: 'Contact' }, LastName: 'Good' },
        { attributes: { type: 'Contact' }, Nonsense__c: 1, LastName: 'Bad' },
      ],
    });
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.json, [
      {
        success: false,
        errors: [
          {
            statusCode: 'ALL_OR_NONE_OPERATION_ROLLED_BACK',
            message:
              'Record rolled back because not all records were valid and the request was using AllOrNone header',
            fields: [],
          },
        ],
      },
      {
        success: false,
        errors: [
          {
            statusCode: 'INVALID_FIELD',
            message: "No such column 'Nonsense__c' on sobject of type Contact",
            fields: [],
          },
        ],
      },
    ]);
    assert.equal(org.records('Contact').length, 0);
  });

  test('more than 200 records are refused whole', async () => {
    const records = Array.from({ length: 201 }, (_, n) => ({
      attributes: { type: 'Contact' },
      ...contact(n),
    }));
    const reply = await raw('POST', '/composite/sobjects', { records });
    assert.equal(reply.status, 400);
    assert.equal((reply.json as { errorCode: string }[])[0]?.errorCode, 'EXCEEDED_ID_LIMIT');
    assert.equal(org.records('Contact').length, 0);
  });
});

test('mixed types run in contiguous chunks, ten at most', async () => {
  const mixed = (chunks: number): object[] =>
    Array.from({ length: chunks }, (_, n) =>
      n % 2 === 0
        ? { attributes: { type: 'Contact' }, LastName: 'M' }
        : { attributes: { type: 'Account' }, Name: 'M' },
    );
  assert.equal((await raw('POST', '/composite/sobjects', { records: mixed(10) })).status, 200);
  assert.equal((await raw('POST', '/composite/sobjects', { records: mixed(11) })).status, 400);
  assert.equal(org.records('Contact').length, 5);
});

describe('upsert', () => {
  test('says created true, then false when the same call is repeated', async () => {
    const first = await sf.upsert('Contact', [contact(1)], 'ExternalId__c');
    const second = await sf.upsert('Contact', [{ ...contact(1), LastName: 'Changed' }], 'ExternalId__c');
    assert.deepEqual(
      first.map((row) => row.success && (row as { created?: boolean }).created),
      [true],
    );
    assert.deepEqual(
      second.map((row) => row.success && (row as { created?: boolean }).created),
      [false],
    );
    assert.deepEqual(
      org.records('Contact').map((row) => row.LastName),
      ['Changed'],
    );
  });

  test('every row that shares its external id with another is refused', async () => {
    const results = await sf.upsert('Contact', [contact(1), contact(2), contact(1)], 'ExternalId__c');
    assert.deepEqual(
      results.map((row) => row.success),
      [false, true, false],
    );
    assert.deepEqual(results[0]?.errors, [
      {
        statusCode: 'DUPLICATE_VALUE',
        message: 'Duplicate external id specified: C-1',
        fields: ['ExternalId__c'],
      },
    ]);
  });

  test('a unique external id ignores case', async () => {
    await sf.upsert('Contact', [{ LastName: 'A', ExternalId__c: 'abc' }], 'ExternalId__c');
    await sf.upsert('Contact', [{ LastName: 'B', ExternalId__c: 'ABC' }], 'ExternalId__c');
    assert.equal(org.records('Contact').length, 1);
  });

  test('an external id that matches several records is DUPLICATE_EXTERNAL_ID', async () => {
    org.write('Contact', { LastName: 'A', LegacyId__c: 'x' }, { LastName: 'B', LegacyId__c: 'x' });
    const [row] = await sf.upsert('Contact', [{ LastName: 'C', LegacyId__c: 'x' }], 'LegacyId__c');
    assert.equal(rowCode(row), 'DUPLICATE_EXTERNAL_ID');
  });
});

describe('update, get, delete', () => {
  test('update takes id or Id, and a malformed one fails its row with MALFORMED_ID', async () => {
    const [one, two] = org.write('Contact', contact(1), contact(2));
    const reply = await raw('PATCH', '/composite/sobjects', {
      records: [
        { attributes: { type: 'Contact' }, id: one?.id, Title: 'a' },
        { attributes: { type: 'Contact' }, Id: two?.id, Title: 'b' },
        { attributes: { type: 'Contact' }, id: '001xx', Title: 'c' },
      ],
    });
    assert.deepEqual(reply.json, [
      { id: one?.id, success: true, errors: [] },
      { id: two?.id, success: true, errors: [] },
      {
        success: false,
        errors: [
          {
            statusCode: 'MALFORMED_ID',
            message: 'Contact ID: id value of incorrect type: 001xx',
            fields: ['Id'],
          },
        ],
      },
    ]);
  });

  test('in a rolled-back update the innocent rows keep their id', async () => {
    const [one] = org.write('Contact', contact(1));
    const reply = await raw('PATCH', '/composite/sobjects', {
      allOrNone: true,
      records: [
        { attributes: { type: 'Contact' }, id: one?.id, Title: 'a' },
        { attributes: { type: 'Contact' }, id: 'nonsense', Title: 'c' },
      ],
    });
    const [row] = reply.json as { id: string; success: boolean }[];
    assert.equal(row?.id, one?.id);
    assert.equal(row?.success, false);
    assert.equal(org.records('Contact')[0]?.Title, null);
  });

  test('get answers in order with null for what is not there, by GET and by POST', async () => {
    const [one, two] = org.write('Contact', contact(1), contact(2));
    const ids = [two?.id, '003000000000000AAA', one?.id];
    const expected = ['Person 2', null, 'Person 1'];
    const byGet = await raw('GET', `/composite/sobjects/Contact?ids=${ids.join(',')}&fields=Id,Name`);
    const byPost = await raw('POST', '/composite/sobjects/Contact', { ids, fields: ['Id', 'Name'] });
    for (const reply of [byGet, byPost]) {
      assert.deepEqual(
        (reply.json as ({ Name: string } | null)[]).map((row) => row?.Name ?? null),
        expected,
      );
    }
    const unknown = await raw('POST', '/composite/sobjects/Contact', { ids, fields: ['Nope'] });
    assert.equal(unknown.status, 400);
  });

  test('allOrNone of a delete is in the query: nothing is deleted, the innocent keep their id', async () => {
    const [one] = org.write('Contact', contact(1));
    const [first, second] = await sf.destroy('Contact', [String(one?.id), 'nonsense'], { allOrNone: true });
    assert.deepEqual(
      [first?.id, rowCode(first), rowCode(second)],
      [one?.id, 'ALL_OR_NONE_OPERATION_ROLLED_BACK', 'MALFORMED_ID'],
    );
    assert.equal(org.records('Contact').length, 1);
  });

  test('the same id twice in an update is refused in every row that has it', async () => {
    const [one, two] = org.write('Contact', contact(1), contact(2));
    const rows = [one, two, one].map((row) => ({ Id: String(row?.id), Title: 'x' }));
    assert.deepEqual((await sf.update('Contact', rows)).map(rowCode), [
      'DUPLICATE_VALUE',
      undefined,
      'DUPLICATE_VALUE',
    ]);
  });

  test('a repeated delete says ENTITY_IS_DELETED', async () => {
    const [one] = org.write('Contact', contact(1));
    assert.equal((await sf.destroy('Contact', [String(one?.id)]))[0]?.success, true);
    const [again] = await sf.destroy('Contact', [String(one?.id)]);
    assert.equal(rowCode(again), 'ENTITY_IS_DELETED');
    assert.equal(org.records('Contact').length, 0);
    assert.equal(org.records('Contact', { deleted: true }).at(-1)?.IsDeleted, true);
  });
});

test('one collection is one API call, whatever its size', async () => {
  const before = org.limits().DailyApiRequests?.Remaining ?? 0;
  await sf.create(
    'Contact',
    Array.from({ length: 200 }, (_, n) => contact(n)),
  );
  assert.equal(org.limits().DailyApiRequests?.Remaining, before - 1);
  assert.match(
    (await raw('GET', '/limits')).headers.get('sforce-limit-info') ?? '',
    /^api-usage=\d+\/1000000$/,
  );
});

test('a row fault hits only the record it names, as often as it says', async () => {
  org.faults.add({
    match: { record: { ExternalId__c: 'C-2' } },
    action: { rowError: 'UNABLE_TO_LOCK_ROW' },
    times: 1,
  });
  const results = await sf.upsert('Contact', [contact(1), contact(2)], 'ExternalId__c');
  assert.deepEqual(results.map(rowCode), [undefined, 'UNABLE_TO_LOCK_ROW']);
  assert.equal((await sf.upsert('Contact', [contact(2)], 'ExternalId__c'))[0]?.success, true);
});

test('a reset after the write loses the answer and keeps the records', async () => {
  org.faults.add({ match: { path: '/composite/sobjects' }, action: { reset: 'after' }, times: 1 });
  await assert.rejects(sf.create('Contact', [contact(1)]));
  assert.equal(org.records('Contact').length, 1);
});

test('an expired session is 401 INVALID_SESSION_ID', async () => {
  org.expireSessions();
  const reply = await raw('GET', '/limits');
  assert.equal(reply.status, 401);
  assert.deepEqual(reply.json, [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }]);
});

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { rawClient, type RawReply } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  raw = await rawClient(org);
});
beforeEach(() => {
  for (const type of ['Contact', 'Account', 'OrderItem__c', 'Order__c']) {
    const ids = org.records(type).map((row) => String(row.Id));
    if (ids.length > 0) org.remove(type, ids, { hard: true });
  }
});
after(() => org.close());

interface Part {
  body: unknown;
  httpStatusCode: number;
  referenceId: string;
}

function parts(reply: RawReply): Part[] {
  return (reply.json as { compositeResponse: Part[] }).compositeResponse;
}

const HALTED = [
  {
    message: 'The transaction was rolled back since another operation in the same transaction failed.',
    errorCode: 'PROCESSING_HALTED',
  },
];

const BASE = '/services/data/v65.0';

function upsert(
  referenceId: string,
  rows: Record<string, unknown>[],
  allOrNone = true,
): Record<string, unknown> {
  const records = rows.map((row) => ({ attributes: { type: 'Contact' }, ...row }));
  return {
    method: 'PATCH',
    url: `${BASE}/composite/sobjects/Contact/ExternalId__c`,
    referenceId,
    body: { allOrNone, records },
  };
}

const people = (from: number, count: number): Record<string, unknown>[] =>
  Array.from({ length: count }, (_, i) => ({ ExternalId__c: `C-${from + i}`, LastName: `P${from + i}` }));

describe('/composite', () => {
  test('five collections of 200 are 1,000 records in one API call', async () => {
    const before = org.limits().DailyApiRequests?.Remaining ?? 0;
    org.clearRequests();
    const compositeRequest = [0, 1, 2, 3, 4].map((n) => upsert(`c${n}`, people(n * 200, 200)));
    const reply = await raw('POST', '/composite', { allOrNone: true, compositeRequest });
    assert.deepEqual(
      parts(reply).map(({ httpStatusCode }) => httpStatusCode),
      [200, 200, 200, 200, 200],
    );
    assert.equal(org.records('Contact').length, 1000);
    assert.equal(org.limits().DailyApiRequests?.Remaining, before - 1);
    const [call] = org.requests().filter(({ path }) => path.endsWith('/composite'));
    assert.deepEqual([call?.records, call?.parts], [1000, [200, 200, 200, 200, 200]]);
  });

  test('more than five collections or queries, or 25 subrequests, fail the whole call', async () => {
    const six = Array.from({ length: 6 }, (_, n) => upsert(`c${n}`, people(n, 1)));
    assert.equal((await raw('POST', '/composite', { compositeRequest: six })).status, 400);
    const many = Array.from({ length: 26 }, (_, n) => ({
      method: 'GET',
      url: `${BASE}/sobjects/Contact/describe`,
      referenceId: `r${n}`,
    }));
    assert.equal((await raw('POST', '/composite', { compositeRequest: many })).status, 400);
    assert.equal(org.records('Contact').length, 0);
  });

  test('with allOrNone a failed collection takes back the others: they answer 400 PROCESSING_HALTED, the call 200', async () => {
    const compositeRequest = [
      upsert('one', people(0, 2)),
      upsert('two', [{ ExternalId__c: 'X' }, ...people(10, 1)]),
      upsert('three', people(20, 1)),
    ];
    const reply = await raw('POST', '/composite', { allOrNone: true, compositeRequest });
    assert.equal(reply.status, 200);
    const [one, two, three] = parts(reply);
    assert.deepEqual([one?.httpStatusCode, one?.body], [400, HALTED]);
    assert.equal(two?.httpStatusCode, 200);
    assert.deepEqual(
      (two?.body as { errors: { statusCode: string }[] }[]).map((row) => row.errors[0]?.statusCode),
      ['REQUIRED_FIELD_MISSING', 'ALL_OR_NONE_OPERATION_ROLLED_BACK'],
    );
    assert.deepEqual([three?.httpStatusCode, three?.body], [400, HALTED]);
    assert.equal(org.records('Contact').length, 0);
  });

  test('a collection without its own allOrNone shows success for rows that the outer one has rolled back', async () => {
    const compositeRequest = [upsert('one', [...people(0, 1), { ExternalId__c: 'X' }], false)];
    const reply = await raw('POST', '/composite', { allOrNone: true, compositeRequest });
    assert.deepEqual(
      (parts(reply)[0]?.body as { success: boolean }[]).map((row) => row.success),
      [true, false],
    );
    assert.equal(org.records('Contact').length, 0);
  });

  test('or, by a switch, the outer allOrNone overrides the inner one', async () => {
    org.switches.outerAllOrNoneOverrides = true;
    const compositeRequest = [upsert('one', [...people(0, 1), { ExternalId__c: 'X' }], false)];
    const reply = await raw('POST', '/composite', { allOrNone: true, compositeRequest });
    org.switches.outerAllOrNoneOverrides = false;
    assert.deepEqual(
      (parts(reply)[0]?.body as { success: boolean }[]).map((row) => row.success),
      [false, false],
    );
  });

  test('without allOrNone each subrequest stands for itself', async () => {
    const compositeRequest = [
      upsert('one', people(0, 1)),
      upsert('two', [{ ExternalId__c: 'X' }]),
      upsert('three', people(20, 1)),
    ];
    await raw('POST', '/composite', { compositeRequest });
    assert.deepEqual(
      org.records('Contact').map((row) => row.LastName),
      ['P0', 'P20'],
    );
  });

  test('and is a transaction of its own; what was rolled back is in no commit', async () => {
    const start = org.store.commits.length;
    const compositeRequest = [
      upsert('one', people(0, 2)),
      upsert('two', [...people(10, 1), { ExternalId__c: 'X' }]),
      upsert('three', people(20, 1)),
    ];
    await raw('POST', '/composite', { compositeRequest });
    const commits = org.store.commits
      .slice(start)
      .map(({ changes }) => changes.map(({ after }) => after?.LastName));
    assert.deepEqual(commits, [['P0', 'P1'], ['P20']]);
  });

  test('a later subrequest takes ids of an earlier one by @{reference.id}', async () => {
    const compositeRequest = [
      { method: 'POST', url: `${BASE}/sobjects/Account`, referenceId: 'acc', body: { Name: 'Acme' } },
      {
        method: 'POST',
        url: `${BASE}/sobjects/Contact`,
        referenceId: 'con',
        body: { LastName: 'Child', AccountId: '@{acc.id}' },
      },
      { method: 'GET', url: `${BASE}/sobjects/Account/@{acc.id}?fields=Name`, referenceId: 'read' },
    ];
    const reply = await raw('POST', '/composite', { compositeRequest });
    assert.deepEqual(
      parts(reply).map(({ httpStatusCode }) => httpStatusCode),
      [201, 201, 200],
    );
    assert.equal(org.records('Contact')[0]?.AccountId, org.records('Account')[0]?.Id);
  });

  test('a subrequest that depends on a failed one is not executed', async () => {
    const compositeRequest = [
      { method: 'POST', url: `${BASE}/sobjects/Account`, referenceId: 'acc', body: {} },
      {
        method: 'POST',
        url: `${BASE}/sobjects/Contact`,
        referenceId: 'con',
        body: { LastName: 'Child', AccountId: '@{acc.id}' },
      },
    ];
    const reply = await raw('POST', '/composite', { compositeRequest });
    assert.deepEqual(
      parts(reply).map(({ body }) => (body as { errorCode: string }[])[0]?.errorCode),
      ['REQUIRED_FIELD_MISSING', 'PROCESSING_HALTED'],
    );
    assert.equal(org.records('Contact').length, 0);
  });

  test('Authorization, Accept and Content-Type in a subrequest, and bad reference ids, fail the whole call', async () => {
    for (const wrong of [
      { httpHeaders: { Authorization: 'x' } },
      { httpHeaders: { 'content-type': 'x' } },
      { referenceId: 'a-b' },
      { referenceId: undefined },
    ]) {
      const reply = await raw('POST', '/composite', {
        compositeRequest: [{ ...upsert('ok', people(0, 1)), ...wrong }],
      });
      assert.equal(reply.status, 400, JSON.stringify(wrong));
    }
    assert.equal(org.records('Contact').length, 0);
  });

  test('a graph is atomic by itself', async () => {
    const create = (referenceId: string, body: object): object => ({
      method: 'POST',
      url: `${BASE}/sobjects/Account`,
      referenceId,
      body,
    });
    const reply = await raw('POST', '/composite/graph', {
      graphs: [
        { graphId: '1', compositeRequest: [create('a', { Name: 'A' }), create('b', {})] },
        { graphId: '2', compositeRequest: [create('c', { Name: 'C' })] },
      ],
    });
    assert.deepEqual(
      (reply.json as { graphs: { isSuccessful: boolean }[] }).graphs.map(({ isSuccessful }) => isSuccessful),
      [false, true],
    );
    assert.deepEqual(
      org.records('Account').map((row) => row.Name),
      ['C'],
    );
  });

  test('the subrequests of a batch are independent and count one by one', async () => {
    const before = org.limits().DailyApiRequests?.Remaining ?? 0;
    const batchRequests = [
      { method: 'POST', url: 'v65.0/sobjects/Account', richInput: {} },
      { method: 'POST', url: 'v65.0/sobjects/Account', richInput: { Name: 'B' } },
    ];
    const reply = await raw('POST', '/composite/batch', { batchRequests });
    const { hasErrors, results } = reply.json as { hasErrors: boolean; results: { statusCode: number }[] };
    assert.deepEqual([hasErrors, results.map(({ statusCode }) => statusCode)], [true, [400, 201]]);
    assert.equal(org.limits().DailyApiRequests?.Remaining, before - 3);
  });
});

describe('/composite/tree', () => {
  const node = (type: string, referenceId: string, fields: object, children: object = {}): object => ({
    attributes: { type, referenceId },
    ...fields,
    ...children,
  });

  test('creates parents and children, 201 with ids by referenceId', async () => {
    const reply = await raw('POST', '/composite/tree/Account', {
      records: [
        node(
          'Account',
          'a1',
          { Name: 'One' },
          {
            Contacts: { records: [node('Contact', 'c1', { LastName: 'X' })] },
            Orders__r: {
              records: [
                node(
                  'Order__c',
                  'o1',
                  {},
                  { OrderItems__r: { records: [node('OrderItem__c', 'i1', { Sku__c: 's' })] } },
                ),
              ],
            },
          },
        ),
        node('Account', 'a2', { Name: 'Two' }),
      ],
    });
    assert.equal(reply.status, 201);
    const { hasErrors, results } = reply.json as {
      hasErrors: boolean;
      results: { referenceId: string; id: string }[];
    };
    assert.equal(hasErrors, false);
    const id = (reference: string): string | undefined =>
      results.find(({ referenceId }) => referenceId === reference)?.id;
    assert.equal(org.records('Contact')[0]?.AccountId, id('a1'));
    assert.equal(org.records('OrderItem__c')[0]?.Order__c, id('o1'));
  });

  test('one bad record leaves nothing, 400 names only the failing ones', async () => {
    const reply = await raw('POST', '/composite/tree/Account', {
      records: [
        node(
          'Account',
          'a1',
          { Name: 'One' },
          { Contacts: { records: [node('Contact', 'c1', { LastName: 'X', Email: '123' })] } },
        ),
      ],
    });
    assert.equal(reply.status, 400);
    assert.deepEqual(reply.json, {
      hasErrors: true,
      results: [
        {
          referenceId: 'c1',
          errors: [
            {
              statusCode: 'INVALID_EMAIL_ADDRESS',
              message: 'Email: invalid email address: 123',
              fields: ['Email'],
            },
          ],
        },
      ],
    });
    assert.equal(org.records('Account').length, 0);
  });

  test('200 records, five levels, unique referenceIds', async () => {
    const wide = Array.from({ length: 201 }, (_, n) => node('Account', `a${n}`, { Name: 'A' }));
    assert.equal((await raw('POST', '/composite/tree/Account', { records: wide })).status, 400);
    let deep = node('Account', 'd6', { Name: 'deep' });
    for (const level of [5, 4, 3, 2, 1])
      deep = node('Account', `d${level}`, { Name: 'deep' }, { ChildAccounts: { records: [deep] } });
    assert.equal((await raw('POST', '/composite/tree/Account', { records: [deep] })).status, 400);
    const twins = [node('Account', 'same', { Name: 'A' }), node('Account', 'same', { Name: 'B' })];
    const reply = await raw('POST', '/composite/tree/Account', { records: twins });
    assert.equal((reply.json as { results: unknown[] }).results.length, 2);
    assert.equal(org.records('Account').length, 0);
  });
});

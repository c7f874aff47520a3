import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Batcher } from '../../../nodes/salesforce/composite/batcher';
import type { Call } from '../../../nodes/salesforce/composite/call';
import { answersOf, requestOf } from '../../../nodes/salesforce/composite/requests';
import type { WriteRequest } from '../../../nodes/salesforce/composite/operations';
import { plan } from '../../../nodes/salesforce/composite/plan';

const ID = (n: number) => `003${String(n).padStart(12, '0')}`;
const DATA = '/services/data/v65.0';

function callOf(...requests: (Partial<WriteRequest> & { payload: unknown })[]): Call {
  const base = { operation: 'upsert', sobject: 'Contact', externalIdField: 'K', allOrNone: false } as const;
  const batcher = new Batcher({ records: 1_000, maxRequests: 4, coalesce: false });
  for (const request of requests) batcher.add(plan({ ...base, ...request }).writes);
  return batcher.take(0, false) as Call;
}
const sent = (...requests: Parameters<typeof callOf>) => requestOf(callOf(...requests), DATA, {});
const attributes = { type: 'Contact' };
const rows = (count: number) => Array.from({ length: count }, (_, K) => ({ K }));

describe('one collection', () => {
  test('goes as it is, each operation its own way', () => {
    const records = [{ K: 1, attributes }];
    assert.deepEqual(sent({ payload: { K: 1 } }), {
      method: 'PATCH',
      path: '/composite/sobjects/Contact/K',
      body: { allOrNone: false, records },
      headers: {},
    });
    assert.deepEqual(sent({ operation: 'create', payload: { K: 1 } }), {
      method: 'POST',
      path: '/composite/sobjects',
      body: { allOrNone: false, records },
      headers: {},
    });
    assert.deepEqual(sent({ operation: 'update', payload: { Id: ID(1) } }), {
      method: 'PATCH',
      path: '/composite/sobjects',
      body: { allOrNone: false, records: [{ Id: ID(1), attributes }] },
      headers: {},
    });
    assert.deepEqual(sent({ operation: 'delete', payload: [ID(1), ID(2)], allOrNone: true }), {
      method: 'DELETE',
      path: `/composite/sobjects?ids=${ID(1)},${ID(2)}&allOrNone=true`,
      headers: {},
    });
    assert.deepEqual(sent({ operation: 'get', fields: ['A', 'B'], payload: [ID(1), ID(2), ID(1)] }), {
      method: 'POST',
      path: '/composite/sobjects/Contact',
      body: { ids: [ID(1), ID(2)], fields: ['A', 'B'] },
      headers: {},
    });
    const tree = sent({ operation: 'tree', sobject: 'Account', payload: { Name: 'x' } });
    assert.deepEqual([tree.method, tree.path], ['POST', '/composite/tree/Account']);
  });

  test('of all or none says so', () => {
    for (const operation of ['upsert', 'create'] as const)
      assert.deepEqual(
        (sent({ operation, payload: rows(2), allOrNone: true }).body as { allOrNone: boolean }).allOrNone,
        true,
      );
  });

  test('its answer is that of the call', () => {
    const call = callOf({ payload: rows(2) });
    assert.deepEqual(answersOf(call, { status: 200, headers: {}, body: [1, 2] }), [
      { status: 200, body: [1, 2] },
    ]);
  });
});

describe('several collections', () => {
  const several = [{ payload: { K: 1 } }, { operation: 'delete', payload: ID(7) }] as const;

  test('go in one /composite, independent of each other, with the headers of the settings', () => {
    const { headers, ...request } = requestOf(callOf(...several), DATA, {
      allowDuplicateSave: true,
      autoAssign: false,
    });
    const httpHeaders = { 'Sforce-Duplicate-Rule-Header': 'allowSave=true', 'Sforce-Auto-Assign': 'FALSE' };
    assert.deepEqual(headers, {});
    assert.deepEqual(request, {
      method: 'POST',
      path: '/composite',
      body: {
        allOrNone: false,
        collateSubrequests: false,
        compositeRequest: [
          {
            method: 'PATCH',
            url: `${DATA}/composite/sobjects/Contact/K`,
            referenceId: 'c0',
            body: { allOrNone: false, records: [{ K: 1, attributes }] },
            httpHeaders,
          },
          {
            method: 'DELETE',
            url: `${DATA}/composite/sobjects?ids=${ID(7)}&allOrNone=false`,
            referenceId: 'c1',
            body: undefined,
            httpHeaders,
          },
        ],
      },
    });
    const { body } = requestOf(callOf(...several), DATA, { autoAssign: true });
    assert.ok(!('httpHeaders' in ((body as { compositeRequest: object[] }).compositeRequest[0] ?? {})));
  });

  test('have each its own answer', () => {
    const body = {
      compositeResponse: [
        { httpStatusCode: 200, body: ['a'] },
        { httpStatusCode: 500, body: 'b' },
      ],
    };
    assert.deepEqual(answersOf(callOf(...several), { status: 200, headers: {}, body }), [
      { status: 200, body: ['a'] },
      { status: 500, body: 'b' },
    ]);
  });

  test('each part of an answer is of the subrequest that it names, whatever their order', () => {
    const part = (referenceId: string) => ({ referenceId, httpStatusCode: 200, body: [referenceId] });
    const answers = (...parts: unknown[]) =>
      answersOf(callOf(...several), { status: 200, headers: {}, body: { compositeResponse: parts } });
    assert.deepEqual(answers(part('c1'), part('c0')), [
      { status: 200, body: ['c0'] },
      { status: 200, body: ['c1'] },
    ]);
    assert.deepEqual(answers(part('c1')), [
      { status: 200, body: undefined },
      { status: 200, body: ['c1'] },
    ]);
  });

  test('share an answer that is for all, and know of none that does not fit', () => {
    const call = callOf(...several);
    assert.deepEqual(answersOf(call, { status: 503, headers: {}, body: 'x' }), [
      { status: 503, body: 'x' },
      { status: 503, body: 'x' },
    ]);
    for (const body of [undefined, {}, { compositeResponse: [{ httpStatusCode: 200 }] }])
      assert.deepEqual(answersOf(call, { status: 200, headers: {}, body }), [
        { status: 200, body: undefined },
        { status: 200, body: undefined },
      ]);
  });
});

describe('more than 200 of all or none', () => {
  const call = callOf({ payload: rows(450), allOrNone: true });
  const answer = (...parts: { httpStatusCode: number; body: unknown }[]) =>
    answersOf(call, { status: 200, headers: {}, body: { compositeResponse: parts } });
  const well = (count: number) => ({
    httpStatusCode: 200,
    body: Array.from({ length: count }, (_, i) => ({ id: ID(i), success: true, errors: [] })),
  });

  test('go in parts of one /composite that succeeds or fails as a whole', () => {
    const { body } = requestOf(call, DATA, {}) as unknown as {
      body: { allOrNone: boolean; compositeRequest: { body: { records: unknown[]; allOrNone: boolean } }[] };
    };
    assert.equal(body.allOrNone, true);
    assert.deepEqual(
      body.compositeRequest.map((part) => [part.body.records.length, part.body.allOrNone]),
      [
        [200, true],
        [200, true],
        [50, true],
      ],
    );
    const exact = requestOf(callOf({ payload: rows(200), allOrNone: true }), DATA, {});
    assert.equal(exact.path, '/composite/sobjects/Contact/K');
  });

  test('are well where each part is', () => {
    const [joined] = answer(well(200), well(200), well(50));
    assert.deepEqual([joined?.status, (joined?.body as unknown[]).length], [200, 450]);
  });

  test('have all failed where a row has, and where a part is refused', () => {
    const bad = well(50);
    bad.body[3] = { success: false, errors: [{ statusCode: 'BAD' }] } as unknown as (typeof bad.body)[0];
    const codes = (joined: ReturnType<typeof answer>) =>
      (joined[0]?.body as { success: boolean; errors: { statusCode: string }[] }[]).map((row) => {
        assert.equal(row.success, false);
        return row.errors[0]?.statusCode;
      });
    const byRow = codes(answer(well(200), well(200), bad));
    assert.equal(byRow.length, 450);
    assert.deepEqual([byRow[0], byRow[403]], ['ALL_OR_NONE_OPERATION_ROLLED_BACK', 'BAD']);
    const refused = { httpStatusCode: 400, body: [{ errorCode: 'NO', message: 'm' }] };
    const byPart = codes(answer(well(200), refused, well(50)));
    assert.equal(byPart.filter((code) => code === 'NO').length, 200);
    assert.equal(byPart.filter((code) => code === 'ALL_OR_NONE_OPERATION_ROLLED_BACK').length, 250);
  });

  test('are lost where a part is', () =>
    assert.deepEqual(answer(well(200), { httpStatusCode: 500, body: 'x' }, well(50)), [
      { status: 500, body: 'x' },
    ]));
});

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { RowResult } from '../../../nodes/salesforce/composite/operations';
import type { FaultAction } from '../../org/control/faults';
import { until } from '../../support/until';
import { contact, contacts, startRig, type Rig } from '../rig';

let rig: Rig;
afterEach(() => rig.close());

const begin = async (options?: Parameters<typeof startRig>[0]) => {
  rig = await startRig(options);
};
const codes = (rows: RowResult[]) => rows.map(({ errors }) => errors[0]?.statusCode ?? 'ok');
/** Each record a message of its own. */
const each = (records: object[], request = {}) =>
  Promise.all(records.map((payload) => rig.write({ payload, ...request }).then((rows) => codes(rows)[0])));
const allOk = (results: unknown[]) => assert.deepEqual([...new Set(results)], ['ok']);

describe('an answer that is nobody’s fault', () => {
  const PAGE = '<html><body>Access denied</body></html>';
  const answers: [string, FaultAction][] = [
    ...[403, 404, 405, 407, 409, 429, 502, 503].map((status): [string, FaultAction] => [
      `${status} with a page`,
      { status, body: PAGE },
    ]),
    ['406 with nothing', { status: 406, body: '', headers: { server: 'sfdcedge' } }],
    ['408', { status: 408, body: '' }],
    ['420', { status: 420, body: PAGE }],
    ['425', { status: 425, body: '' }],
    ['302 to a portal', { status: 302, body: PAGE, headers: { location: 'http://portal.example/login' } }],
    ['403 SERVER_UNAVAILABLE', { status: 403, errorCode: 'SERVER_UNAVAILABLE' }],
    ['403 TXN_SECURITY_METERING_ERROR', { status: 403, errorCode: 'TXN_SECURITY_METERING_ERROR' }],
    ['400 REQUEST_LIMIT_EXCEEDED', { status: 400, errorCode: 'REQUEST_LIMIT_EXCEEDED' }],
    ['a code nobody knows', { status: 400, errorCode: 'SOMETHING_NEW' }],
    ['200 with a page', { status: 200, body: PAGE }],
    [
      '200 with JSON that broke off',
      { status: 200, body: '[{"id":"003', headers: { 'Content-Type': 'application/json' } },
    ],
    ['200 with another shape', { status: 200, body: { ok: true } }],
    ['204', { status: 204, body: '' }],
    ['400 INVALID_SESSION_ID', { status: 400, errorCode: 'INVALID_SESSION_ID' }],
    ['410 of a version that was retired', { status: 410, errorCode: 'UNSUPPORTED_API_VERSION' }],
    ['404 of a version that the org doesn’t have', { status: 404, errorCode: 'NOT_FOUND' }],
    [
      '503 that says it is packed, and is empty',
      { status: 503, body: '', headers: { 'content-encoding': 'gzip' } },
    ],
  ];
  for (const [what, action] of answers)
    test(`${what}: messages are held, none fails, and calls don't multiply`, async () => {
      await begin();
      rig.org.faults.add({ match: { path: '/services/data/' }, action, times: 4 });
      allOk(await each(contacts(30)));
      assert.equal(rig.org.records('Contact').length, 30);
      assert.ok(rig.calls().length <= 8, `${rig.calls().length} calls for 30 messages`);
    });

  test('the row of an answer that is read-only mode: everything is held until it is over', async () => {
    await begin();
    rig.org.switches.readOnly = true;
    const written = each(contacts(10));
    await until(() => rig.paused() === 10);
    assert.match(rig.session.availability.current?.message ?? '', /no such work just now .*read-only mode/);
    rig.org.switches.readOnly = false;
    allOk(await written);
  });

  test('of a refusal that can’t be unpacked the status counts: a create is not said to be ambiguous', async () => {
    await begin();
    const headers = { 'content-encoding': 'gzip' };
    rig.org.faults.add({
      match: { path: '/composite' },
      action: { status: 406, body: 'no gzip', headers },
      times: 2,
    });
    allOk(await each(contacts(3), { operation: 'create' }));
  });

  test('an API version that isn’t there is said, and waited out; an object that isn’t there is the message’s', async () => {
    await begin();
    rig.org.faults.add({ match: { path: '/v65.0/' }, action: { status: 404, errorCode: 'NOT_FOUND' } });
    const written = each(contacts(3));
    await until(() => rig.session.availability.current?.code === 'NOT_FOUND');
    assert.match(rig.session.availability.current?.message ?? '', /does not have the API version .*v65\.0/);
    rig.org.faults.clear();
    allOk(await written);
    assert.deepEqual(await each(contacts(1), { sobject: 'Nothing__c' }), ['NOT_FOUND']);
  });

  test('a moved org: a new login, and all goes on there', async () => {
    await begin();
    allOk(await each(contacts(1)));
    rig.org.migrate();
    allOk(await each(contacts(40)));
    assert.match(rig.session.instanceUrl ?? '', /localhost/);
    assert.equal(rig.org.requests().filter(({ path }) => path.includes('oauth2/token')).length, 2);
  });
});

describe('what triggers and flows have met', () => {
  test('a lock is retried as a lock', async () => {
    await begin();
    const message =
      'ContactTrigger: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access';
    for (const statusCode of ['CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', 'CANNOT_EXECUTE_FLOW_TRIGGER'])
      rig.org.faults.add({ action: { rowError: { statusCode, message } }, times: 2 });
    allOk(await each(contacts(5)));
  });

  test('the limits of automation make collections smaller, all is written, and it is remembered', async () => {
    await begin();
    rig.org.switches.triggerRows = { Contact: 20 };
    allOk(await each(contacts(150)));
    const before = rig.calls().length;
    assert.ok(before <= 8, `${before} calls`);
    allOk(await each(contacts(150, 200)));
    assert.ok(rig.calls().length - before <= 2, `${rig.calls().length - before} calls the second time`);
  });

  test('of a record alone they fail it in the end, worth another try', async () => {
    await begin();
    rig.org.switches.triggerRows = { Contact: 0 };
    assert.deepEqual(await each(contacts(1)), ['CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY']);
  });
});

test('the race of two clients for one new key is sent again, and updates', async () => {
  await begin();
  rig.org.switches.upsertRaces = 2;
  allOk(await each(contacts(5)));
  assert.equal(rig.org.records('Contact').length, 5);
});

test('one unknown field that makes the org refuse the whole call is the fault of its own record', async () => {
  await begin();
  rig.org.switches.unreadable = 'request';
  const results = await each([...contacts(50), contact('bad', { Nope__c: 1 }), ...contacts(49, 50)]);
  assert.deepEqual(results.splice(50, 1), ['INVALID_FIELD']);
  allOk(results);
  assert.equal(rig.org.records('Contact').length, 99);
  assert.ok(rig.calls().length <= 3, `${rig.calls().length} calls`);
});

describe('a call that is refused because of one of its records', () => {
  const spoil = (action: FaultAction) =>
    rig.org.faults.add({ match: { path: '/composite', record: { LastName: 'Person bad' } }, action });

  test('in words that nobody knows: the others are written, that one fails in the end, worth another try', async () => {
    await begin();
    spoil({ status: 400, errorCode: 'SOMETHING_NEW', message: 'what?' });
    const results = await each([...contacts(20), contact('bad'), ...contacts(20, 20)]);
    assert.deepEqual(results.splice(20, 1), ['SOMETHING_NEW']);
    allOk(results);
  });

  test('by 413 for its size: the others are written', async () => {
    await begin();
    spoil({ status: 413, body: '<html>too large</html>' });
    const results = await each([...contacts(20), contact('bad'), ...contacts(20, 20)]);
    assert.deepEqual(results.splice(20, 1), ['REQUEST_TOO_LARGE']);
    allOk(results);
  });

  test('of several that were merged into one row, the others are written', async () => {
    await begin({ writer: { coalesce: true } });
    rig.org.switches.unreadable = 'request';
    const changes = [{ Title: 'a' }, { Nope__c: 1 }, { Title: 'c' }].map((more) => contact('same', more));
    assert.deepEqual(await each([...changes, contact(1)]), ['ok', 'INVALID_FIELD', 'ok', 'ok']);
    assert.deepEqual(
      rig.org
        .records('Contact')
        .map(({ Title }) => Title)
        .sort(),
      ['c', null].sort(),
    );
  });
});

test('a BigInt is written; what can not be sent is refused by name beside good ones, and nothing leaks', async () => {
  await begin();
  const circular: Record<string, unknown> = contact('bad');
  circular.Account = circular;
  const results = await each([...contacts(60), circular, contact('nan', { Score__c: NaN })]);
  assert.deepEqual(results.splice(60), ['NOT_SENDABLE', 'NOT_SENDABLE']);
  allOk(results);
  assert.equal(rig.session.underWay, 0);
});

test('calls are bounded by bytes', async () => {
  await begin();
  const text = 'x'.repeat(30_000);
  const record = (key: number) => contact(key, { Description: text });
  rig.org.declare({ name: 'Contact', fields: [{ name: 'Description', type: 'textarea' }] });
  allOk(
    await each(
      Array.from({ length: 1_000 }, (_, i) => record(i)),
      { operation: 'create' },
    ),
  );
  assert.ok(rig.calls().length >= 2, 'what is more than 20 MB goes in several');
});

describe('which records are one', () => {
  const order = (more: object) => ({
    org: {
      schema: [
        {
          name: 'Order__c',
          fields: [
            { name: 'OrderNumber__c', externalId: true, ...more },
            { name: 'Parent__c', type: 'reference' as const, referenceTo: ['Order__c'] },
          ],
        },
      ],
    },
  });
  const request = { sobject: 'Order__c', externalIdField: 'OrderNumber__c' };
  const keys = () =>
    rig.org
      .records('Order__c')
      .map((row) => `${row.OrderNumber__c}=${row.Name}`)
      .sort();
  const from = (sequence: number, repeated: boolean) => ({
    repeated,
    origin: { consumer: 'orders', sequence, timestamp: new Date(sequence).toISOString() },
  });

  for (const [what, more] of [
    ['unique and case-sensitive', { unique: true, caseSensitive: true }],
    ['not unique', {}],
  ] as const) {
    test(`${what}: ids that differ in case are two records, whatever comes again`, async () => {
      await begin(order(more));
      const write = (key: string, name: string, sequence: number, repeated = false) =>
        rig.write({ ...request, payload: { OrderNumber__c: key, Name: name }, ...from(sequence, repeated) });
      await write('Ab1', 'second', 2);
      allOk(codes(await write('aB1', 'first', 1, true)));
      assert.deepEqual(keys(), ['Ab1=second', 'aB1=first'].sort());
    });

    test(`${what}: in one message of all or none too`, async () => {
      await begin(order(more));
      const payload = [{ OrderNumber__c: 'aB1' }, { OrderNumber__c: 'Ab1' }];
      allOk(codes(await rig.write({ ...request, allOrNone: true, payload })));
    });
  }

  test('unique without case: what a newer one has written under another case stays', async () => {
    await begin(order({ unique: true }));
    const write = (key: string, name: string, sequence: number, repeated = false) =>
      rig.write({ ...request, payload: { OrderNumber__c: key, Name: name }, ...from(sequence, repeated) });
    await write('Ab1', 'newer', 2);
    const [row] = await write('aB1', 'older', 1, true);
    assert.deepEqual([row?.success, row?.superseded], [true, ['Name']]);
    assert.deepEqual(keys(), ['Ab1=newer']);
  });

  test('numbers are compared as numbers', async () => {
    await begin(order({ type: 'double', unique: true, scale: 0 }));
    const write = (key: unknown, name: string, sequence: number, repeated = false) =>
      rig.write({ ...request, payload: { OrderNumber__c: key, Name: name }, ...from(sequence, repeated) });
    await write(7, 'newer', 2);
    const [row] = await write('7.0', 'older', 1, true);
    assert.deepEqual(row?.superseded, ['Name']);
  });

  test('a parent in the same batch goes first, in another call, also behind a custom look-up', async () => {
    await begin(order({ unique: true }));
    const results = await each(
      [
        { OrderNumber__c: 'HQ' },
        { OrderNumber__c: 'BR', Parent__r: { OrderNumber__c: 'HQ' } },
        { OrderNumber__c: 'SUB', Parent__r: { OrderNumber__c: 'br' } },
      ],
      request,
    );
    allOk(results);
    assert.equal(rig.calls().length, 3);
  });
});

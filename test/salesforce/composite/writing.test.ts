import { afterEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from '../../support/until';
import { Writer } from '../../../nodes/salesforce/composite/writer';
import { contact, contacts, startRig, WRITER, type Rig } from '../rig';

let rig: Rig;
afterEach(() => rig.close());
const begin = async (...options: Parameters<typeof startRig>) => (rig = await startRig(...options));

const names = () => rig.org.records('Contact').map((row) => row.LastName);
const codes = (results: { errors: { statusCode: string }[] }[]) =>
  results.map((row) => row.errors[0]?.statusCode ?? 'ok');

describe('natural batching', () => {
  test('an idle writer sends at once; what gathers meanwhile goes together', async () => {
    await begin({ org: { latencyMs: 50 } });
    const first = rig.write({ payload: contact(0) });
    await until(() => rig.calls().length === 1, { what: 'the first call' });
    const rest = contacts(300, 1).map((payload) => rig.write({ payload }));
    await Promise.all([first, ...rest]);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [1, 300],
    );
    assert.equal(names().length, 301);
  });

  test('a second call starts beside the first only when it is full', async () => {
    await begin({ org: { latencyMs: 400 } });
    const first = rig.write({ payload: contact(0) });
    await until(() => rig.calls().length === 1, { what: 'the first call' });
    await Promise.all([first, ...contacts(1_100, 1).map((payload) => rig.write({ payload }))]);
    assert.deepEqual(
      rig.calls().map(({ records, concurrent }) => [records, concurrent]),
      [
        [1, 1],
        [1_000, 2],
        [100, 1],
      ],
    );
  });

  test('no more calls at once than maxRequests', async () => {
    await begin({ org: { latencyMs: 30 }, writer: { records: 10, maxRequests: 3 } });
    await rig.write({ payload: contacts(90) });
    assert.equal(Math.max(...rig.calls().map((call) => call.concurrent)), 3);
    assert.equal(rig.calls().length, 9);
  });

  test('an idle writer waits as long as linger says for more', async () => {
    await begin({ writer: { linger: 100 } });
    const first = rig.write({ payload: contact(1) });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await Promise.all([first, rig.write({ payload: contact(2) })]);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [2],
    );
  });

  test('each message gets its own results, in the order of its records', async () => {
    await begin();
    const [one, two] = await Promise.all([
      rig.write({ payload: [contact(1), { ExternalId__c: 'K2' }, contact(3)] }),
      rig.write({ payload: contact(4) }),
    ]);
    assert.deepEqual(codes(one ?? []), ['ok', 'REQUIRED_FIELD_MISSING', 'ok']);
    assert.deepEqual(
      one?.map((row) => row.record),
      [contact(1), { ExternalId__c: 'K2' }, contact(3)],
    );
    assert.deepEqual(
      two?.map(({ success, created }) => ({ success, created })),
      [{ success: true, created: true }],
    );
    assert.equal(rig.calls().length, 1);
  });

  test('records with one external id are written one after the other, the last one wins', async () => {
    await begin({ org: { latencyMs: 5 } });
    await Promise.all(
      [1, 2, 3, 4].map((n) =>
        rig.write({ payload: { ExternalId__c: n % 2 ? 'same' : 'SAME', LastName: `v${n}` } }),
      ),
    );
    assert.deepEqual(names(), ['v4']);
    assert.equal(rig.calls().length, 4);
    assert.ok(rig.calls().every((call) => call.concurrent === 1));
  });

  test('coalesced, waiting records of one external id are one row; each message gets its result', async () => {
    await begin({ org: { latencyMs: 20 }, writer: { coalesce: true } });
    const results = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        rig.write({ payload: { ExternalId__c: 'same', LastName: `v${n}`, [`Field${n}`]: undefined } }),
      ),
    );
    assert.deepEqual(names(), ['v4']);
    assert.equal(rig.calls().length, 1);
    assert.equal(new Set(results.map(([row]) => row?.id)).size, 1);
    assert.deepEqual(
      results.map(([row]) => (row?.record as { LastName: string }).LastName),
      ['v1', 'v2', 'v3', 'v4'],
    );
  });
});

describe('all or none', () => {
  test('a failing row rolls back its own message and no other', async () => {
    await begin();
    const [bad, good] = await Promise.all([
      rig.write({ allOrNone: true, payload: [contact(1), { ExternalId__c: 'K2' }] }),
      rig.write({ allOrNone: true, payload: [contact(3), contact(4)] }),
    ]);
    assert.deepEqual(codes(bad ?? []), ['ALL_OR_NONE_OPERATION_ROLLED_BACK', 'REQUIRED_FIELD_MISSING']);
    assert.deepEqual(codes(good ?? []), ['ok', 'ok']);
    assert.deepEqual(names(), ['Person 3', 'Person 4']);
    assert.equal(rig.calls().length, 1);
  });

  test('up to 1,000 records go as one atomic call', async () => {
    await begin();
    const good = await rig.write({ allOrNone: true, payload: contacts(1_000) });
    assert.ok(good.every((row) => row.success));
    const bad = await rig.write({
      allOrNone: true,
      payload: [...contacts(449, 2_000), { ExternalId__c: 'bad' }],
    });
    assert.ok(bad.every((row) => !row.success));
    assert.equal(bad[449]?.errors[0]?.statusCode, 'REQUIRED_FIELD_MISSING');
    assert.equal(names().length, 1_000);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [1_000, 450],
    );
  });

  test('above 1,000 a clear error, and nothing written', async () => {
    await begin();
    await assert.rejects(rig.write({ allOrNone: true, payload: contacts(1_001) }), {
      code: 'TOO_MANY_RECORDS',
      retryable: false,
    });
    assert.equal(rig.org.requests().length, 0);
  });

  test('the same record twice is refused before anything is sent', async () => {
    await begin();
    await assert.rejects(rig.write({ allOrNone: true, payload: [contact(1), contact(1)] }), {
      code: 'DUPLICATE_RECORD',
      retryable: false,
    });
    assert.equal(rig.org.requests().length, 0);
  });
});

describe('the other operations', () => {
  test('create, get, update and delete', async () => {
    await begin();
    const created = await rig.write({ operation: 'create', payload: contacts(3) });
    const ids = created.map((row) => row.id as string);
    const missing = '003000000000001AAA';
    const read = await rig.write({
      operation: 'get',
      fields: ['Id', 'LastName'],
      payload: [...ids, missing, ids[0]],
    });
    assert.deepEqual(
      read.map((row) => (row.record as { LastName?: string } | null)?.LastName),
      ['Person 0', 'Person 1', 'Person 2', undefined, 'Person 0'],
    );
    assert.deepEqual(codes(read), ['ok', 'ok', 'ok', 'NOT_FOUND', 'ok']);
    const updated = await rig.write({
      operation: 'update',
      payload: ids.map((id) => ({ id, LastName: 'New' })),
    });
    assert.deepEqual(codes(updated), ['ok', 'ok', 'ok']);
    assert.deepEqual(names(), ['New', 'New', 'New']);
    const deleted = await rig.write({ operation: 'delete', payload: [ids[0], { Id: ids[1] }] });
    assert.deepEqual(
      deleted.map((row) => row.id),
      ids.slice(0, 2),
    );
    assert.equal(names().length, 1);
  });

  test('different operations and objects share a call', async () => {
    await begin();
    const [row] = await rig.write({ payload: contact(1) });
    rig.org.clearRequests();
    await Promise.all([
      rig.write({ payload: contact(2) }),
      rig.write({ operation: 'create', sobject: 'Account', payload: { Name: 'Acme' } }),
      rig.write({ operation: 'update', payload: { Id: row?.id, FirstName: 'Ada' } }),
      rig.write({ operation: 'get', fields: ['Name'], sobject: 'Account', payload: ['001000000000001AAA'] }),
    ]);
    assert.equal(rig.calls().length, 1);
  });

  test('a tree is written with its children, and says the id of each reference', async () => {
    await begin();
    const child = (name: string, referenceId?: string) => ({
      attributes: { type: 'Contact', referenceId },
      LastName: name,
    });
    const [row] = await rig.write({
      operation: 'tree',
      sobject: 'Account',
      payload: { Name: 'Acme', Contacts: { records: [child('Ada', 'ada'), child('Ben')] } },
    });
    assert.equal(row?.success, true);
    assert.equal(Object.keys(row?.references ?? {}).length, 3);
    const [account] = rig.org.records('Account');
    assert.equal(account?.Id, row?.id);
    assert.deepEqual(
      rig.org.records('Contact').map((contact) => contact.AccountId),
      [account?.Id, account?.Id],
    );
    assert.equal(
      rig.org.records('Contact').find((contact) => contact.LastName === 'Ada')?.Id,
      row?.references?.ada,
    );
  });

  test('a tree that fails writes nothing and says why', async () => {
    await begin();
    const results = await rig.write({
      operation: 'tree',
      sobject: 'Account',
      payload: [
        { Name: 'Acme', Contacts: { records: [{ attributes: { type: 'Contact' } }] } },
        { Name: 'Good' },
      ],
    });
    assert.deepEqual(codes(results), ['REQUIRED_FIELD_MISSING', 'PROCESSING_HALTED']);
    assert.equal(rig.org.records('Account').length, 0);
  });

  test('a text that looks like a reference of /composite arrives as it was written', async () => {
    await begin();
    const text = 'mail @{c0.id} or @{me}';
    await Promise.all([
      rig.write({ payload: contacts(3) }),
      rig.write({ operation: 'create', sobject: 'Account', payload: { Name: text } }),
    ]);
    assert.deepEqual(
      rig.org.records('Account').map((row) => row.Name),
      [text],
    );
  });

  for (const [what, request, code] of [
    ['an sObject that is none', { sobject: 'Con tact' }, 'INVALID_SOBJECT'],
    ['no external id field', { externalIdField: undefined }, 'INVALID_EXTERNAL_ID_FIELD'],
    ['no fields to get', { operation: 'get' as const }, 'INVALID_FIELDS'],
    ['a record that is none', { payload: [contact(1), 'text'] }, 'INVALID_PAYLOAD'],
    ['no payload', { payload: undefined }, 'INVALID_PAYLOAD'],
    ['a tree of six levels', { operation: 'tree' as const, payload: nested(6) }, 'TREE_TOO_DEEP'],
    [
      'a tree of 201 records',
      {
        operation: 'tree' as const,
        payload: {
          LastName: 'x',
          Cases: { records: Array.from({ length: 200 }, () => ({ attributes: { type: 'Case' } })) },
        },
      },
      'TREE_TOO_LARGE',
    ],
    [
      'a child without a type',
      { operation: 'tree' as const, payload: { LastName: 'x', Cases: { records: [{}] } } },
      'INVALID_PAYLOAD',
    ],
  ] as const) {
    test(`${what} is refused before anything is sent`, async () => {
      await begin();
      await assert.rejects(rig.write({ payload: contact(1), ...request }), { code, retryable: false });
      assert.equal(rig.org.requests().length, 0);
    });
  }

  test('a save that a duplicate rule warns about needs the setting, alone and within a call of several', async () => {
    await begin();
    rig.org.switches.duplicateRules = true;
    const person = { LastName: 'Ada', Email: 'ada@x.example' };
    assert.deepEqual(codes(await rig.write({ operation: 'create', payload: person })), ['ok']);
    assert.deepEqual(codes(await rig.write({ operation: 'create', payload: person })), [
      'DUPLICATES_DETECTED',
    ]);
    const allowing = new Writer(rig.session, { ...WRITER, allowDuplicateSave: true });
    const request = { operation: 'create', sobject: 'Contact', allOrNone: false, payload: person } as const;
    const none = () => () => undefined;
    assert.deepEqual(codes(await allowing.write(request, none)), ['ok']);
    const several = [request, { ...request, sobject: 'Account', payload: { Name: 'Acme' } }, request];
    const results = await Promise.all(several.map((one) => allowing.write(one, none)));
    assert.deepEqual(codes(results.flat()), ['ok', 'ok', 'ok']);
    await allowing.close(0);
  });

  test('a row without its id fails alone, unsent', async () => {
    await begin();
    const results = await rig.write({ payload: [contact(1), { LastName: 'No key' }] });
    assert.deepEqual(codes(results), ['ok', 'MISSING_ARGUMENT']);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [1],
    );
    assert.deepEqual(codes(await rig.write({ operation: 'delete', payload: ['nonsense'] })), [
      'MALFORMED_ID',
    ]);
  });
});

function nested(levels: number): Record<string, unknown> {
  const record = { attributes: { type: 'Account' }, Name: 'x' };
  return levels === 1 ? record : { ...record, ChildAccounts: { records: [nested(levels - 1)] } };
}

describe('row failures that pass', () => {
  test('a locked row is retried alone', async () => {
    await begin();
    rig.org.faults.add({
      match: { record: { ExternalId__c: 'K1' } },
      action: { rowError: 'UNABLE_TO_LOCK_ROW' },
      times: 2,
    });
    const results = await rig.write({ payload: contacts(3) });
    assert.deepEqual(codes(results), ['ok', 'ok', 'ok']);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [3, 1, 1],
    );
  });

  test('a message of all or none is retried as a whole', async () => {
    await begin();
    rig.org.faults.add({
      match: { record: { ExternalId__c: 'K1' } },
      action: { rowError: 'UNABLE_TO_LOCK_ROW' },
      times: 1,
    });
    assert.deepEqual(codes(await rig.write({ allOrNone: true, payload: contacts(3) })), ['ok', 'ok', 'ok']);
    assert.deepEqual(
      rig.calls().map((call) => call.records),
      [3, 3],
    );
  });

  test('what waits for the same record waits for the retry', async () => {
    await begin();
    rig.org.faults.add({
      match: { record: { LastName: 'old' } },
      action: { rowError: 'UNABLE_TO_LOCK_ROW' },
      times: 2,
    });
    await Promise.all(
      ['old', 'new'].map((LastName) => rig.write({ payload: { ExternalId__c: 'K', LastName } })),
    );
    assert.deepEqual(names(), ['new']);
  });

  test('a retry is not forgotten when its time comes between two looks at the clock', async (t) => {
    await begin({ writer: { retry: { first: 2, longest: 3, times: 6 } } });
    let time = 0;
    t.mock.method(performance, 'now', () => time++);
    rig.org.faults.add({ action: { rowError: 'UNABLE_TO_LOCK_ROW' }, times: 30 });
    for (let n = 0; n < 10; n++) await rig.write({ payload: contact(n) });
    assert.equal(rig.calls().length, 30 + names().length, 'each refusal and each success is one call');
  });

  test('a row that stays locked fails in the end, with its error', async () => {
    await begin();
    rig.org.faults.add({ action: { rowError: 'UNABLE_TO_LOCK_ROW' } });
    assert.deepEqual(codes(await rig.write({ payload: contact(1) })), ['UNABLE_TO_LOCK_ROW']);
    assert.equal(rig.calls().length, 7);
  });

  test('a row that spoils its collection fails alone', async () => {
    await begin({ org: { switches: { unreadable: 'request' } } });
    const results = await Promise.all(
      [...contacts(40), contact('bad', { LastName: { not: 'text' } })].map((payload) =>
        rig.write({ payload }),
      ),
    );
    const failed = results.flat().filter((row) => !row.success);
    assert.equal(failed.length, 1);
    assert.equal((failed[0]?.record as { ExternalId__c: string }).ExternalId__c, 'Kbad');
    assert.equal(names().length, 40);
  });
});

describe('lost answers', () => {
  for (const [what, action] of [
    ['a reset after the write', { reset: 'after' }],
    ['a reset before the write', { reset: 'before' }],
    ['an answer cut in the middle', { reset: 'body' }],
    ['a 500 after the write', { status: 500, after: true }],
    ['a 502', { status: 502 }],
    ['a 503', { status: 503 }],
  ] as const) {
    test(`${what}: an upsert is repeated`, async () => {
      await begin();
      rig.org.faults.add({ match: { path: '/composite' }, action, times: 1 });
      assert.deepEqual(codes(await rig.write({ payload: contacts(3) })), ['ok', 'ok', 'ok']);
      assert.equal(names().length, 3);
    });

    test(`${what}: a create is not repeated and fails as AMBIGUOUS_WRITE`, async () => {
      await begin();
      rig.org.faults.add({ match: { path: '/composite' }, action, times: 1 });
      await assert.rejects(rig.write({ operation: 'create', payload: contacts(3) }), {
        code: 'AMBIGUOUS_WRITE',
        retryable: false,
      });
      assert.equal(rig.calls().length, 1);
      assert.ok(
        (await rig.write({ operation: 'create', payload: contact(9) })).every((row) => row.success),
        'the next one is written',
      );
    });
  }

  test('a repeated delete that finds the record gone is a success', async () => {
    await begin();
    const [row] = await rig.write({ payload: contact(1) });
    rig.org.faults.add({ match: { method: 'DELETE' }, action: { reset: 'after' }, times: 1 });
    assert.deepEqual(codes(await rig.write({ operation: 'delete', payload: row?.id })), ['ok']);
    assert.deepEqual(
      codes(await rig.write({ operation: 'delete', payload: row?.id })),
      ['ENTITY_IS_DELETED'],
      'but not one that is new',
    );
    assert.deepEqual(
      codes(await rig.write({ operation: 'delete', payload: row?.id, repeated: true })),
      ['ok'],
      'nor one delivered again',
    );
  });

  test('a create that never reached the org is sent when the org is back', async () => {
    await begin();
    await rig.session.login();
    const { url } = rig.org;
    await rig.org.close();
    const refused = () =>
      rig.session.get('/limits').catch((error: { code: string }) => error.code === 'ECONNREFUSED');
    await until(refused, { what: 'kept connections to be gone' });
    const written = rig.write({ operation: 'create', payload: contact(1) });
    await until(() => rig.session.availability.current !== undefined, { what: 'the outage to be noticed' });
    assert.equal(rig.session.availability.current?.reason, 'unreachable');
    const { startOrg } = await import('../../org/org.js');
    rig.org = await startOrg({ port: Number(new URL(url).port) });
    assert.deepEqual(codes(await written), ['ok']);
    assert.equal(names().length, 1);
  });

  test('a message that makes the org fail again and again fails alone', async () => {
    await begin();
    rig.org.faults.add({ match: { path: '/composite', record: 'Poison' }, action: { status: 500 } });
    const messages = [...contacts(6), contact('p', { LastName: 'Poison' })].map((payload) =>
      rig.write({ payload }),
    );
    const outcomes = await Promise.allSettled(messages);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      [...new Array<string>(6).fill('fulfilled'), 'rejected'],
    );
    assert.equal(
      ((outcomes[6] as PromiseRejectedResult).reason as { code: string }).code,
      'ORG_FAILED_REPEATEDLY',
    );
    assert.equal(names().length, 6);
  });

  test('behind a lost answer to creates the calls are small, and grow again', async () => {
    await begin({ org: { latencyMs: 20 } });
    rig.org.faults.add({ match: { path: '/composite' }, action: { reset: 'after' }, times: 1 });
    const create = (payload: unknown) => rig.write({ operation: 'create', payload });
    const lost = assert.rejects(create(contacts(200)), { code: 'AMBIGUOUS_WRITE' });
    await until(() => rig.calls().length === 1, { what: 'the first call' });
    await Promise.all([lost, ...contacts(800, 200).map(create)]);
    const sizes = rig.calls().map(({ records }) => records);
    assert.ok((sizes[1] ?? Infinity) <= 20, `small at first: ${sizes.join(', ')}`);
    assert.ok(Math.max(...sizes.slice(1)) >= 80, `then larger: ${sizes.join(', ')}`);
    assert.equal(names().length, 1_000);
  });

  test('a message whose other rows were written says so of each row', async () => {
    await begin({ writer: { records: 2 } });
    rig.org.faults.add({
      match: { path: '/composite', record: 'Person 2' },
      action: { reset: 'after' },
      times: 1,
    });
    await assert.rejects(
      rig.write({ operation: 'create', payload: contacts(4) }),
      (error: { code: string; details: { success: boolean; errors: { statusCode: string }[] }[] }) => {
        assert.equal(error.code, 'AMBIGUOUS_WRITE');
        assert.deepEqual(codes(error.details), ['ok', 'ok', 'AMBIGUOUS_WRITE', 'AMBIGUOUS_WRITE']);
        return true;
      },
    );
  });
});

describe('an org that cannot be used', () => {
  test('a session that ends is renewed once for all calls', async () => {
    await begin({ writer: { records: 2 }, org: { latencyMs: 10 } });
    await rig.write({ payload: contacts(2) });
    rig.org.expireSessions();
    assert.equal((await rig.write({ payload: contacts(10) })).filter((row) => row.success).length, 10);
    assert.equal(rig.org.requests().filter(({ path }) => path.includes('token')).length, 2);
  });

  for (const [reason, fault] of [
    ['limit', { match: { path: '/services/data' }, action: { status: 403 } }],
    ['unreachable', { match: { path: '/services/data' }, action: { status: 503 } }],
    ['login', { match: { path: '/oauth2/token' }, action: { status: 400, errorCode: 'invalid_grant' } }],
    ['login', { match: { path: '/services/data' }, action: { status: 401 } }],
  ] as const) {
    test(`${JSON.stringify(fault.action)}: messages wait with their clocks stopped, and are written when it is over`, async () => {
      await begin();
      rig.org.faults.add(fault);
      const written = [rig.write({ payload: contact(1) })];
      await until(() => rig.session.availability.current !== undefined, { what: 'the hold' });
      written.push(rig.write({ payload: contact(2) }));
      assert.equal(rig.session.availability.current?.reason, reason);
      assert.equal(rig.paused(), 2);
      const before = rig.calls().length;
      const probes = rig.org.requests().length;
      await until(() => rig.org.requests().length > probes + 2, { what: 'some probes' });
      assert.equal(rig.calls().length, before, 'only probes go out');
      rig.org.faults.clear();
      assert.deepEqual((await Promise.all(written)).map(codes), [['ok'], ['ok']]);
      assert.equal(rig.paused(), 0);
      assert.equal(rig.session.availability.current, undefined);
    });
  }

  test('the budget is a share of the daily calls that is never passed', async () => {
    await begin({ session: { apiBudget: 50 }, writer: { records: 1, maxRequests: 4 } });
    rig.org.limits({ DailyApiRequests: { Max: 20, Remaining: 20 } });
    const written = contacts(30).map((payload) => rig.write({ payload }));
    await until(() => rig.session.availability.current?.reason === 'budget', {
      what: 'the budget to be spent',
    });
    await until(() => rig.writer.state.calls === 0, { what: 'the last calls' });
    assert.equal(rig.calls().length, 10);
    rig.org.limits({ DailyApiRequests: { Max: 1_000, Remaining: 1_000 } });
    await Promise.all(written);
    assert.equal(names().length, 30);
  });

  test('with onOutage fail, messages fail at once and may be repeated', async () => {
    await begin({ writer: { onOutage: 'fail' } });
    rig.org.faults.add({ match: { path: '/services/data' }, action: { status: 403 } });
    const before = [rig.write({ payload: contact(1) }), rig.write({ payload: contact(2) })];
    for (const one of before) await assert.rejects(one, { code: 'REQUEST_LIMIT_EXCEEDED', retryable: true });
    await assert.rejects(rig.write({ payload: contact(3) }), {
      code: 'REQUEST_LIMIT_EXCEEDED',
      retryable: true,
    });
    assert.equal(rig.calls().length, 1, 'nothing is sent while the org is known to be out');
    rig.org.faults.clear();
    await until(() => rig.session.availability.current === undefined, { what: 'the end of the outage' });
    assert.deepEqual(codes(await rig.write({ payload: contact(4) })), ['ok']);
  });
});

describe('closing', () => {
  test('calls under way are finished, what was not begun fails and may be repeated', async () => {
    await begin({ org: { latencyMs: 50 } });
    const first = rig.write({ payload: contact(1) });
    await until(() => rig.calls().length === 1, { what: 'the first call' });
    const second = rig.write({ payload: contact(2) });
    const refused = assert.rejects(second, { code: 'NODE_CLOSED', retryable: true });
    await rig.writer.close(1_000);
    assert.deepEqual(codes(await first), ['ok']);
    await refused;
    await assert.rejects(rig.write({ payload: contact(3) }), { code: 'NODE_CLOSED', retryable: true });
  });

  test('a call that does not end within the limit is given up: an upsert may be repeated, a create not', async () => {
    await begin({ org: { latencyMs: 1_000 } });
    const upsert = assert.rejects(rig.write({ payload: contact(1) }), {
      code: 'NODE_CLOSED',
      retryable: true,
    });
    const create = assert.rejects(rig.write({ operation: 'create', payload: contact(2) }), {
      code: 'AMBIGUOUS_WRITE',
      retryable: false,
    });
    await until(() => rig.calls().length === 1, { what: 'the call' });
    await rig.writer.close(50);
    await Promise.all([upsert, create]);
  });

  test('a locked row is not waited for', async () => {
    await begin({ writer: { retry: { first: 60_000, longest: 60_000, times: 9 } } });
    rig.org.faults.add({ action: { rowError: 'UNABLE_TO_LOCK_ROW' }, times: 1 });
    const refused = assert.rejects(rig.write({ payload: contact(1) }), {
      code: 'NODE_CLOSED',
      retryable: true,
    });
    await until(() => rig.writer.state.waiting === 1 && rig.writer.state.calls === 0, {
      what: 'the retry to wait',
    });
    await rig.writer.close(1_000);
    await refused;
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { until } from '../../support/until';
import { connect, orgFor, rawClient, rowCode } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  raw = await rawClient(org);
});
afterEach(() => org.faults.clear());
after(() => org.close());

const records = (...names: string[]): object => ({
  records: names.map((LastName) => ({ attributes: { type: 'Contact' }, LastName })),
});
const has = (LastName: string): boolean => org.records('Contact').some((row) => row.LastName === LastName);

describe('a fault', () => {
  test('answers a status instead of working, so often, on that path and method', async () => {
    org.faults.add({ match: { path: '/composite/*', method: 'POST' }, action: { status: 503 }, times: 2 });
    for (const status of [503, 503, 200])
      assert.equal((await raw('POST', '/composite/sobjects', records(`s${status}`))).status, status);
    assert.deepEqual([has('s503'), has('s200')], [false, true]);
  });

  test('has the error codes of its status, or its own', async () => {
    org.faults.add(
      { action: { status: 403 }, times: 1 },
      { action: { status: 400, errorCode: 'QUERY_TIMEOUT', message: 'slow' }, times: 1 },
      { action: { status: 502 }, times: 1 },
    );
    assert.deepEqual((await raw('GET', '/limits')).json, [
      { message: 'TotalRequests Limit exceeded.', errorCode: 'REQUEST_LIMIT_EXCEEDED' },
    ]);
    assert.deepEqual((await raw('GET', '/limits')).json, [{ message: 'slow', errorCode: 'QUERY_TIMEOUT' }]);
    assert.match((await raw('GET', '/limits')).text, /^<html>/);
  });

  test('a reset before the work leaves nothing, after it and mid-body everything', async () => {
    for (const reset of ['before', 'after', 'body'] as const) {
      org.faults.add({ match: { path: '/composite/sobjects' }, action: { reset }, times: 1 });
      await assert.rejects(raw('POST', '/composite/sobjects', records(`reset ${reset}`)));
      assert.equal(has(`reset ${reset}`), reset !== 'before');
    }
  });

  test('a status after the work is a lie: the record is there', async () => {
    org.faults.add({
      match: { record: { LastName: 'lied about' } },
      action: { status: 500, after: true },
      times: 1,
    });
    assert.equal((await raw('POST', '/composite/sobjects', records('innocent'))).status, 200);
    assert.equal((await raw('POST', '/composite/sobjects', records('lied about'))).status, 500);
    assert.equal(has('lied about'), true);
  });

  test('can be set, read and cleared over HTTP', async () => {
    const control = (method: string, body?: unknown): Promise<Response> =>
      fetch(`${org.url}/_org/faults`, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    await control('POST', [{ match: { path: '/limits' }, action: { status: 500 } }]);
    assert.equal((await raw('GET', '/limits')).status, 500);
    assert.equal(((await (await control('GET')).json()) as unknown[]).length, 1);
    await control('DELETE');
    assert.equal((await raw('GET', '/limits')).status, 200);
  });
});

describe('switches', () => {
  test('failed rows have no id, or a null one', async () => {
    const failing = (): Promise<{ json: unknown }> =>
      raw('POST', '/composite/sobjects', { records: [{ attributes: { type: 'Contact' } }] });
    assert.equal('id' in ((await failing()).json as object[])[0]!, false);
    org.switches.failedRowId = 'null';
    assert.equal(((await failing()).json as { id: unknown }[])[0]?.id, null);
    org.switches.failedRowId = 'absent';
  });

  test('a failed row of an upsert says nothing of created, or that it was', async () => {
    const failing = async (): Promise<object[]> =>
      (
        await raw('PATCH', '/composite/sobjects/Contact/ExternalId__c', {
          records: [{ attributes: { type: 'Contact' }, ExternalId__c: 'nameless' }],
        })
      ).json as object[];
    assert.equal('created' in (await failing())[0]!, false);
    org.switches.failedRowCreated = true;
    const [row] = (await failing()) as { success: boolean; created: boolean }[];
    assert.deepEqual([row?.success, row?.created], [false, true]);
    org.switches.failedRowCreated = false;
  });

  test('an unreadable value fails its row, or the whole collection with 400 and nothing written', async () => {
    const body = {
      records: [
        { attributes: { type: 'Contact' }, LastName: 'whole' },
        { attributes: { type: 'Contact' }, LastName: 'x', Birthdate: 'never' },
      ],
    };
    assert.equal((await raw('POST', '/composite/sobjects', body)).status, 200);
    org.switches.unreadable = 'request';
    const count = org.records('Contact').length;
    const reply = await raw('POST', '/composite/sobjects', body);
    org.switches.unreadable = 'row';
    assert.equal(reply.status, 400);
    assert.equal(org.records('Contact').length, count);
  });

  test('duplicate rules refuse the twin of a record unless the call allows the save', async () => {
    org.switches.duplicateRules = true;
    const twin = { records: [{ attributes: { type: 'Account' }, Name: 'Twin' }] };
    await raw('POST', '/composite/sobjects', twin);
    const refused = (await raw('POST', '/composite/sobjects', twin)).json as { errors: object[] }[];
    assert.equal(rowCode(refused[0]), 'DUPLICATES_DETECTED');
    const allowed = await raw('POST', '/composite/sobjects', twin, {
      'Sforce-Duplicate-Rule-Header': 'allowSave=true; runAsCurrentUser=true',
    });
    assert.equal((allowed.json as { success: boolean }[])[0]?.success, true);
    org.switches.duplicateRules = false;
  });
});

test('a record, or a parent, that a running call holds is UNABLE_TO_LOCK_ROW for others', async (t) => {
  const slow = await orgFor(t, { latencyMs: 100, switches: { rowLocks: true } });
  const [account] = slow.write('Account', { Name: 'Parent' });
  const [contact] = slow.write('Contact', { LastName: 'Held' });
  const sf = await connect(slow);
  const results = await Promise.all([
    sf.update('Contact', [{ Id: String(contact?.id), Title: 'a' }]),
    sf.update('Contact', [{ Id: String(contact?.id), Title: 'b' }]),
    sf.create('Contact', [{ LastName: 'Child 1', AccountId: account?.id }]),
    sf.create('Contact', [{ LastName: 'Child 2', AccountId: account?.id }]),
  ]);
  const codes = results.map(([row]) => rowCode(row));
  assert.deepEqual(
    [codes.slice(0, 2).filter(Boolean), codes.slice(2).filter(Boolean)],
    [['UNABLE_TO_LOCK_ROW'], ['UNABLE_TO_LOCK_ROW']],
  );
  const [retried] = await sf.update('Contact', [{ Id: String(contact?.id), Title: 'c' }]);
  assert.equal(retried?.success, true);
});

test('calls run side by side: the ledger says how many were under way', async (t) => {
  const slow = await orgFor(t, { latencyMs: 50 });
  const call = await rawClient(slow);
  slow.clearRequests();
  await Promise.all([1, 2, 3].map((n) => call('POST', '/composite/sobjects', records(`p${n}`))));
  const entries = slow.requests();
  assert.equal(Math.max(...entries.map(({ concurrent }) => concurrent)), 3);
  assert.deepEqual(
    entries.map(({ method, status, records: count }) => [method, status, count]),
    [1, 2, 3].map(() => ['POST', 200, 1]),
  );
});

test('TLS: the certificate is signed by the org’s own authority', async (t) => {
  const secure = await orgFor(t, { tls: true });
  const { get } = await import('node:https');
  const status = await new Promise((resolve, reject) => {
    get(`${secure.url}/services/data`, { ca: secure.ca }, (answer) => resolve(answer.resume().statusCode)).on(
      'error',
      reject,
    );
  });
  assert.equal(status, 200);
  await assert.rejects(fetch(`${secure.url}/services/data`));
});

test('25 calls that run for 20 s or longer refuse all others', async (t) => {
  const slow = await orgFor(t, { switches: { longRunningCalls: 1, longRunningMs: 20 } });
  const call = await rawClient(slow);
  slow.faults.add({ match: { path: '/limits' }, action: { delayMs: 300 }, times: 1 });
  const long = call('GET', '/limits');
  const refused = await until(async () => {
    const reply = await call('GET', '/sobjects');
    return reply.status === 403 && reply.json;
  });
  assert.deepEqual(refused, [
    {
      message: 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
      errorCode: 'REQUEST_LIMIT_EXCEEDED',
    },
  ]);
  assert.equal((await long).status, 200);
});

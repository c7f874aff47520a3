import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection } from 'jsforce';
import { until } from '../../support/until';
import { connect, orgFor, rawClient } from '../connect';
import { startOrg, type Org } from '../org';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let org: Org;
let sf: Connection;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  sf = await connect(org);
  raw = await rawClient(org);
});
after(() => org.close());

const ago = (ms: number): string => new Date(org.store.now() - ms).toISOString();

interface Deleted {
  deletedRecords: { id: string; deletedDate: string }[];
  earliestDateAvailable: string;
  latestDateCovered: string;
}

async function window(what: string, from: number, to: number): Promise<unknown> {
  const reply = await raw(
    'GET',
    `/sobjects/Contact/${what}?start=${encodeURIComponent(ago(from))}&end=${encodeURIComponent(ago(to))}`,
  );
  return reply.json;
}

describe('/updated and /deleted', () => {
  test('tell ids of the window, as jsforce asks for them', async () => {
    const [kept, gone] = org.write('Contact', { LastName: 'kept' }, { LastName: 'gone' });
    org.remove('Contact', [String(gone?.id)]);
    const start = ago(5 * MINUTE);
    const end = ago(-MINUTE);
    const updated = await sf.sobject('Contact').updated(start, end);
    const deleted = await sf.sobject('Contact').deleted(start, end);
    assert.deepEqual(updated.ids, [kept?.id]);
    assert.deepEqual(
      deleted.deletedRecords.map(({ id }) => id),
      [gone?.id],
    );
    // What has not been waited for is not vouched for: the next start is no later than now.
    assert.ok(Date.parse(updated.latestDateCovered) <= Date.now());
  });

  test('cut the seconds off, so that a window within one minute is refused', async () => {
    const within = (seconds: string): string =>
      encodeURIComponent(new Date().toISOString().replace(/:\d\d\.\d+Z/, `:${seconds}Z`));
    const reply = await raw('GET', `/sobjects/Contact/updated?start=${within('01')}&end=${within('59')}`);
    assert.deepEqual(reply.json, [
      { message: 'startDate must be before endDate', errorCode: 'INVALID_REPLICATION_DATE' },
    ]);
  });

  test('reach 30 days back, deletions 15, or less after a purge: an earlier start is refused, or the gap shows', async () => {
    const [old] = org.write('Contact', { LastName: 'old' });
    org.remove('Contact', [String(old?.id)]);
    org.store.clockOffset = 16 * DAY;
    await sf.authorize({ grant_type: 'client_credentials' });
    raw = await rawClient(org);
    const before = async (days: number): Promise<unknown> => window('deleted', days * DAY, 0);
    const refusal = (await before(20)) as { errorCode: string }[];
    assert.equal(refusal[0]?.errorCode, 'INVALID_REPLICATION_DATE');
    assert.equal('deletedRecords' in ((await before(14)) as object), true);
    org.switches.deletionsKeptSince = org.store.now() - DAY;
    assert.match(JSON.stringify(await before(14)), /INVALID_REPLICATION_DATE/);
    org.switches.deletionsKeptSince = 0;
    org.switches.purgedDeletions = 'gap';
    const deleted = (await before(20)) as Deleted;
    org.switches.purgedDeletions = 'refused';
    assert.equal(
      deleted.deletedRecords.some(({ id }) => id === old?.id),
      false,
    );
    assert.ok(deleted.earliestDateAvailable > ago(20 * DAY));
    assert.deepEqual(await window('updated', 31 * DAY, 0), [
      { message: 'startDate cannot be more than 30 days ago', errorCode: 'INVALID_REPLICATION_DATE' },
    ]);
    org.store.clockOffset = 0;
    raw = await rawClient(org);
  });

  test('a deletion moves SystemModstamp, so that queryAll finds it by time', async () => {
    const [record] = org.write('Contact', { LastName: 'to be deleted' });
    org.store.clockOffset = 5 * MINUTE;
    org.remove('Contact', [String(record?.id)]);
    const since = ago(MINUTE);
    org.store.clockOffset = 0;
    const { records } = await sf.query(
      `SELECT Id FROM Contact WHERE IsDeleted = true AND SystemModstamp > ${since}`,
      { scanAll: true },
    );
    assert.deepEqual(
      records.map(({ Id }) => Id),
      [record?.id],
    );
  });

  test('an undeleted record is no longer among the deleted', async () => {
    const [record] = org.write('Contact', { LastName: 'back' });
    org.remove('Contact', [String(record?.id)]);
    org.undelete('Contact', [String(record?.id)]);
    const { deletedRecords } = (await window('deleted', 5 * MINUTE, -MINUTE)) as Deleted;
    assert.equal(
      deletedRecords.some(({ id }) => id === record?.id),
      false,
    );
  });

  test('a hard-deleted record is, and queryAll has it no more', async () => {
    const [record] = org.write('Contact', { LastName: 'hard' });
    org.remove('Contact', [String(record?.id)], { hard: true });
    const { deletedRecords } = (await window('deleted', 5 * MINUTE, -MINUTE)) as Deleted;
    assert.ok(deletedRecords.some(({ id }) => id === record?.id));
    const all = await sf.query(`SELECT Id FROM Contact WHERE Id = '${String(record?.id)}'`, {
      scanAll: true,
    });
    assert.equal(all.totalSize, 0);
  });
});

test('a transaction that commits late shows its record below a SystemModstamp that was already seen', async () => {
  const late = org.writeLate('Contact', 2500, { LastName: 'late' });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  org.write('Contact', { LastName: 'early' });
  const modstamps = (): (string | undefined)[] =>
    ['early', 'late']
      .map((name) => org.records('Contact').find((row) => row.LastName === name))
      .map((row) => row && String(row.SystemModstamp));
  assert.equal(modstamps()[1], undefined);
  // While it runs, /updated vouches only for the time before it began.
  assert.equal(org.store.inFlight.size, 1);
  await late;
  const [early, behind] = modstamps();
  assert.ok(String(behind) < String(early));
  const { records } = await sf.query('SELECT LastName FROM Contact ORDER BY SystemModstamp, Id');
  const names = records.map(({ LastName }) => LastName as unknown);
  assert.ok(names.indexOf('late') < names.indexOf('early'));
});

test('the switch makes every write of the API commit late', async () => {
  org.switches.lateCommitMs = 1200;
  const began = Math.floor(Date.now() / 1000) * 1000;
  await sf.create('Account', [{ Name: 'slow' }]);
  org.switches.lateCommitMs = 0;
  const commit = org.store.commits.at(-1);
  assert.ok(
    (commit?.commitTimestamp ?? 0) - Date.parse(String(commit?.changes[0]?.after?.SystemModstamp)) >= 1000,
  );
  assert.ok(Date.parse(String(commit?.changes[0]?.after?.SystemModstamp)) >= began);
});

describe('Bulk API 2.0', () => {
  test('jsforce reads a query job, quotes and line breaks included', async () => {
    org.write('Account', { Name: 'say "hi"', Description: 'two\nlines, one comma' });
    sf.bulk2.pollInterval = 10;
    const stream = await sf.bulk2.query(
      "SELECT Name, Description, Phone FROM Account WHERE Name LIKE 'say%'",
    );
    const rows = await stream.toArray();
    assert.deepEqual(rows, [{ Name: 'say "hi"', Description: 'two\nlines, one comma', Phone: '' }]);
  });

  test('results come by locators until the literal null', async (t) => {
    const own = await orgFor(t, { generate: { Contact: 2500 }, switches: { bulkJobMs: 30 } });
    const call = await rawClient(own);
    const job = (await call('POST', '/jobs/query', { operation: 'query', query: 'SELECT Id FROM Contact' }))
      .json as { id: string; state: string };
    assert.equal(job.state, 'UploadComplete');
    assert.equal((await call('GET', `/jobs/query/${job.id}/results`)).status, 400);
    await until(
      async () =>
        ((await call('GET', `/jobs/query/${job.id}`)).json as { state: string }).state === 'JobComplete',
      { what: 'the job' },
    );
    const ids: string[] = [];
    for (let locator = ''; locator !== 'null';) {
      const page = await call(
        'GET',
        `/jobs/query/${job.id}/results?maxRecords=1000${locator && `&locator=${locator}`}`,
      );
      ids.push(...page.text.trim().split('\n').slice(1));
      assert.equal(page.headers.get('sforce-numberofrecords'), String(ids.length % 1000 || 1000));
      locator = page.headers.get('sforce-locator') ?? 'null';
    }
    assert.equal(new Set(ids).size, 2500);
  });

  test('results are those of the moment the job was done, whatever has become of the records', async () => {
    const names = ['changed', 'changed twice', 'deleted', 'gone for good'];
    const ids = org.write('Account', ...names.map((Name) => ({ Name }))).map(({ id }) => String(id));
    const query = `SELECT Name FROM Account WHERE Id IN (${ids.map((id) => `'${id}'`).join()})`;
    const job = (await raw('POST', '/jobs/query', { operation: 'query', query })).json as { id: string };
    assert.equal(
      ((await raw('GET', `/jobs/query/${job.id}`)).json as { state: string }).state,
      'JobComplete',
    );
    const [one = '', two = '', three = '', four = ''] = ids;
    for (const Id of [one, two, two]) org.write('Account', { Id, Name: 'new' });
    org.remove('Account', [three]);
    org.remove('Account', [four], { hard: true });
    const { text } = await raw('GET', `/jobs/query/${job.id}/results`);
    assert.deepEqual(text.trim().replaceAll('"', '').split('\n').slice(1), names);
  });

  test('refuses aggregates and OFFSET, and a wrong field fails the job', async () => {
    for (const query of [
      'SELECT COUNT() FROM Contact',
      'SELECT MAX(Id) FROM Contact',
      'SELECT Id FROM Contact OFFSET 5',
    ]) {
      assert.equal((await raw('POST', '/jobs/query', { operation: 'query', query })).status, 400);
    }
    const job = (await raw('POST', '/jobs/query', { operation: 'query', query: 'SELECT Nope FROM Contact' }))
      .json as { id: string };
    assert.equal(((await raw('GET', `/jobs/query/${job.id}`)).json as { state: string }).state, 'Failed');
  });

  test('jsforce loads records and hears of each', async () => {
    sf.bulk2.pollInterval = 10;
    const input = [
      { LastName: 'bulk 1', ExternalId__c: 'B-1' },
      { LastName: '', ExternalId__c: 'B-2' },
    ];
    const { successfulResults, failedResults } = await sf.bulk2.loadAndWaitForResults({
      object: 'Contact',
      operation: 'insert',
      input,
    });
    assert.deepEqual([successfulResults.length, failedResults.length], [1, 1]);
    assert.match(String(failedResults[0]?.sf__Error), /^REQUIRED_FIELD_MISSING/);
    assert.ok(org.records('Contact').some((row) => row.ExternalId__c === 'B-1'));
  });
});

test('a million generated records: any of them is found, changed, deleted, and the rest stays unstored', async (t) => {
  const big = await orgFor(t, { generate: { Contact: 1_000_000 } });
  const connection = await connect(big);
  assert.equal((await connection.query('SELECT COUNT() FROM Contact')).totalSize, 1_000_000);
  const [upserted] = await connection.upsert(
    'Contact',
    [{ ExternalId__c: 'G-777777', LastName: 'changed' }],
    'ExternalId__c',
  );
  assert.equal((upserted as { created?: boolean }).created, false);
  const { records } = await connection.query(
    "SELECT Id, LastName FROM Contact WHERE ExternalId__c IN ('G-777777', 'G-777778') ORDER BY LastName",
  );
  assert.deepEqual(
    records.map(({ LastName }) => LastName as unknown),
    ['changed', 'Contact 777778'],
  );
  await connection.destroy('Contact', [String(upserted?.id)]);
  assert.equal((await connection.query('SELECT COUNT() FROM Contact')).totalSize, 999_999);
  const type = big.schema.type('Contact')!;
  assert.equal(big.store.table(type).rows.size, 1);
});

/** Bulk API 2.0 ingest jobs, from Open to what became of each row. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { until } from '../../support/until';
import { connect, orgFor, rawClient, type RawReply } from '../connect';
import { type Org, type OrgOptions } from '../org';

interface Info {
  id: string;
  state: string;
  contentUrl?: string;
  numberRecordsProcessed: number;
  numberRecordsFailed: number;
  errorMessage?: string;
}

interface Desk {
  org: Org;
  raw: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<RawReply>;
  open: (more: object) => Promise<Info>;
  put: (id: string, csv: string) => Promise<RawReply>;
  set: (id: string, state: string) => Promise<RawReply>;
  info: (id: string) => Promise<Info>;
  rows: (id: string, part: string) => Promise<string[]>;
  /** A job from its file to its end. */
  run: (more: object, csv: string) => Promise<Info>;
}

const code = ({ json }: RawReply): unknown => (json as { errorCode: string }[])[0]?.errorCode;

async function desk(t: TestContext, options: OrgOptions = {}): Promise<Desk> {
  const org = await orgFor(t, options);
  const raw = await rawClient(org);
  const own: Desk = {
    org,
    raw,
    open: async (more) =>
      (await raw('POST', '/jobs/ingest', { object: 'Contact', operation: 'insert', ...more })).json as Info,
    put: (id, csv) => raw('PUT', `/jobs/ingest/${id}/batches`, csv, { 'Content-Type': 'text/csv' }),
    set: (id, state) => raw('PATCH', `/jobs/ingest/${id}`, { state }),
    info: async (id) => (await raw('GET', `/jobs/ingest/${id}`)).json as Info,
    rows: async (id, part) =>
      (await raw('GET', `/jobs/ingest/${id}/${part}`)).text.replaceAll('"', '').trim().split('\n'),
    run: async (more, csv) => {
      const { id } = await own.open(more);
      await own.put(id, csv);
      await own.set(id, 'UploadComplete');
      return own.info(id);
    },
  };
  return own;
}

describe('an ingest job', () => {
  test('goes from Open over UploadComplete and InProgress to JobComplete, and then tells of each row', async (t) => {
    const { open, put, set, info, rows, raw, org } = await desk(t, { switches: { bulkJobMs: 60_000 } });
    const { id, state, contentUrl } = await open({});
    assert.match(id, /^750/);
    assert.deepEqual([state, contentUrl], ['Open', `services/data/v65.0/jobs/ingest/${id}/batches`]);
    assert.equal((await put(id, 'LastName,ExternalId__c\nOne,1\n,2\nThree,3\n')).status, 201);
    assert.equal(((await set(id, 'UploadComplete')).json as Info).state, 'UploadComplete');
    assert.equal((await info(id)).state, 'InProgress');
    assert.equal(code(await raw('GET', `/jobs/ingest/${id}/successfulResults`)), 'INVALIDJOBSTATE');
    assert.deepEqual(org.records('Contact'), []);
    org.store.clockOffset = 60_000;
    const done = await info(id);
    assert.deepEqual(
      [done.state, done.numberRecordsProcessed, done.numberRecordsFailed],
      ['JobComplete', 3, 1],
    );
    const ids = org.records('Contact').map(({ Id }) => String(Id));
    assert.deepEqual(await rows(id, 'successfulResults'), [
      'sf__Id,sf__Created,LastName,ExternalId__c',
      `${ids[0]},true,One,1`,
      `${ids[1]},true,Three,3`,
    ]);
    assert.deepEqual(await rows(id, 'failedResults'), [
      'sf__Id,sf__Error,LastName,ExternalId__c',
      ',REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --,,2',
    ]);
    assert.deepEqual(await rows(id, 'unprocessedrecords'), ['LastName,ExternalId__c']);
  });

  test('works on though nobody asks for it', async (t) => {
    const { run, org } = await desk(t, { switches: { bulkJobMs: 20 } });
    await run({}, 'LastName\nAlone\n');
    await until(() => org.records('Contact').length === 1, { what: 'the record' });
  });

  test('that never ends can be aborted; what was not worked on comes back', async (t) => {
    const { run, set, info, rows, org, raw } = await desk(t, { switches: { bulkJobMs: 1_000_000 } });
    const names = Array.from({ length: 20_001 }, (_, i) => `N${i}`);
    const { id } = await run({}, `LastName\n${names.join('\n')}\n`);
    org.store.clockOffset = 800_000;
    assert.deepEqual(
      [(await info(id)).state, (await info(id)).numberRecordsProcessed],
      ['InProgress', 10_000],
    );
    assert.equal(code(await raw('DELETE', `/jobs/ingest/${id}`)), 'INVALIDJOBSTATE');
    assert.equal(((await set(id, 'Aborted')).json as Info).state, 'Aborted');
    org.store.clockOffset = 2_000_000;
    assert.deepEqual([(await info(id)).state, org.records('Contact').length], ['Aborted', 10_000]);
    assert.deepEqual(await rows(id, 'unprocessedrecords'), ['LastName', ...names.slice(10_000)]);
    assert.equal((await raw('DELETE', `/jobs/ingest/${id}`)).status, 204);
    assert.equal((await raw('GET', `/jobs/ingest/${id}`)).status, 404);
  });
});

describe('the operations', () => {
  test('upsert by an external id, parents by theirs; #N/A empties, an empty value leaves', async (t) => {
    const { run, rows, org } = await desk(t);
    org.write('Account', { Name: 'Acme', ExternalId__c: 'HQ' });
    org.write('Contact', { LastName: 'Old', ExternalId__c: '1', Title: 'Dr', Phone: '1' });
    const { id } = await run(
      { operation: 'upsert', externalIdFieldName: 'ExternalId__c' },
      'ExternalId__c,LastName,Title,Phone,Account.ExternalId__c\n1,Older,#N/A,,HQ\n2,New,,2,HQ\n3,Lost,,,Nowhere\n4,a,,,\n4,b,,,\n',
    );
    const [account] = org.records('Account');
    assert.deepEqual(
      org.records('Contact').map((row) => [row.LastName, row.Title, row.Phone, row.AccountId]),
      [
        ['Older', null, '1', account?.Id],
        ['New', null, '2', account?.Id],
      ],
    );
    const [, first, second] = await rows(id, 'successfulResults');
    assert.deepEqual(
      [first, second].map((line) => line?.split(',')[1]),
      ['false', 'true'],
    );
    const [, ...failed] = await rows(id, 'failedResults');
    assert.deepEqual(
      failed.map((line) => line.split(',')[1]?.split(':')[0]),
      ['INVALID_FIELD', 'DUPLICATE_VALUE', 'DUPLICATE_VALUE'],
    );
  });

  test('update and delete by id; hardDelete leaves nothing in the recycle bin', async (t) => {
    const { run, org } = await desk(t);
    const ids = org
      .write('Contact', { LastName: 'A' }, { LastName: 'B' }, { LastName: 'C' })
      .map(({ id }) => String(id));
    await run({ operation: 'update' }, `Id,Title\n${ids[0]},Dr\n`);
    await run({ operation: 'delete' }, `Id\n${ids[1]}\n`);
    await run({ operation: 'hardDelete' }, `Id\n${ids[2]}\n`);
    assert.deepEqual(
      org
        .records('Contact', { deleted: true })
        .map(({ LastName, Title, IsDeleted }) => [LastName, Title, IsDeleted]),
      [
        ['A', 'Dr', false],
        ['B', null, true],
      ],
    );
  });

  test('are those of the API’s user: faults, triggers’ limits and change events as for other writes', async (t) => {
    const { run, org } = await desk(t, { pubsub: true, switches: { triggerRows: { Account: 100 } } });
    org.faults.add({ match: { record: { LastName: 'locked' } }, action: { rowError: 'UNABLE_TO_LOCK_ROW' } });
    const { numberRecordsFailed } = await run({}, 'LastName\nfree\nlocked\n');
    assert.equal(numberRecordsFailed, 1);
    assert.equal(org.events('/data/ContactChangeEvent').length, 1);
    const many = `Name\n${Array.from({ length: 250 }, (_, i) => `A${i}`).join('\n')}\n`;
    assert.equal(
      (await run({ object: 'Account' }, many)).numberRecordsFailed,
      200,
      'chunks of 200, the rest of 50',
    );
  });
});

describe('what a job refuses', () => {
  test('an upsert without a key, an unknown object or operation, a second file, a file too large', async (t) => {
    const { raw, put, open } = await desk(t, { switches: { bulkUploadBytes: 100 } });
    const refused = async (more: object): Promise<unknown> =>
      code(await raw('POST', '/jobs/ingest', { object: 'Contact', operation: 'insert', ...more }));
    assert.equal(await refused({ operation: 'upsert' }), 'INVALIDJOB');
    assert.equal(await refused({ operation: 'upsert', externalIdFieldName: 'Title' }), 'INVALIDJOB');
    assert.equal(await refused({ operation: 'merge' }), 'INVALIDJOB');
    assert.equal(await refused({ object: 'Nothing' }), 'INVALIDENTITY');
    const { id } = await open({});
    assert.equal((await put(id, `LastName\n${'x'.repeat(100)}\n`)).status, 413);
    assert.equal((await put(id, 'LastName\nx\n')).status, 201);
    assert.equal(code(await put(id, 'LastName\nx\n')), 'INVALIDJOBSTATE');
  });

  test('a file that isn’t what the job says fails it with nothing written', async (t) => {
    const { run, org } = await desk(t);
    for (const [more, csv, message] of [
      [{}, 'LastName,Nope\na,b\n', /Field name not found : Nope/],
      [{}, 'LastName\r\na\r\n', /LineEnding is invalid/],
      [{ lineEnding: 'CRLF' }, 'LastName\na\n', /LineEnding is invalid/],
      [{}, 'LastName,Title\na\n', /number of values/],
    ] as const) {
      const { state, errorMessage } = await run(more, csv);
      assert.equal(state, 'Failed');
      assert.match(errorMessage ?? '', message);
    }
    const { state } = await run(
      { lineEnding: 'CRLF', columnDelimiter: 'PIPE' },
      'LastName|Title\r\na|"b\r\n|"\r\n',
    );
    assert.deepEqual([state, org.records('Contact').map(({ Title }) => Title)], ['JobComplete', ['b\r\n|']]);
  });

  test('more batches than the day has', async (t) => {
    const { run, raw, org } = await desk(t);
    org.limits({ DailyBulkApiBatches: { Remaining: 1 } });
    assert.equal((await run({}, 'LastName\na\n')).state, 'JobComplete');
    assert.equal(
      code(await raw('POST', '/jobs/ingest', { object: 'Contact', operation: 'insert' })),
      'EXCEEDEDQUOTA',
    );
  });
});

test('jsforce as a client: CRUD, then ingest jobs of every operation and a query job', async (t) => {
  const org = await orgFor(t, { switches: { bulkJobMs: 20 } });
  const sf = await connect(org);
  sf.bulk2.pollInterval = 10;
  const contacts = sf.sobject('Contact');
  const made = await contacts.create({ LastName: 'Ada', ExternalId__c: 'A' });
  await contacts.update({ Id: String(made.id), Title: 'Dr' });
  assert.equal((await contacts.retrieve(String(made.id))).Title, 'Dr');
  await contacts.upsert({ ExternalId__c: 'B', LastName: 'Bob' }, 'ExternalId__c');
  assert.equal((await contacts.destroy(String(made.id))).success, true);
  const load = async (
    operation: 'insert' | 'update' | 'upsert' | 'delete',
    input: Record<string, string>[],
  ) => {
    const { successfulResults, failedResults } = await sf.bulk2.loadAndWaitForResults({
      object: 'Contact',
      operation,
      input,
      ...(operation === 'upsert' ? { externalIdFieldName: 'ExternalId__c' } : {}),
    });
    assert.deepEqual(failedResults, []);
    return successfulResults;
  };
  const many = Array.from({ length: 1000 }, (_, i) => ({ LastName: `C${i}`, ExternalId__c: `C-${i}` }));
  const inserted = await load('insert', many);
  assert.deepEqual([inserted.length, inserted[0]?.sf__Created], [1000, 'true']);
  await load('upsert', [{ ExternalId__c: 'C-0', LastName: 'First' }]);
  await load('update', [{ Id: String(inserted[1]?.sf__Id), LastName: 'Second' }]);
  await load(
    'delete',
    inserted.slice(2).map(({ sf__Id }) => ({ Id: String(sf__Id) })),
  );
  const rows = await (await sf.bulk2.query('SELECT LastName FROM Contact ORDER BY LastName')).toArray();
  assert.deepEqual(
    rows.map(({ LastName }) => LastName as unknown),
    ['Bob', 'First', 'Second'],
  );
});

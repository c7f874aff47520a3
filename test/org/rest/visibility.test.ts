/** What is in the org and not to be seen: archived activities, records that aren't shared, hidden fields; another org. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, orgFor, rawClient, rowCode } from '../connect';

const code = (json: unknown): unknown => (json as { errorCode: string }[])[0]?.errorCode;

test('archived activities are there for queryAll and Bulk’s queryAll alone', async (t) => {
  const org = await orgFor(t);
  const [old] = org.write('Task', { Subject: 'old' }, { Subject: 'new' });
  const before = org.records('Task').find(({ Id }) => Id === old?.id);
  org.archive('Task', [String(old?.id)]);
  const sf = await connect(org);
  sf.bulk2.pollInterval = 10;
  const soql = 'SELECT Subject, IsArchived, SystemModstamp FROM Task';
  const names = (rows: readonly object[]): unknown[] =>
    rows.map((row) => (row as { Subject: unknown }).Subject);
  assert.deepEqual(names((await sf.query(soql)).records), ['new']);
  const all = (await sf.query(soql, { scanAll: true })).records;
  assert.deepEqual(names(all), ['old', 'new']);
  assert.deepEqual(
    [all[0]?.IsArchived, all[0]?.SystemModstamp],
    [true, before?.SystemModstamp],
    'archiving is no change',
  );
  assert.deepEqual(names(await (await sf.bulk2.query(soql)).toArray()), ['new']);
  assert.deepEqual(names(await (await sf.bulk2.query(soql, { scanAll: true })).toArray()), ['old', 'new']);
});

test('records that aren’t shared any more: null by id, nothing in queries, no error; writes are refused', async (t) => {
  const org = await orgFor(t);
  const ids = org.write('Contact', { LastName: 'mine' }, { LastName: 'theirs' }).map(({ id }) => String(id));
  const [mine = '', theirs = ''] = ids;
  const raw = await rawClient(org);
  const sf = await connect(org);
  const read = async (): Promise<unknown[]> => [
    (
      (await raw('GET', `/composite/sobjects/Contact?ids=${ids.join()}&fields=LastName`)).json as unknown[]
    ).map((row) => (row as { LastName: string } | null)?.LastName ?? null),
    (await sf.query('SELECT LastName FROM Contact')).records.map(({ LastName }) => LastName as unknown),
    (await raw('GET', `/sobjects/Contact/${theirs}`)).status,
  ];
  org.switches.unshared = { Contact: [theirs] };
  assert.deepEqual(await read(), [['mine', null], ['mine'], 404]);
  const results = await sf.update('Contact', [
    { Id: mine, Title: 'a' },
    { Id: theirs, Title: 'b' },
  ]);
  assert.deepEqual(
    [results[0]?.success, rowCode(results[1])],
    [true, 'INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY'],
  );
  org.switches.unshared = { Contact: 'all' };
  assert.deepEqual(await read(), [[null, null], [], 404]);
  org.switches.unshared = {};
  assert.deepEqual(await read(), [['mine', 'theirs'], ['mine', 'theirs'], 200]);
});

test('a hidden field is unknown to the API, kept in the record, and not in its change events', async (t) => {
  const org = await orgFor(t, { pubsub: true });
  const [contact] = org.write('Contact', { LastName: 'A', Title: 'Dr' });
  const raw = await rawClient(org);
  org.switches.hiddenFields = { Contact: ['Title'] };
  const described = (await raw('GET', '/sobjects/Contact/describe')).json as { fields: { name: string }[] };
  assert.equal(
    described.fields.some(({ name }) => name === 'Title'),
    false,
  );
  const query = `/query?q=${encodeURIComponent('SELECT Title FROM Contact')}`;
  assert.equal(code((await raw('GET', query)).json), 'INVALID_FIELD');
  const path = `/sobjects/Contact/${String(contact?.id)}`;
  assert.equal('Title' in ((await raw('GET', path)).json as object), false);
  assert.equal(code((await raw('PATCH', path, { Title: 'Prof' })).json), 'INVALID_FIELD');
  assert.equal((await raw('PATCH', path, { Phone: '1' })).status, 204);
  org.write('Contact', { Id: contact?.id, Title: 'Prof' });
  assert.equal('Title' in (org.events('/data/ContactChangeEvent').at(-1)?.payload ?? {}), false);
  org.switches.hiddenFields = {};
  assert.deepEqual(
    org.records('Contact').map(({ Title, Phone }) => [Title, Phone]),
    [['Prof', '1']],
  );
  assert.equal((await raw('GET', query)).status, 200);
});

test('a refreshed sandbox is another organization under the same login', async (t) => {
  const org = await orgFor(t, { pubsub: true });
  org.write('Contact', { LastName: 'before' });
  const sf = await connect(org);
  const was = org.orgId;
  org.refreshSandbox();
  assert.notEqual(org.orgId, was);
  await assert.rejects(async () => sf.query('SELECT Id FROM Contact'));
  assert.deepEqual(org.events(), []);
  const again = await connect(org);
  assert.equal((await again.identity()).organization_id, org.orgId);
  const { records } = await again.query('SELECT Id, IsSandbox FROM Organization');
  assert.deepEqual(
    records.map(({ Id, IsSandbox }) => [Id, IsSandbox as unknown]),
    [[org.orgId, true]],
  );
});

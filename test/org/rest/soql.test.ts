/** Queries of children, groups, and what the columns of a query are. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Connection } from 'jsforce';
import { connect, rawClient, type RawReply } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let sf: Connection;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg();
  const [acme, other] = org.write(
    'Account',
    { Name: 'Acme', Industry: 'Energy', AnnualRevenue: 10 },
    { Name: 'Other', Industry: 'Energy', AnnualRevenue: 20 },
    { Name: 'Third', Industry: 'Banking' },
  );
  org.write(
    'Contact',
    { LastName: 'B', AccountId: acme?.id },
    { LastName: 'A', AccountId: acme?.id },
    { LastName: 'C', AccountId: other?.id },
  );
  sf = await connect(org);
  raw = await rawClient(org);
});
after(() => org.close());

const rows = async (soql: string): Promise<unknown[]> =>
  (await sf.query(soql)).records.map(({ attributes: _, ...row }) => row);
const code = ({ json }: RawReply): unknown => (json as { errorCode: string }[])[0]?.errorCode;
const query = (soql: string, more = ''): Promise<RawReply> =>
  raw('GET', `/query?q=${encodeURIComponent(soql)}${more}`);

test('children come below their parents, null where there are none', async () => {
  const { json } = await query(
    "SELECT Name, (SELECT LastName FROM Contacts WHERE LastName != 'C' ORDER BY LastName) FROM Account ORDER BY Name",
  );
  const found = (json as { records: { Contacts: { totalSize: number; records: object[] } | null }[] })
    .records;
  assert.deepEqual(
    found.map(
      ({ Contacts }) =>
        Contacts && [Contacts.totalSize, Contacts.records.map((each) => 'LastName' in each && each.LastName)],
    ),
    [[2, ['A', 'B']], null, null],
  );
  assert.equal(code(await query('SELECT (SELECT Id FROM Nothing) FROM Account')), 'INVALID_TYPE');
});

test('GROUP BY gives one result a group, ordered and limited as groups', async () => {
  assert.deepEqual(
    await rows(
      'SELECT Industry, COUNT(Id) n, SUM(AnnualRevenue), AVG(AnnualRevenue) FROM Account GROUP BY Industry ORDER BY COUNT(Id) DESC',
    ),
    [
      { Industry: 'Energy', n: 2, expr0: 30, expr1: 15 },
      { Industry: 'Banking', n: 1, expr0: null, expr1: null },
    ],
  );
  assert.deepEqual(await rows('SELECT Industry i FROM Account GROUP BY Industry ORDER BY Industry LIMIT 1'), [
    { i: 'Banking' },
  ]);
  for (const refused of [
    'SELECT Name, COUNT(Id) FROM Account GROUP BY Industry',
    'SELECT COUNT(Id), Name FROM Account',
    'SELECT AnnualRevenue FROM Account GROUP BY AnnualRevenue',
  ])
    assert.equal(code(await query(refused)), 'MALFORMED_QUERY', refused);
});

test('columns=true tells of a query’s columns instead of its rows', async () => {
  const { json } = await query(
    'SELECT Id, AnnualRevenue, Owner.Name, (SELECT LastName FROM Contacts) FROM Account',
    '&columns=true',
  );
  const { columnMetadata, ...rest } = json as {
    columnMetadata: { columnName: string; joinColumns: { columnName: string }[] }[];
  };
  assert.deepEqual(rest, { entityName: 'Account', groupBy: false, idSelected: true, keyPrefix: '001' });
  assert.deepEqual(
    columnMetadata.map(({ columnName, joinColumns }) => [
      columnName,
      ...joinColumns.map((each) => each.columnName),
    ]),
    [['Id'], ['AnnualRevenue'], ['Owner', 'Name'], ['Contacts', 'LastName']],
  );
});

test('the organization and record types are records', async () => {
  assert.deepEqual(await rows('SELECT Id, Name, IsSandbox FROM Organization'), [
    { Id: org.orgId, Name: 'Simulated Org', IsSandbox: false },
  ]);
  org.write('RecordType', { Name: 'Customer', DeveloperName: 'Customer', SobjectType: 'Account' });
  assert.deepEqual(
    await rows("SELECT DeveloperName, IsActive FROM RecordType WHERE SobjectType = 'Account'"),
    [{ DeveloperName: 'Customer', IsActive: true }],
  );
});

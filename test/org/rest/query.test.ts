import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection } from 'jsforce';
import { connect, orgFor, rawClient } from '../connect';
import { startOrg, type Org } from '../org';

let org: Org;
let sf: Connection;
let raw: Awaited<ReturnType<typeof rawClient>>;

before(async () => {
  org = await startOrg({
    seed: { Account: [{ Name: 'Acme', ExternalId__c: 'A-1' }] },
  });
  const [account] = org.records('Account');
  org.write('Contact', {
    LastName: 'Ada',
    Score__c: 1,
    Email: 'ada@x.example',
    AccountId: account?.Id,
    ExternalId__c: 'C-1',
    LastSeen__c: '2026-01-01T00:00:00Z',
  });
  org.write('Contact', {
    LastName: 'bert',
    Score__c: 2.5,
    DoNotCall: true,
    ExternalId__c: 'C-2',
    Birthdate: '1990-05-05',
  });
  org.write('Contact', { LastName: "O'Neil", Score__c: null, ExternalId__c: 'C-3' });
  sf = await connect(org);
  raw = await rawClient(org);
});
after(() => org.close());

async function names(where: string): Promise<unknown[]> {
  const { records } = await sf.query(`SELECT Name FROM Contact ${where}`);
  return records.map((record) => record.Name as unknown);
}

async function refusal(soql: string): Promise<string | undefined> {
  const reply = await raw('GET', `/query?q=${encodeURIComponent(soql)}`);
  return reply.status === 400 ? (reply.json as { errorCode: string }[])[0]?.errorCode : undefined;
}

describe('conditions', () => {
  const cases: [string, unknown[]][] = [
    ["WHERE LastName = 'ADA'", ['Ada']],
    ["WHERE LastName LIKE 'b%'", ['bert']],
    ["WHERE LastName = 'O\\'Neil'", ["O'Neil"]],
    ['WHERE Score__c > 1', ['bert']],
    ['WHERE Score__c = null', ["O'Neil"]],
    ['WHERE Score__c != null', ['Ada', 'bert']],
    ['WHERE DoNotCall = true', ['bert']],
    ['WHERE Birthdate < 2000-01-01', ['bert']],
    ['WHERE LastSeen__c >= 2026-01-01T00:00:00Z', ['Ada']],
    ["WHERE ExternalId__c IN ('C-1', 'C-3')", ['Ada', "O'Neil"]],
    ["WHERE ExternalId__c NOT IN ('C-1', 'C-3')", ['bert']],
    ["WHERE NOT LastName = 'Ada'", ['bert', "O'Neil"]],
    ["WHERE (LastName = 'Ada' OR LastName = 'bert') AND Score__c < 2", ['Ada']],
    ["WHERE Account.Name = 'Acme'", ['Ada']],
    ['ORDER BY LastName DESC LIMIT 2', ["O'Neil", 'bert']],
    ['ORDER BY Score__c NULLS LAST', ['Ada', 'bert', "O'Neil"]],
    ['ORDER BY Score__c', ["O'Neil", 'Ada', 'bert']],
    ['ORDER BY LastName LIMIT 1 OFFSET 1', ['bert']],
    ['WHERE SystemModstamp >= 2020-01-01T00:00:00Z ORDER BY SystemModstamp, Id', ['Ada', 'bert', "O'Neil"]],
  ];
  for (const [where, expected] of cases)
    test(where, async () => assert.deepEqual(await names(where), expected));
});

test('parents come nested, a missing one is null', async () => {
  const { records } = await sf.query(
    'SELECT Id, Account.Name, Account.Owner.Name FROM Contact ORDER BY LastName LIMIT 2',
  );
  const [ada, bert] = records as unknown as { Account: { Name: string; Owner: { Name: string } } | null }[];
  assert.equal(ada?.Account?.Name, 'Acme');
  assert.equal(ada?.Account?.Owner.Name, 'Org User');
  assert.equal(bert?.Account, null);
});

test('COUNT() answers totalSize alone, MAX() an AggregateResult', async () => {
  assert.equal((await sf.query('SELECT COUNT() FROM Contact')).totalSize, 3);
  const { records } = await sf.query('SELECT MAX(Score__c) top, COUNT(Id) FROM Contact');
  assert.deepEqual([records[0]?.top, records[0]?.expr0], [2.5, 3]);
});

test('what Salesforce refuses is refused with its codes', async () => {
  assert.equal(await refusal('SELECT Nope FROM Contact'), 'INVALID_FIELD');
  assert.equal(await refusal('SELECT Id FROM Nope'), 'INVALID_TYPE');
  assert.equal(await refusal('SELECT Id FROM'), 'MALFORMED_QUERY');
  assert.equal(
    await refusal("SELECT Id FROM Contact WHERE LastName = 'a' AND Title = 'b' OR Title = 'c'"),
    'MALFORMED_QUERY',
  );
  assert.equal(
    await refusal("SELECT Id FROM Contact WHERE SystemModstamp > '2026-01-01T00:00:00Z'"),
    'INVALID_FIELD',
  );
  assert.equal(await refusal("SELECT Id FROM Contact WHERE Description = 'x'"), 'INVALID_FIELD');
  assert.equal(await refusal('SELECT FIELDS(ALL) FROM Contact'), 'MALFORMED_QUERY');
  assert.equal(await refusal('SELECT FIELDS(ALL) FROM Contact LIMIT 200'), undefined);
});

test('pages of 2,000 follow each other by nextRecordsUrl until done', async (t) => {
  const own = await orgFor(t, { generate: { Contact: 4500 } });
  const connection = await connect(own);
  const first = await connection.query('SELECT Id, LastName FROM Contact', { autoFetch: false });
  assert.deepEqual([first.totalSize, first.records.length, first.done], [4500, 2000, false]);
  const second = await connection.queryMore(String(first.nextRecordsUrl));
  const third = await connection.queryMore(String(second.nextRecordsUrl));
  assert.deepEqual([second.records.length, third.records.length, third.done], [2000, 500, true]);
  assert.equal(
    new Set([...first.records, ...second.records, ...third.records].map(({ Id }) => Id)).size,
    4500,
  );
  const small = await rawClient(own);
  const page = await small('GET', '/query?q=SELECT+Id+FROM+Contact', undefined, {
    'Sforce-Query-Options': 'batchSize=300',
  });
  assert.equal((page.json as { records: unknown[] }).records.length, 300);
  assert.equal((await small('GET', '/query/01g000000000000AAA-2000')).status, 400);
});

test('a record deleted while a query is open makes a page shorter', async (t) => {
  const own = await orgFor(t, { generate: { Contact: 2500 } });
  const connection = await connect(own);
  const first = await connection.query('SELECT Id FROM Contact', { autoFetch: false });
  const last = await connection.query('SELECT Id FROM Contact ORDER BY Id DESC LIMIT 1');
  own.remove('Contact', [String(last.records[0]?.Id)]);
  const second = await connection.queryMore(String(first.nextRecordsUrl));
  assert.deepEqual([second.records.length, second.totalSize, second.done], [499, 2500, true]);
});

test('queryAll shows soft-deleted records with IsDeleted, hard-deleted ones are gone', async () => {
  const [soft, hard] = org.write(
    'Opportunity',
    ...['soft', 'hard'].map((Name) => ({ Name, StageName: 'Prospecting', CloseDate: '2026-01-01' })),
  );
  org.remove('Opportunity', [String(soft?.id)]);
  org.remove('Opportunity', [String(hard?.id)], { hard: true });
  assert.equal((await sf.query('SELECT Id FROM Opportunity')).totalSize, 0);
  const all = await sf.query('SELECT Name, IsDeleted FROM Opportunity', { scanAll: true });
  assert.deepEqual(
    all.records.map(({ Name, IsDeleted }) => ({ Name: Name as unknown, IsDeleted: IsDeleted as unknown })),
    [{ Name: 'soft', IsDeleted: true }],
  );
  org.undelete('Opportunity', [String(soft?.id)]);
  assert.equal((await sf.query('SELECT Id FROM Opportunity')).totalSize, 1);
});

test('a keyset walk over (SystemModstamp, Id) sees every record once, ties included', async (t) => {
  const own = await orgFor(t, { generate: { Contact: 3000 } });
  const connection = await connect(own);
  own.write(
    'Contact',
    { LastName: 'new' },
    {
      Id: String((await connection.query('SELECT Id FROM Contact LIMIT 1')).records[0]?.Id),
      LastName: 'changed',
    },
  );
  const seen: unknown[] = [];
  let where = '';
  for (;;) {
    const { records } = await connection.query(
      `SELECT Id, SystemModstamp FROM Contact ${where} ORDER BY SystemModstamp, Id LIMIT 170`,
      { autoFetch: false },
    );
    const last = records.at(-1);
    if (!last) break;
    seen.push(...records.map(({ Id }) => Id as unknown));
    const stamp = String(last.SystemModstamp).replace('+0000', 'Z');
    where = `WHERE SystemModstamp > ${stamp} OR (SystemModstamp = ${stamp} AND Id > '${String(last.Id)}')`;
  }
  assert.deepEqual([seen.length, new Set(seen).size], [3001, 3001]);
});

/** The Salesforce CLI, which nobody here wrote, as a client of the simulated org. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { salesforceCliPath } from '../../scripts/salesforce-cli';
import { startOrg, type Org } from './org';

const run = promisify(execFile);
/** The CLI wants a newer Node than the oldest that the package runs on. */
const NODE = join(__dirname, '../../node_modules/node/bin/node');

let cli: string;
let folder: string;
let org: Org;

before(async () => {
  cli = await salesforceCliPath();
  folder = mkdtempSync(join(tmpdir(), 'sf-'));
  org = await startOrg({ switches: { bulkJobMs: 100 } });
});
after(async () => {
  await org.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer<Result> {
  status: number;
  result: Result;
}

/** Runs a command with a home and a keychain of its own; what it answers, as it is without --json. */
async function sf(args: string[], env: Record<string, string> = {}): Promise<string> {
  const quiet = {
    SF_AUTOUPDATE_DISABLE: 'true',
    SF_DISABLE_LOG_FILE: 'true',
    SF_DISABLE_TELEMETRY: 'true',
    SF_SKIP_NEW_VERSION_CHECK: 'true',
    SF_USE_GENERIC_UNIX_KEYCHAIN: 'true',
  };
  const { stdout } = await run(NODE, [cli, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...quiet, ...env },
    timeout: 120_000,
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

/** The result of a command on the org. */
async function result<Result = Record<string, unknown>>(...args: string[]): Promise<Result> {
  const answer = JSON.parse(await sf([...args, '--target-org', 'sim', '--json'])) as Answer<Result>;
  assert.equal(answer.status, 0);
  return answer.result;
}

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};

/** Logs in with a token of a session that the org has. */
async function login(to: Org, alias: string, env: Record<string, string> = {}): Promise<string> {
  const { token } = to.sessions.create(to.userId, to.clientId);
  return sf(
    ['org', 'login', 'access-token', '--instance-url', to.url, '--no-prompt', '--alias', alias, '--json'],
    { SF_ACCESS_TOKEN: token, ...env },
  );
}

describe('the Salesforce CLI', () => {
  test('logs in by an access token', async () => {
    const { result: session } = JSON.parse(await login(org, 'sim')) as Answer<{
      orgId: string;
      username: string;
    }>;
    assert.deepEqual([session.orgId, session.username], [org.orgId, org.username]);
  });

  test('creates, gets, updates and deletes a record', async () => {
    const contact = ['--sobject', 'Contact'];
    const where = [...contact, '--where', "LastName='Ada Lovelace'"];
    const { id } = await result(
      'data',
      'create',
      'record',
      ...contact,
      '--values',
      "LastName='Ada Lovelace' Score__c=2.5",
    );
    await result('data', 'update', 'record', ...where, '--values', 'Title=Dr');
    const read = await result('data', 'get', 'record', ...where);
    assert.deepEqual([read.Id, read.Title, read.Score__c], [id, 'Dr', 2.5]);
    await result('data', 'delete', 'record', ...contact, '--record-id', String(id));
    assert.deepEqual(org.records('Contact'), []);
  });

  test('upserts a file in bulk and exports it', async () => {
    org.write('Contact', { LastName: 'Old', ExternalId__c: 'X1' });
    const csv = file('contacts.csv', 'ExternalId__c,LastName\nX1,One\nX2,"Two, or more"\nX3,\n');
    const options = ['--sobject', 'Contact', '--external-id', 'ExternalId__c', '--file', csv, '--wait', '2'];
    // A row that fails makes the command fail.
    const failed = await result('data', 'upsert', 'bulk', ...options).then(
      () => undefined,
      (thrown: { stdout: string }) => JSON.parse(thrown.stdout) as Record<string, unknown>,
    );
    assert.match(String(failed?.message), /failed/i);
    assert.deepEqual(
      org.records('Contact').map(({ LastName }) => LastName),
      ['One', 'Two, or more'],
    );
    const soql = 'SELECT LastName, LastModifiedDate FROM Contact';
    const exported = await result(
      'data',
      'export',
      'bulk',
      '--query',
      soql,
      '--output-file',
      'out.csv',
      '--wait',
      '2',
    );
    assert.equal(exported.totalSize, 2);
    assert.match(
      readFileSync(join(folder, 'out.csv'), 'utf8'),
      /^"LastName","LastModifiedDate"\n"One","[-\dT:]+\.000Z"\n"Two, or more","[-\dT:]+\.000Z"\n$/,
    );
  });

  test('imports a tree, exports it alike, and shows it as a table', async () => {
    const contacts = { records: [{ attributes: { type: 'Contact', referenceId: 'c1' }, LastName: 'Child' }] };
    const account = { attributes: { type: 'Account', referenceId: 'a1' }, Name: 'Acme', Contacts: contacts };
    const tree = file('tree.json', JSON.stringify({ records: [account] }));
    const made = await result<{ type: string }[]>('data', 'import', 'tree', '--files', tree);
    assert.deepEqual(
      made.map(({ type }) => type),
      ['Account', 'Contact'],
    );
    const soql = 'SELECT Id, Name, (SELECT LastName FROM Contacts) FROM Account';
    await result('data', 'export', 'tree', '--query', soql, '--output-dir', 'exported');
    const exported = readFileSync(join(folder, 'exported', 'Account-Contact.json'), 'utf8');
    const [{ Name, Contacts } = { Name: '', Contacts: { records: [] } }] = (
      JSON.parse(exported) as { records: { Name: string; Contacts: { records: { LastName: string }[] } }[] }
    ).records;
    assert.deepEqual([Name, Contacts.records.map(({ LastName }) => LastName)], ['Acme', ['Child']]);
    const table = await sf(['data', 'query', '--query', soql, '--target-org', 'sim']);
    assert.match(table, /CONTACTS\.LASTNAME[^]*Acme[^]*Child/);
  });

  test('describes an object, and tells the limits', async () => {
    const described = await result<{ name: string; fields: object[] }>(
      'sobject',
      'describe',
      '--sobject',
      'Contact',
    );
    assert.deepEqual(
      [described.name, described.fields.length],
      ['Contact', org.schema.type('Contact')?.fields.size],
    );
    const limits = await result<{ name: string; max: number }[]>('org', 'list', 'limits');
    assert.equal(limits.find(({ name }) => name === 'DailyApiRequests')?.max, 1_000_000);
  });

  test('logs in over TLS with the org’s own authority, and by a JWT', async (t) => {
    const secure = await startOrg({ tls: true });
    t.after(() => secure.close());
    const trust = { NODE_EXTRA_CA_CERTS: join(folder, file('ca.pem', secure.ca ?? '')) };
    await login(secure, 'secure', trust);
    const key = file('key.pem', secure.privateKey());
    const jwt = ['--username', secure.username, '--jwt-key-file', key, '--client-id', secure.clientId];
    const answer = await sf(
      ['org', 'login', 'jwt', ...jwt, '--instance-url', secure.url, '--alias', 'jwt', '--json'],
      trust,
    );
    assert.equal((JSON.parse(answer) as Answer<{ orgId: string }>).result.orgId, secure.orgId);
  });
});

/** What an org can't or won't answer: windows, counts, cursors, wide rows, and what becomes of answers on their way. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { connect, orgFor, rawClient, type RawReply } from '../connect';
import { type Org } from '../org';

const MINUTE = 60_000;
const soql = (text: string): string => `/query?q=${encodeURIComponent(text)}`;
const time = (org: Org, ago: number): string => new Date(org.store.now() - ago).toISOString();
const code = ({ json }: RawReply): unknown => (json as { errorCode: string }[])[0]?.errorCode;

test('a window with more deletions than the org lists is EXCEEDED_ID_LIMIT, half of it may not be', async (t) => {
  const org = await orgFor(t, { switches: { replicationIds: 2 } });
  const raw = await rawClient(org);
  const now = org.store.now();
  const ids = org
    .write('Contact', ...[1, 2, 3, 4].map((n) => ({ LastName: `${n}` })))
    .map(({ id }) => String(id));
  for (const [i, id] of ids.entries()) {
    org.store.clockOffset = (i < 2 ? 0 : 10) * MINUTE;
    org.remove('Contact', [id]);
  }
  const deleted = (from: number, to: number): Promise<RawReply> =>
    raw(
      'GET',
      `/sobjects/Contact/deleted?start=${encodeURIComponent(new Date(from).toISOString())}&end=${encodeURIComponent(new Date(to).toISOString())}`,
    );
  assert.equal(code(await deleted(now - MINUTE, now + 15 * MINUTE)), 'EXCEEDED_ID_LIMIT');
  for (const [from, to] of [
    [-1, 5],
    [5, 15],
  ] as const)
    assert.equal(
      ((await deleted(now + from * MINUTE, now + to * MINUTE)).json as { deletedRecords: object[] })
        .deletedRecords.length,
      2,
    );
});

test('a query over too long a window is a QUERY_TIMEOUT, unless ids narrow it', async (t) => {
  const org = await orgFor(t, { switches: { queryWindowMs: 10 * MINUTE } });
  const raw = await rawClient(org);
  const [record] = org.write('Contact', { LastName: 'here' });
  const since = (ago: number, until = ''): string =>
    soql(`SELECT Id FROM Contact WHERE SystemModstamp > ${time(org, ago)}${until}`);
  assert.equal(code(await raw('GET', since(11 * MINUTE))), 'QUERY_TIMEOUT');
  assert.equal(code(await raw('GET', soql('SELECT Id FROM Contact'))), 'QUERY_TIMEOUT');
  for (const quick of [
    since(9 * MINUTE),
    since(11 * MINUTE, ` AND SystemModstamp <= ${time(org, 2 * MINUTE)}`),
    soql(`SELECT Id FROM Contact WHERE Id = '${String(record?.id)}'`),
  ])
    assert.equal((await raw('GET', quick)).status, 200);
});

test('a count may be too much to ask, the rows not', async (t) => {
  const org = await orgFor(t, { switches: { countTimesOut: true } });
  const raw = await rawClient(org);
  assert.equal(code(await raw('GET', soql('SELECT COUNT() FROM Contact'))), 'QUERY_TIMEOUT');
  assert.equal((await raw('GET', soql('SELECT Id FROM Contact'))).status, 200);
});

test('a user has ten open cursors: the eleventh releases the oldest', async (t) => {
  const org = await orgFor(t, { generate: { Contact: 300 }, switches: { pageSize: 200 } });
  const raw = await rawClient(org);
  const next = async (): Promise<string> =>
    ((await raw('GET', soql('SELECT Id FROM Contact'))).json as { nextRecordsUrl: string }).nextRecordsUrl;
  const first = await next();
  for (let n = 2; n <= 10; n++) await next();
  assert.equal((await raw('GET', first)).status, 200);
  await next();
  assert.equal(code(await raw('GET', first)), 'INVALID_QUERY_LOCATOR');
});

test('pages of wide rows come short, none of the rows is missing', async (t) => {
  const org = await orgFor(t, { switches: { pageBytes: 50_000, bulkPageBytes: 50_000 } });
  org.write(
    'Account',
    ...Array.from({ length: 40 }, (_, i) => ({ Name: `A${i}`, Description: 'x'.repeat(10_000) })),
  );
  const sf = await connect(org);
  const page = await sf.query('SELECT Name, Description FROM Account');
  assert.deepEqual([page.totalSize, page.done, page.records.length], [40, false, 5]);
  const all = await sf.query('SELECT Name, Description FROM Account', { autoFetch: true, maxFetch: 100 });
  assert.equal(new Set(all.records.map(({ Name }) => Name as unknown)).size, 40);
  const raw = await rawClient(org);
  const query = 'SELECT Name, Description FROM Account';
  const { id } = (await raw('POST', '/jobs/query', { operation: 'query', query })).json as { id: string };
  assert.equal((await raw('GET', `/jobs/query/${id}`)).status, 200);
  const pages: number[] = [];
  for (let locator = ''; locator !== 'null';) {
    const { headers, text } = await raw(
      'GET',
      `/jobs/query/${id}/results?maxRecords=1000&locator=${locator}`,
    );
    pages.push(text.trim().split('\n').length - 1);
    locator = headers.get('sforce-locator') ?? 'null';
  }
  assert.deepEqual(
    pages,
    Array.from({ length: 8 }, () => 5),
  );
});

test('answers are packed for a client that takes gzip, and not for another', async (t) => {
  const org = await orgFor(t, { generate: { Contact: 500 } });
  const { accessToken = '' } = await connect(org);
  const answer = (
    headers: Record<string, string>,
  ): Promise<{ encoding: string | undefined; bytes: Buffer }> =>
    new Promise((resolve, reject) => {
      get(
        `${org.url}/services/data/v65.0${soql('SELECT Id FROM Contact')}`,
        { headers: { Authorization: `Bearer ${accessToken ?? ''}`, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({ encoding: response.headers['content-encoding'], bytes: Buffer.concat(chunks) }),
          );
        },
      ).on('error', reject);
    });
  const packed = await answer({ 'Accept-Encoding': 'gzip, deflate' });
  const plain = await answer({});
  assert.deepEqual([packed.encoding, plain.encoding], ['gzip', undefined]);
  const rows = (bytes: Buffer): number =>
    (JSON.parse(bytes.toString()) as { records: object[] }).records.length;
  assert.deepEqual([rows(gunzipSync(packed.bytes)), rows(plain.bytes)], [500, 500]);
  org.switches.gzip = false;
  assert.equal((await answer({ 'Accept-Encoding': 'gzip' })).encoding, undefined);
});

test('the usage that an answer tells may be less than that of the one before', async (t) => {
  const org = await orgFor(t, { switches: { usageDrift: 12 } });
  const raw = await rawClient(org);
  const used: number[] = [];
  for (let n = 0; n < 30; n++) {
    const { headers } = await raw('GET', '/limits');
    used.push(Number(/api-usage=(\d+)/.exec(headers.get('sforce-limit-info') ?? '')?.[1]));
  }
  assert.ok(used.some((each, i) => each < (used[i - 1] ?? 0)));
  assert.ok(used.every((each, i) => each <= i + 1 && each >= i - 11));
});

test('double slashes in a path are one', async (t) => {
  const org = await orgFor(t);
  const { accessToken = '' } = await connect(org);
  for (const path of ['//services/data', '//services/data/v65.0//limits'])
    assert.equal(
      (await fetch(org.url + path, { headers: { Authorization: `Bearer ${accessToken ?? ''}` } })).status,
      200,
    );
});

test('a bad token is told to userinfo as 403 and a text', async (t) => {
  const org = await orgFor(t);
  const answer = await fetch(`${org.url}/services/oauth2/userinfo`, {
    headers: { Authorization: 'Bearer nothing' },
  });
  assert.deepEqual([answer.status, await answer.text()], [403, 'Bad_OAuth_Token']);
});

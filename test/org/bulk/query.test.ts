/** Bulk API 2.0 query jobs that go wrong, and their pages. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { orgFor, rawClient, type RawReply } from '../connect';
import { type Fault } from '../control/faults';
import { type Org, type OrgOptions } from '../org';

interface Job {
  org: Org;
  page: (locator?: string) => Promise<RawReply>;
  raw: Awaited<ReturnType<typeof rawClient>>;
  id: string;
}

async function job(t: TestContext, options: OrgOptions = {}): Promise<Job> {
  const org = await orgFor(t, { generate: { Contact: 10 }, ...options });
  const raw = await rawClient(org);
  const query = 'SELECT Id FROM Contact';
  const { id } = (await raw('POST', '/jobs/query', { operation: 'query', query })).json as { id: string };
  await raw('GET', `/jobs/query/${id}`);
  const page = (locator = ''): Promise<RawReply> =>
    raw('GET', `/jobs/query/${id}/results?maxRecords=4${locator && `&locator=${locator}`}`);
  return { org, page, raw, id };
}

const seen = ({ status, headers, text }: RawReply): unknown[] => [
  status,
  headers.get('sforce-locator') !== null,
  headers.get('sforce-numberofrecords'),
  text.trim().split('\n').length - 1,
];

for (const [what, action, wanted] of [
  ['nothing', { status: 204, body: '' }, [204, false, null, 0]],
  [
    'its rows without the headers',
    { omit: ['Sforce-Locator', 'Sforce-NumberOfRecords'] },
    [200, false, null, 4],
  ],
  ['fewer rows than it says', { loseRows: 3 }, [200, true, '4', 1]],
] satisfies [string, Fault['action'], unknown[]][])
  test(`the second page may have ${what}; asked for again it is whole`, async (t) => {
    const { org, page } = await job(t);
    const next = (await page()).headers.get('sforce-locator') ?? '';
    org.faults.add({ match: { path: '*/results*locator=*' }, action, times: 1 });
    assert.deepEqual(seen(await page(next)), wanted);
    assert.deepEqual(seen(await page(next)), [200, true, '4', 4]);
  });

test('a job may never end, and be aborted', async (t) => {
  const { org, raw, id, page } = await job(t, { switches: { bulkJobMs: 1e12 } });
  org.store.clockOffset = 24 * 60 * 60_000;
  const renewed = await rawClient(org);
  const state = async (): Promise<unknown> =>
    ((await renewed('GET', `/jobs/query/${id}`)).json as { state: string }).state;
  assert.equal(await state(), 'InProgress');
  assert.equal((await renewed('PATCH', `/jobs/query/${id}`, { state: 'Aborted' })).status, 200);
  assert.equal(await state(), 'Aborted');
  org.store.clockOffset = 0;
  assert.equal((await page()).status, 400);
  assert.equal((await raw('DELETE', `/jobs/query/${id}`)).status, 204);
});

test('resultPages lists where five pages are, and where the next list is', async (t) => {
  const { raw, id } = await job(t, { generate: { Contact: 260_000 } });
  interface Pages {
    resultPages: { resultLink: string }[];
    nextRecordsUrl: string | null;
    done: boolean;
  }
  const first = (await raw('GET', `/jobs/query/${id}/resultPages`)).json as Pages;
  assert.deepEqual([first.resultPages.length, first.done], [5, false]);
  const rest = (await raw('GET', first.nextRecordsUrl ?? '')).json as Pages;
  assert.deepEqual([rest.resultPages.length, rest.done, rest.nextRecordsUrl], [1, true, null]);
  const { headers } = await raw('GET', rest.resultPages[0]?.resultLink ?? '');
  assert.deepEqual([headers.get('sforce-numberofrecords'), headers.get('sforce-locator')], ['10000', 'null']);
});

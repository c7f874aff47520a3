/** What APIs that nobody here knows have been seen to answer. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import { readDeclaration } from '../../../../nodes/sync/providers/rest/check';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { history, idsOf, opened } from './drain';
import { answeringApi, type Reply, type Seen } from './server';

const never = new AbortController().signal;

const declared = (paging: object, list: object = {}, more: object = {}): Declaration =>
  readDeclaration(
    JSON.stringify({
      label: 'Things',
      auth: [{ kind: 'none' }],
      collections: {
        things: {
          label: 'Things',
          id: 'id',
          list: { get: '/things', query: { at: '{next}' }, records: 'data', paging, size: 2, ...list },
          ...more,
        },
      },
    }),
  );
const two = (from: number) => [{ id: from }, { id: from + 1 }];
const pageOf = ({ query }: Seen): number => Number(query.get('at') ?? 1);

/** The ids of all pages; three of two records each, unless the answer says otherwise. */
async function read(
  t: TestContext,
  declaration: Declaration,
  answer: (request: Seen, page: number, count: number) => Reply,
): Promise<{ ids: string[]; calls: number }> {
  const { baseUrl, seen } = await answeringApi(t, (request, count) =>
    answer(request, pageOf(request), count),
  );
  const ids = idsOf(await history(await opened(t, declaration, baseUrl, 'things')));
  return { ids, calls: seen.length };
}
const ALL = ['10', '11', '20', '21', '30', '31'];

describe('a list ends', () => {
  const counted = declared({ by: 'page' });
  for (const [what, last] of [
    ['with null in the place of an empty list', { body: { data: null } }],
    ['with 204', { status: 204, body: '' }],
    ['with the text of an empty list behind a byte order mark', { body: '\ufeff{"data":[]}' }],
  ] as const)
    test(what, async (t) => {
      const found = await read(t, counted, (_, page) =>
        page < 4 ? { body: { data: two(page * 10) } } : last,
      );
      assert.deepEqual(found, { ids: ALL, calls: 4 });
    });

  test('where the API knows no page behind the last one, which it has to say twice', async (t) => {
    const api = (_: Seen, page: number): Reply =>
      page < 4 ? { body: { data: two(page * 10) } } : { status: 404, body: { detail: 'Invalid page.' } };
    const first = await read(t, counted, api);
    assert.deepEqual(first, { ids: [...ALL, ...ALL], calls: 8 });
    const second = await read(t, counted, api);
    assert.deepEqual(second, { ids: ALL, calls: 4 });
  });

  test('where its last page comes again and again', async (t) => {
    const found = await read(t, declared({ by: 'page' }), (_, page) => ({
      body: { data: two(Math.min(page, 3) * 10) },
    }));
    assert.deepEqual([[...new Set(found.ids)], found.calls], [ALL, 5]);
  });

  for (const [what, paging, last] of [
    [
      'while "true" is a text',
      { while: 'more' },
      (page: number) => ({ at: page + 1, more: String(page < 3) }),
    ],
    [
      'until "true" is a text',
      { until: 'end' },
      (page: number) => ({ at: page + 1, end: String(page >= 3) }),
    ],
    ['with the cursor 0', {}, (page: number) => ({ at: page < 3 ? page + 1 : 0 })],
  ] as const)
    test(what, async (t) => {
      const found = await read(t, declared({ by: 'cursor', path: 'at', ...paging }), (_, page) => ({
        body: { data: two(page * 10), ...last(page) },
      }));
      assert.deepEqual(found, { ids: ALL, calls: 3 });
    });

  test('not, unsaid, where the cursor is no text', (t) =>
    assert.rejects(
      read(t, declared({ by: 'cursor', path: 'at' }), () => ({ body: { data: two(1), at: { value: 2 } } })),
      { code: 'INVALID_DECLARATION', message: /has \{"value":2\} at "at", which is no cursor/ },
    ));
});

test('the URL of the next page may be relative', async (t) => {
  const found = await read(t, declared({ by: 'url', path: 'next' }), (_, page) => ({
    body: { data: two(page * 10), next: page < 3 ? `/things?at=${page + 1}` : null },
  }));
  assert.deepEqual(found, { ids: ALL, calls: 3 });
});

test('a list that was there, and isn’t in one answer, is asked for again', async (t) => {
  await assert.rejects(
    read(t, declared({ by: 'page' }), (_, page) =>
      page < 3 ? { body: { data: two(page * 10) } } : { body: { error: 'backend is down' } },
    ),
    { code: 'INVALID_DECLARATION', retryable: true },
  );
});

test('a time that says that there is none is none', async (t) => {
  const declaration = declared({ by: 'page' }, {}, { updated: 'changed' });
  const rows = [
    { id: 1, changed: '0000-00-00 00:00:00' },
    { id: 2, changed: '2026-01-02T03:04:05Z' },
  ];
  const { ids } = await read(t, declaration, (_, page) => ({
    body: { data: page === 1 ? [...rows, null] : [] },
  }));
  assert.deepEqual(ids, ['1', '2']);
});

test('a redirect that forgets what was asked for is asked for that', async (t) => {
  const { baseUrl } = await answeringApi(t, ({ path, query }) =>
    path === '/things'
      ? { status: 301, headers: { location: '/moved' } }
      : { body: { data: query.get('state') === 'all' ? two(1) : [{ id: 1 }] } },
  );
  const declaration = declared({ by: 'cursor', path: 'at' }, { query: { state: 'all' } });
  assert.deepEqual(idsOf(await history(await opened(t, declaration, baseUrl, 'things'))), ['1', '2']);
});

describe('that a record is gone', () => {
  const stripe = declarationOf('stripe') as Declaration;
  const gone = async (
    t: TestContext,
    reply: Reply,
    list: Reply = { body: { data: [], has_more: false } },
  ) => {
    const { baseUrl } = await answeringApi(t, ({ path }) => (path === '/v1/customers' ? list : reply));
    const collection = await opened(t, stripe, baseUrl, 'customers');
    return (await collection.read?.(['cus_1'], never))?.map((record) => record.gone);
  };
  const PAGE: Reply = {
    status: 404,
    headers: { 'content-type': 'text/html' },
    body: '<html>Not here</html>',
  };

  test('is for the API to say', async (t) =>
    assert.deepEqual(await gone(t, { status: 404, body: { error: { code: 'resource_missing' } } }), [true]));

  test('isn’t said by the page of a gateway', (t) =>
    assert.rejects(gone(t, PAGE), { code: 'API_REFUSED', retryable: true, message: /a web page/ }));

  for (const body of ['', '404 page not found'])
    test(`without words of the API ("${body}") only while its list is there`, async (t) => {
      assert.deepEqual(await gone(t, { status: 404, body }), [true]);
      await assert.rejects(gone(t, { status: 404, body }, { status: 404, body }), { code: 'API_REFUSED' });
    });
});

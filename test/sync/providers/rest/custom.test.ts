import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { APIS } from '../../../../nodes/sync/providers/catalog';
import { readDeclaration } from '../../../../nodes/sync/providers/rest/check';
import { testApi, tryPage } from '../../../../nodes/sync/providers/rest/lookups';
import { changes, history, idsOf, opened, start } from './drain';
import { answeringApi } from './server';

const GADGETS = `{
  "label": "Gadgets",
  "auth": [{ "kind": "header", "name": "X-Key", "value": "{token}" }],
  "collections": {
    "gadgets": {
      "label": "Gadgets",
      "id": "meta.key",
      "updated": "meta.changed|seconds",
      "deleted": { "state": "gone" },
      "list": {
        "get": "/gadgets",
        "query": { "changed_from": "{since|seconds}", "page": "{next}", "limit": "{size}" },
        "records": "data",
        "paging": { "by": "page" },
        "size": 2,
        "order": "meta.changed|seconds"
      },
      "changes": { "by": "since" }
    }
  }
}`;

test('an API that nobody knows here is read by a declaration alone', async (t) => {
  const now = Math.floor(Date.now() / 1_000);
  const gadgets = [1, 2, 3, 4, 5].map((i) => ({ meta: { key: i, changed: now - 1_000 + i }, state: 'new' }));
  const { baseUrl, seen } = await answeringApi(t, ({ path, query, headers }) => {
    if (headers['x-key'] !== 'token-of-tests') return { status: 401, body: { message: 'no' } };
    if (path !== '/gadgets') return { status: 404 };
    const from = (Number(query.get('page') ?? 1) - 1) * 2;
    const found = gadgets.filter(({ meta }) => meta.changed >= Number(query.get('changed_from')));
    return { body: { data: found.sort((a, b) => a.meta.changed - b.meta.changed).slice(from, from + 2) } };
  });
  const declaration = readDeclaration(GADGETS);
  const collection = await opened(t, declaration, baseUrl, 'gadgets');
  const from = await start(collection);
  // Begun again at the last of each page, because pages are counted.
  assert.deepEqual([...new Set(idsOf(await history(collection)))], ['1', '2', '3', '4', '5']);
  gadgets[0] = { meta: { key: 1, changed: now }, state: 'gone' };
  const { records } = await changes(collection, from);
  assert.deepEqual([...new Map(records.map(({ id, deleted }) => [id, deleted]))], [['1', true]]);
  const options = { declaration, values: { baseUrl, token: 'token-of-tests' }, budget: 100 };
  const never = new AbortController().signal;
  const tried = await tryPage(options, 'custom:gadgets', never);
  assert.equal(tried.records, 2);
  assert.equal(tried.first?.id, '2');
  assert.match(tried.request, /^GET http.*\/gadgets\?changed_from=0&limit=2$/);
  const checks = await testApi(options, ['custom:gadgets'], never);
  assert.deepEqual(checks.at(-1), {
    state: 'good',
    text: 'check_read',
    values: { collection: 'custom:gadgets' },
  });
  assert.ok(seen.length > 5);
});

for (const [what, text, error] of [
  ['no JSON', '{\n  "label": x\n}', /it is no JSON/],
  [
    'a word that isn’t known',
    GADGETS.replace('"by": "page"', '"by": "pages"'),
    /line 14, .*paging\.by: has to be one of: /,
  ],
  [
    'a field that isn’t known',
    GADGETS.replace('"state": "gone" },', '"state": "gone" }, "update": "x",'),
    /line 5, collections\.gadgets: “update” isn't known here/,
  ],
  [
    'no collections',
    '{ "label": "x", "auth": [{ "kind": "none" }] }',
    /line 1, the whole: “collections” is missing/,
  ],
] as const)
  test(`a declaration with ${what} is refused with the place`, () => {
    assert.throws(() => readDeclaration(text), {
      code: 'INVALID_DECLARATION',
      retryable: false,
      message: error,
    });
  });

test('the declarations that come with the pack are what the schema says', () => {
  for (const [name, declaration] of Object.entries(APIS)) {
    const read = readDeclaration(JSON.stringify(declaration, null, 2));
    assert.deepEqual(read, { ...(JSON.parse(JSON.stringify(declaration)) as object), name: 'custom' }, name);
  }
});

test('the schema has the names of the type, and no others', () => {
  const rest = join(__dirname, '../../../../nodes/sync/providers/rest');
  const types = readFileSync(join(rest, 'declaration.ts'), 'utf8');
  const schema = readFileSync(join(rest, 'declaration.schema.json'), 'utf8');
  const declared = new Set([...types.matchAll(/[{;|\n]\s*(\w+)\??: /g)].map(([, name]) => name));
  // Those that are listed in a type of their own, and the languages of a text.
  const [entries = ''] = /EntryName = .*/.exec(types) ?? [];
  for (const [, name] of entries.matchAll(/'(\w+)'/g)) declared.add(name);
  for (const language of ['de', 'en']) declared.add(language);
  const properties = new Set<string>();
  JSON.parse(schema, function (this: unknown, key: string, value: unknown) {
    if (key === 'properties') for (const name of Object.keys(value as object)) properties.add(name);
    return value;
  });
  properties.delete('$schema');
  assert.deepEqual([...properties].sort(), [...declared].sort());
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Position } from '../../../../nodes/sync/engine/provider';
import type { SourceRecord } from '../../../../nodes/sync/engine/record';
import type {
  CollectionDeclaration,
  Declaration,
  Listing,
} from '../../../../nodes/sync/providers/rest/declaration';
import { changes, history, start } from '../../providers/rest/drain';
import { distinct, ids, longAgo, many, reading, settled } from './reading';

const never = new AbortController().signal;
const kept = <T>(position: T): T => JSON.parse(JSON.stringify(position)) as T;
const missing = (wanted: readonly string[], found: readonly string[]): string[] =>
  wanted.filter((id) => !found.includes(id));
const title = (i: number) => ({ title: `number ${i}` });

test('G1: an empty repository is an empty result', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme/empty:commits');
  const from = await start(collection);
  assert.deepEqual(await history(collection), []);
  const quiet = await changes(collection, from);
  const [first] = api.write('acme/empty:commits', [{ message: 'first' }]);
  assert.deepEqual(distinct((await changes(collection, quiet.position)).records), [first?.sha]);
});

for (const issueCursors of [true, false])
  test(`G2: a list that refuses pages by number goes on (${issueCursors ? 'cursors' : 'numbers'} in its links)`, async (t) => {
    const { api, reopen, rows } = await reading(t, 'github', 'acme/api:issues', {
      switches: { pageLimit: 300, issueCursors },
    });
    for (let i = 0; i < 10; i++) api.write('acme/api:issues', many(75, title), longAgo() + i * 60_000);
    const found: SourceRecord[] = [];
    let from: Position | undefined;
    do {
      // Whoever takes over has nothing but the position.
      const page = await (await reopen()).page(from && kept(from), never);
      found.push(...page.records);
      from = page.next;
    } while (from);
    assert.deepEqual(distinct(found), ids(rows()));
  });

for (const issueCursors of [true, false])
  test(`G2: issues that move while they are read are not lost (${issueCursors ? 'cursors' : 'numbers'} in the links)`, async (t) => {
    const { api, collection } = await reading(t, 'github', 'acme/api:issues', { switches: { issueCursors } });
    const made = Array.from({ length: 10 }, (_, i) =>
      api.write('acme/api:issues', many(40, title), longAgo() + i * 60_000),
    ).flat();
    const from = await start(collection);
    const moved = new Set<unknown>();
    const found: SourceRecord[] = [];
    let page = await collection.page(undefined, never);
    for (found.push(...page.records); page.next; found.push(...page.records)) {
      // Those at the beginning move to the end, and all others up.
      const some = made.splice(0, 15).map(({ id }) => ({ id, title: 'moved' }));
      some.forEach(({ id }) => moved.add(id));
      api.write('acme/api:issues', some);
      page = await collection.page(kept(page.next), never);
    }
    assert.ok(moved.size > 30);
    assert.deepEqual(distinct(found), ids(api.records('acme/api:issues')));
    assert.equal((await changes(collection, from)).records.length, moved.size);
  });

for (const issueCursors of [true, false])
  test(`more issues of one second than a page holds are read while some of them move (${issueCursors ? 'cursors' : 'numbers'} in the links)`, async (t) => {
    const { api, reopen, rows } = await reading(t, 'github', 'acme/api:issues', {
      switches: { issueCursors },
    });
    const at = longAgo();
    api.write('acme/api:issues', many(30, title), at - 60_000);
    const made = api.write('acme/api:issues', many(450, title), at);
    api.write('acme/api:issues', many(30, title), at + 60_000);
    const moved = new Set<string>();
    const found: SourceRecord[] = [];
    let from: Position | undefined;
    do {
      const page = await (await reopen()).page(from && kept(from), never);
      found.push(...page.records);
      from = page.next;
      // Those in front move to the end, and all behind them up, past the page.
      const some = made.splice(0, 13).map(({ id }) => ({ id, title: 'moved' }));
      for (const { id } of some) moved.add(String(id as number));
      api.write('acme/api:issues', some);
    } while (from);
    const stayed = ids(rows()).filter((id) => !moved.has(id));
    assert.deepEqual(
      stayed.filter((id) => !distinct(found).includes(id)),
      [],
    );
    assert.ok(moved.size > 60 && stayed.length > 200);
  });

test('more issues of one second than it gives pages of: nothing is passed over, and it is said', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme/api:issues', {
    switches: { issueCursors: false, pageLimit: 300 },
  });
  const at = longAgo();
  api.write('acme/api:issues', many(450, title), at);
  const read = async (): Promise<void> => {
    let page = await collection.page(undefined, never);
    for (let pages = 0; page.next && pages < 60; pages++)
      page = await collection.page(kept(page.next), never);
  };
  await assert.rejects(read(), {
    code: 'API_PAGING',
    message: /more than \d+ records are of 20.*Z, and it has no way to ask for the rest/,
  });
});

test('G3: pull requests that move while they are read are not lost', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme/api:pull_requests');
  const made = api.write('acme/api:pull_requests', many(250, title), longAgo());
  const from = await settled(collection);
  const change = (rows: typeof made, to: string) =>
    api.write(
      'acme/api:pull_requests',
      rows.map(({ id }) => ({ id, title: to })),
    );
  change(made, 'changed');
  const first = await collection.changes(kept(from), never);
  const oldest = made.slice(0, 30);
  change(oldest, 'changed again');
  const rest = await changes(collection, first.position);
  const again = await changes(collection, rest.position);
  const last = new Map(
    [...first.records, ...rest.records, ...again.records].map(({ id, data }) => [id, data.title]),
  );
  assert.equal(last.size, 250);
  for (const { id } of oldest) assert.equal(last.get(String(id as number)), 'changed again');
});

test('G5: old commits that are pushed late are found, and one from the future hides nobody', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme/api:commits');
  api.write(
    'acme/api:commits',
    many(5, (i) => ({ message: `${i}` })),
    longAgo(),
  );
  const position = await settled(collection);
  const late = api.write('acme/api:commits', [
    { message: 'old', date: '2001-01-01T00:00:00Z' },
    { message: 'future', date: '2099-01-01T00:00:00Z' },
  ]);
  const first = await changes(collection, position);
  assert.deepEqual(distinct(first.records), ids(late, 'sha'));
  const next = api.write('acme/api:commits', [{ message: 'now' }]);
  assert.deepEqual(distinct((await changes(collection, first.position)).records), ids(next, 'sha'));
});

const message = (i: number) => ({ message: `${i}` });
const COMMITS = 'acme/api:commits';
/** Where an API has no way to make its pages stay. */
const withoutPin = (declaration: Declaration): Declaration => {
  const { commits, ...others } = declaration.collections;
  const list = { ...(commits?.list as Listing), paging: { by: 'link' as const } };
  return {
    ...declaration,
    collections: { ...others, commits: { ...(commits as CollectionDeclaration), list } },
  };
};

test('commits that a force-push moves up while their history is read are not lost', async (t) => {
  const { api, collection } = await reading(t, 'github', COMMITS);
  api.write(COMMITS, many(250, message), longAgo());
  const from = await start(collection);
  const dropped = ids(api.write(COMMITS, many(3, message)), 'sha');
  const first = await collection.page(undefined, never);
  api.act('force-push', COMMITS, { ids: dropped });
  const found = [...first.records];
  for (let at = first.next; at;) {
    const page = await collection.page(kept(at), never);
    found.push(...page.records);
    at = page.next;
  }
  // The newest is again what it was when the history began.
  found.push(...(await changes(collection, from)).records);
  assert.deepEqual(missing(ids(api.records(COMMITS), 'sha'), distinct(found)), []);
});

for (const pinned of [true, false])
  test(`commits that a force-push moves up while changes are read are not lost (${pinned ? 'pages that stay' : 'pages by number'})`, async (t) => {
    const { api, collection } = await reading(t, 'github', COMMITS, {}, pinned ? undefined : withoutPin);
    const made = api.write(COMMITS, many(250, message), longAgo());
    const position = await settled(collection);
    // All that come after it are written anew.
    api.act('force-push', COMMITS, { ids: [made[50]?.sha] });
    const rewritten = ids(api.records(COMMITS).slice(50, -1), 'sha');
    const first = await collection.changes(position, never);
    api.act('force-push', COMMITS, { ids: [api.records(COMMITS).at(-1)?.sha] });
    const rest = await changes(collection, kept(first.position));
    assert.deepEqual(missing(rewritten, distinct([...first.records, ...rest.records])), []);
  });

test('changes that have to be begun again are read to their end, although their first page is as it was', async (t) => {
  const { api, collection } = await reading(t, 'github', COMMITS);
  api.write(COMMITS, many(5, message), longAgo());
  const position = await settled(collection);
  const made = api.write(COMMITS, many(150, message));
  api.faults.add({ match: { path: 'page=2' }, action: { status: 422 }, times: 1 });
  assert.deepEqual(distinct((await changes(collection, position)).records), ids(made, 'sha'));
});

test('G6: each repository is read by itself', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme:issues');
  const [website] = api.write('acme/website:issues', [title(1)], longAgo());
  const [, other] = api.write('acme/api:issues', many(2, title), longAgo());
  const position = await settled(collection);
  assert.equal(Object.keys((position as { parts: object }).parts).length, 3);
  // The one is far ahead of the other.
  api.write('acme/website:issues', [{ id: website?.id, title: 'new' }]);
  const first = await changes(collection, position);
  api.write('acme/api:issues', [{ id: other?.id, title: 'late' }], Date.now() - 60_000);
  const second = await changes(collection, first.position);
  assert.deepEqual(distinct(first.records), [String(website?.id)]);
  assert.ok(distinct(second.records).includes(String(other?.id)));
});

test('X1: what belonged to something that was deleted ends nothing', async (t) => {
  const { api, collection } = await reading(t, 'github', 'acme:issues');
  api.write('acme/website:issues', many(150, title), longAgo());
  api.write('acme/api:issues', many(150, title), longAgo());
  const from = await start(collection);
  const first = await collection.page(undefined, never);
  const gone = api.records('acme:repositories').find(({ name }) => name === 'website');
  api.remove('acme:repositories', [String(gone?.id)]);
  let rest = first;
  while (rest.next) rest = await collection.page(kept(rest.next), never);
  const [fresh] = api.write('acme/api:issues', [title(9)]);
  assert.ok(distinct((await changes(collection, from)).records).includes(String(fresh?.id)));
});

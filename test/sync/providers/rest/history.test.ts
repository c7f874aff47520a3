import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Position } from '../../../../nodes/sync/engine/provider';
import type { ApiName } from '../../../apis/catalog';
import { distinct, ids, many, reading } from '../../apis/traps/reading';

const never = new AbortController().signal;
const kept = <T>(position: T): T => JSON.parse(JSON.stringify(position)) as T;
const DAY = 86_400_000;
const FAST = { global: { max: 100_000 }, endpoint: { max: 100_000 } };

interface Case {
  name: ApiName;
  of: string;
  make: (i: number) => Record<string, unknown>;
  options: Parameters<typeof reading>[3];
  path: string;
}

const CASES: Case[] = [
  {
    name: 'stripe',
    of: 'customers',
    make: (i) => ({ email: `p${i}@ex.test` }),
    options: { limits: FAST, switches: { eventLagMs: 0 }, latencyMs: 2 },
    path: '/customers',
  },
  {
    name: 'jira',
    of: 'issues',
    make: (i) => ({ summary: `issue ${i}` }),
    options: { switches: { indexLagMs: 0 }, limits: { burst: { max: 100_000 } }, latencyMs: 2 },
    path: '/search/jql',
  },
  {
    name: 'github',
    of: 'acme/api:issues',
    make: (i) => ({ title: `issue ${i}` }),
    options: { latencyMs: 2 },
    path: '/issues',
  },
];

/** Whoever takes over after each page has nothing but the position. */
async function readAll(t: TestContext, { name, of, options }: Case, fill: (write: Write) => void) {
  const { api, reopen, rows, calls } = await reading(t, name, of, options);
  fill((at, list) => void api.write(of, list, at));
  api.clearRequests();
  const found: string[] = [];
  let from: Position | undefined;
  do {
    const page = await (await reopen()).page(from && kept(from), never);
    found.push(...page.records.map(({ id }) => id));
    from = page.next;
  } while (from);
  return { found, expected: ids(rows()), calls, requests: api.requests() };
}

type Write = (at: number, list: Record<string, unknown>[]) => void;

for (const of of CASES) {
  test(`${of.name}: a history is read in slices side by side, in hardly more calls than it has pages`, async (t) => {
    const { found, expected, calls, requests } = await readAll(t, of, (write) => {
      // Sparse at first, then more and more.
      for (let i = 0; i < 1_200; i++)
        write(
          Date.now() - 3 * 365 * DAY + Math.floor(Math.sqrt(i / 1_200) * 2 * 365 * 24) * (DAY / 24),
          many(5, (n) => of.make(i * 5 + n)),
        );
    });
    assert.deepEqual(distinct(found.map((id) => ({ id, data: {} }))), expected);
    const pages = expected.length / 100;
    const made = calls(of.path);
    assert.ok(made < pages * 1.4 + 8, `${made} calls for ${pages} pages`);
    t.diagnostic(
      `${made} calls for ${pages} pages, ${Math.max(...requests.map(({ concurrent }) => concurrent))} at once`,
    );
    assert.ok(Math.max(...requests.map(({ concurrent }) => concurrent)) > 3, 'side by side');
  });

  test(`${of.name}: a history of a single moment, and one of two that are years apart, are read to their ends`, async (t) => {
    for (const times of [[5 * DAY], [5 * 365 * DAY, 5 * DAY]]) {
      const { found, expected, calls } = await readAll(t, of, (write) => {
        for (const ago of times) write(Date.now() - ago, many(700, of.make));
      });
      assert.deepEqual(distinct(found.map((id) => ({ id, data: {} }))), expected);
      t.diagnostic(`${calls(of.path)} calls`);
      assert.ok(calls(of.path) < 40, `${calls(of.path)} calls`);
    }
  });

  test(`${of.name}: of a history of one page there is one call`, async (t) => {
    const { found, expected, calls } = await readAll(t, of, (write) =>
      write(Date.now() - DAY, many(60, of.make)),
    );
    assert.deepEqual(found.sort(), expected);
    assert.equal(calls(of.path), 1);
  });
}

test('jira: slices are complete where it compares times in whole minutes', async (t) => {
  const jira = CASES.find(({ name }) => name === 'jira') as Case;
  const options = { ...jira.options, switches: { indexLagMs: 0, epochPrecision: 'minute' } };
  const { found, expected, calls } = await readAll(t, { ...jira, options }, (write) => {
    for (let i = 0; i < 3_000; i++) write(Date.now() - 5 * DAY + i * 2_500, [jira.make(i)]);
  });
  assert.deepEqual(distinct(found.map((id) => ({ id, data: {} }))), expected);
  assert.ok(calls(jira.path) < 60, `${calls(jira.path)} calls`);
});

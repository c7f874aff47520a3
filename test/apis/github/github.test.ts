import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Api } from '../api';
import { apiFor, call } from '../support';

const ISSUES = '/repos/acme/website/issues';
const PULLS = '/repos/acme/website/pulls';
const COMMITS = '/repos/acme/website/commits';
const minute = 60_000;

interface Client {
  paginate(route: string, parameters?: object): Promise<{ id: number; number: number; sha: string }[]>;
  request(
    route: string,
    parameters?: object,
  ): Promise<{ status: number; url: string; data: unknown; headers: Record<string, string> }>;
}

/** Octokit, with what its throttling plugin waited for. It is a package of ES modules. */
async function clientOf(api: Api): Promise<{ octokit: Client; waits: string[] }> {
  const [{ Octokit }, { throttling }] = await Promise.all([
    import('@octokit/rest'),
    import('@octokit/plugin-throttling'),
  ]);
  const waits: string[] = [];
  const retry =
    (kind: string) =>
    (after: number, _options: object, _octokit: object, retryCount: number): boolean => {
      waits.push(`${kind} ${after}`);
      return retryCount < 2;
    };
  const octokit = new (Octokit.plugin(throttling))({
    auth: api.token,
    baseUrl: api.baseUrl,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    throttle: {
      onRateLimit: retry('primary'),
      onSecondaryRateLimit: retry('secondary'),
      // What would be a second is a millisecond.
      retryAfterBaseValue: 1,
    },
  });
  return { octokit: octokit as unknown as Client, waits };
}

interface Item {
  id: number;
  number: number;
  sha: string;
  title: string;
  updated_at: string;
  pull_request?: object;
}

async function get(
  api: Api,
  path: string,
): Promise<{ items: Item[]; next: string | undefined; link: string | null }> {
  const { status, json, text, headers } = await call(api, path);
  assert.equal(status, 200, text);
  const link = headers.get('link');
  return { items: json as Item[], link, next: /<([^>]+)>; rel="next"/.exec(link ?? '')?.[1] };
}

const message = (json: unknown): string => (json as { message: string }).message;

test('the client pages through all issues by following links', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 250 } });
  const { octokit } = await clientOf(api);
  const all = await octokit.paginate('GET /repos/{owner}/{repo}/issues', {
    owner: 'acme',
    repo: 'website',
    state: 'all',
    per_page: 100,
  });
  assert.equal(new Set(all.map(({ id }) => id)).size, 250);
  assert.deepEqual(
    api.requests().map(({ records }) => records),
    [100, 100, 50],
  );
});

test('open ones only, newest first, are the usual; since is inclusive; per_page is 100 at most', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 300 } });
  const usual = await get(api, ISSUES);
  assert.equal(usual.items.length, 30);
  assert.equal((await get(api, `${ISSUES}?state=all&per_page=1000`)).items.length, 100);
  assert.equal((await get(api, `${ISSUES}?state=all&per_page=x`)).items.length, 30);
  const [last] = (await get(api, `${ISSUES}?state=all&sort=updated&per_page=1`)).items;
  const since = await get(api, `${ISSUES}?state=all&sort=updated&direction=asc&since=${last?.updated_at}`);
  assert.deepEqual(
    since.items.map(({ id }) => id),
    [last?.id],
  );
  assert.equal(since.link, null);
});

test('issues hold pull requests, and both share numbers', async (t) => {
  const api = await apiFor(t, 'github');
  api.write('acme/website:issues', [{ title: 'Broken' }]);
  api.write('acme/website:pull_requests', [{ title: 'Mended' }]);
  const { items } = await get(api, `${ISSUES}?direction=asc`);
  assert.deepEqual(
    items.map(({ number, pull_request }) => [number, pull_request !== undefined]),
    [
      [1, false],
      [2, true],
    ],
  );
  assert.deepEqual(
    (await get(api, PULLS)).items.map(({ number }) => number),
    [2],
  );
});

test('what is wrong is 422, or not looked at', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:commits': 1 } });
  for (const path of [
    `${ISSUES}?state=gone`,
    `${ISSUES}?since=yesterday`,
    `${PULLS}?sort=size`,
    `${COMMITS}?since=x`,
    `${ISSUES}?after=zzz`,
  ]) {
    assert.equal((await call(api, path)).status, 422, path);
  }
  assert.equal((await call(api, `${ISSUES}?updated_since=2026-01-01`)).status, 200);
  assert.equal((await call(api, '/repos/acme/nothing')).status, 404);
  assert.equal((await call(api, ISSUES, { method: 'POST', body: {} })).status, 404);
});

test('G1: the commits of an empty repository are a 409', async (t) => {
  const api = await apiFor(t, 'github');
  const { status, json } = await call(api, '/repos/acme/empty/commits');
  assert.deepEqual([status, message(json)], [409, 'Git Repository is empty.']);
});

test('G2: page 100 of 100 is refused however few there are; the links go on by cursor', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 350 } });
  assert.deepEqual((await get(api, `${ISSUES}?state=all&per_page=100&page=99`)).items, []);
  const refused = await call(api, `${ISSUES}?state=all&per_page=100&page=100`);
  assert.deepEqual([refused.status, /cursor/.test(message(refused.json))], [422, true]);
  const { next } = await get(api, `${ISSUES}?state=all&per_page=100`);
  assert.match(next ?? '', /\/repositories\/\d+\/issues\?.*after=/);
  api.switches({ issueCursors: false });
  assert.match((await get(api, `${ISSUES}?state=all&per_page=100`)).next ?? '', /[?&]page=2$/);
});

test('a cursor goes on where its page ended, also when issues came before', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 60 } });
  const first = await get(api, `${ISSUES}?state=all&per_page=30`);
  api.write('acme/website:issues', [{ title: 'New' }]);
  const second = await get(api, first.next ?? '');
  assert.equal(new Set([...first.items, ...second.items].map(({ id }) => id)).size, 60);
  assert.equal(second.next, undefined);
});

test('cursors give each of many issues of one second once, rising and falling', async (t) => {
  const api = await apiFor(t, 'github');
  api.write(
    'acme/website:issues',
    Array.from({ length: 25 }, (_, n) => ({ title: `${n}` })),
  );
  const rising = Array.from({ length: 25 }, (_, n) => n + 1);
  for (const [direction, wanted] of [
    ['asc', rising],
    ['desc', [...rising].reverse()],
  ] as const) {
    const numbers: number[] = [];
    let next: string | undefined = `${ISSUES}?sort=updated&direction=${direction}&per_page=10`;
    while (next !== undefined) {
      const page = await get(api, next);
      numbers.push(...page.items.map(({ number }) => number));
      next = page.next;
    }
    assert.deepEqual(numbers, wanted);
  }
});

test('G3: a pull that moves while pages are read: by rising change another is lost, by falling change it alone', async (t) => {
  const lost = async (direction: string): Promise<{ moved: unknown; missing: unknown[] }> => {
    const api = await apiFor(t, 'github', { seed: { 'acme/website:pull_requests': 20 } });
    const path = `${PULLS}?state=all&sort=updated&direction=${direction}&per_page=10`;
    const first = await get(api, path);
    const all = api.records('acme/website:pull_requests');
    const moved = direction === 'asc' ? first.items[0]?.number : all[0]?.number;
    api.write('acme/website:pull_requests', [{ number: moved, title: 'Moved' }]);
    const second = await get(api, first.next ?? '');
    const seen = new Set<unknown>([...first.items, ...second.items].map(({ number }) => number));
    return { moved, missing: all.map(({ number }) => number).filter((number) => !seen.has(number)) };
  };
  const [rising, falling] = [await lost('asc'), await lost('desc')];
  assert.equal(rising.missing.length, 1);
  assert.notEqual(rising.missing[0], rising.moved);
  assert.deepEqual(falling.missing, [falling.moved]);
});

test('the order of pulls is rising for all sorts but created', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:pull_requests': 10 } });
  const numbers = async (query: string): Promise<number[]> =>
    (await get(api, `${PULLS}?state=all&${query}`)).items.map(({ number }) => number);
  assert.equal((await numbers(''))[0], 10);
  assert.equal((await numbers('sort=updated'))[0], 1);
  assert.equal((await numbers('sort=updated&direction=desc'))[0], 10);
});

for (const rateStatus of [403, 429] as const)
  test(`G4: both limits refuse with ${rateStatus}; headers and words tell them apart`, async (t) => {
    const api = await apiFor(t, 'github', {
      switches: { rateStatus },
      limits: { core: { max: 2, windowMs: 5_000 } },
    });
    const first = await call(api, ISSUES);
    assert.deepEqual(
      ['limit', 'remaining', 'used', 'resource'].map((name) => first.headers.get(`x-ratelimit-${name}`)),
      ['2', '1', '1', 'core'],
    );
    await call(api, ISSUES);
    const primary = await call(api, ISSUES);
    assert.deepEqual([primary.status, primary.headers.get('x-ratelimit-remaining')], [rateStatus, '0']);
    assert.match(message(primary.json), /^API rate limit exceeded/);
    const reset = Number(primary.headers.get('x-ratelimit-reset'));
    assert.ok(Math.abs(reset * 1000 - Date.now()) < minute);
    api.limits({ core: { max: 5_000 }, secondary: { max: 1, windowMs: minute } });
    await call(api, ISSUES);
    const secondary = await call(api, ISSUES);
    assert.equal(secondary.status, rateStatus);
    assert.match(message(secondary.json), /secondary rate limit/);
    assert.ok(Number(secondary.headers.get('x-ratelimit-remaining')) > 0);
    assert.ok(Number(secondary.headers.get('retry-after')) > 0);
    api.switches({ secondaryRetryAfter: false });
    assert.equal((await call(api, ISSUES)).headers.get('retry-after'), null);
  });

test('the throttling plugin sees both limits for what they are and comes back', async (t) => {
  const api = await apiFor(t, 'github');
  const { octokit, waits } = await clientOf(api);
  api.faults.add(
    { action: { status: 403, errorCode: 'secondary' }, times: 1 },
    { action: { status: 403, errorCode: 'primary' }, times: 1 },
  );
  assert.equal(
    (await octokit.request('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'website' })).status,
    200,
  );
  assert.deepEqual(
    waits.map((wait) => wait.split(' ')[0]),
    ['secondary', 'primary'],
  );
  assert.deepEqual(
    api.requests().map(({ status }) => status),
    [403, 403, 200],
  );
});

test('too many calls at one time are a secondary limit', async (t) => {
  const api = await apiFor(t, 'github', { latencyMs: 30, switches: { maxConcurrent: 2 } });
  const answers = await Promise.all(Array.from({ length: 4 }, () => call(api, '/repos/acme/website')));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 403, 403]);
});

test('304 costs nothing, with a token; an ETag is bound to it', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 2 } });
  const first = await call(api, ISSUES);
  const etag = first.headers.get('etag') ?? '';
  const same = await call(api, ISSUES, { headers: { 'If-None-Match': etag } });
  assert.deepEqual([same.status, same.text, same.headers.get('x-ratelimit-remaining')], [304, '', '4999']);
  const anonymous = await fetch(api.baseUrl + ISSUES, {
    headers: { 'If-None-Match': etag, 'User-Agent': 'tests' },
  });
  assert.deepEqual([anonymous.status, anonymous.headers.get('x-ratelimit-limit')], [200, '60']);
  api.write('acme/website:issues', [{ title: 'New' }]);
  assert.equal((await call(api, ISSUES, { headers: { 'If-None-Match': etag } })).status, 200);
  const { octokit } = await clientOf(api);
  const newest = (await call(api, ISSUES)).headers.get('etag');
  await assert.rejects(
    octokit.request('GET /repos/{owner}/{repo}/issues', {
      owner: 'acme',
      repo: 'website',
      headers: { 'if-none-match': newest },
    }),
    { status: 304 },
  );
});

test('G5: a commit that is pushed late has an old date; a force-push drops some', async (t) => {
  const api = await apiFor(t, 'github');
  const [old] = api.write('acme/website:commits', [{ message: 'first' }, { message: 'second' }]);
  const since = new Date(Date.now() - minute).toISOString();
  api.write('acme/website:commits', [{ message: 'late', date: '2020-01-01T00:00:00Z' }]);
  const all = await get(api, COMMITS);
  const recent = await get(api, `${COMMITS}?since=${since}`);
  assert.deepEqual([all.items.length, recent.items.length], [3, 2]);
  const [head] = all.items;
  assert.equal((await get(api, '/repos/acme/website/branches')).items.length, 1);
  api.act('force-push', 'acme/website:commits', { ids: [old?.sha] });
  const rest = await get(api, COMMITS);
  assert.equal(rest.items.length, 2);
  assert.ok(rest.items.every(({ sha }) => !all.items.some((before) => before.sha === sha)));
  assert.equal((await call(api, `${COMMITS}/${head?.sha}`)).status, 200);
  assert.equal((await get(api, `${COMMITS}?sha=${head?.sha}`)).items.length, 3);
});

test('G6: each repository has issues of its own, with numbers that begin at 1', async (t) => {
  const api = await apiFor(t, 'github');
  api.write('acme/website:issues', [{ title: 'a' }]);
  api.write('acme/api:issues', [{ title: 'b' }]);
  for (const name of ['website', 'api'])
    assert.deepEqual(
      (await get(api, `/repos/acme/${name}/issues`)).items.map(({ number }) => number),
      [1],
    );
});

test('X1: what was in a deleted repository is a 404', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 1 } });
  const website = api.records('acme:repositories').find(({ name }) => name === 'website');
  api.remove('acme:repositories', [String(website?.id as number)]);
  assert.equal((await call(api, ISSUES)).status, 404);
  assert.ok(!api.collections().includes('acme/website:issues'));
});

test('a deleted issue is a 410, or a 404; a transferred one leads to where it is; disabled issues are a 410', async (t) => {
  const api = await apiFor(t, 'github');
  const [gone, moved] = api.write('acme/website:issues', [{ title: 'gone' }, { title: 'moved' }]);
  api.write('acme/api:issues', [{ title: 'there before' }]);
  api.remove('acme/website:issues', [String(gone?.id as number)]);
  api.act('transfer', 'acme/website:issues', { ids: [moved?.id], to: 'acme/api' });
  assert.equal((await call(api, `${ISSUES}/1`)).status, 410);
  api.switches({ deletedIssue: 404 });
  assert.equal((await call(api, `${ISSUES}/1`)).status, 404);
  assert.equal((await call(api, `${ISSUES}/3`)).status, 404);
  const { octokit } = await clientOf(api);
  const there = await octokit.request('GET /repos/{owner}/{repo}/issues/{number}', {
    owner: 'acme',
    repo: 'website',
    number: 2,
  });
  assert.deepEqual([(there.data as Item).title, (there.data as Item).number], ['moved', 2]);
  const website = api.records('acme:repositories').find(({ name }) => name === 'website');
  api.write('acme:repositories', [{ id: website?.id, has_issues: false }]);
  assert.equal((await call(api, ISSUES)).status, 410);
});

test('the old name of a repository leads to the new one', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 3 } });
  const website = api.records('acme:repositories').find(({ name }) => name === 'website');
  api.write('acme:repositories', [{ id: website?.id, name: 'site' }]);
  const { status, headers, json } = await call(api, `${ISSUES}?state=all`);
  assert.deepEqual([status, message(json)], [301, 'Moved Permanently']);
  assert.equal(
    headers.get('location'),
    `${api.baseUrl}/repositories/${String(website?.id as number)}/issues?state=all`,
  );
  const { octokit } = await clientOf(api);
  assert.equal(
    (
      await octokit.paginate('GET /repos/{owner}/{repo}/issues', {
        owner: 'acme',
        repo: 'website',
        state: 'all',
      })
    ).length,
    3,
  );
  assert.ok(api.collections().includes('acme/site:issues'));
});

test('repositories of an owner: by creation, falling, or as asked', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme:repositories': 40 } });
  const { items, link } = await get(api, '/orgs/acme/repos?per_page=20');
  assert.equal(items.length, 20);
  assert.match(link ?? '', /rel="next".*rel="last"/);
  const { octokit } = await clientOf(api);
  assert.equal((await octokit.paginate('GET /orgs/{org}/repos', { org: 'acme' })).length, 43);
  assert.equal((await octokit.paginate('GET /user/repos')).length, 43);
  assert.equal((await call(api, '/installation/repositories')).status, 403);
  api.switches({ installation: true });
  assert.equal((await octokit.paginate('GET /installation/repositories')).length, 43);
  assert.equal((await call(api, '/orgs/nobody/repos')).status, 404);
});

test('search is behind, and ends at 1,000 hits', async (t) => {
  const api = await apiFor(t, 'github', {
    seed: { 'acme/website:issues': 1_100 },
    switches: { searchLagMs: minute },
  });
  api.write('acme/website:issues', [{ title: 'sesame' }]);
  const total = async (q: string): Promise<number> =>
    ((await call(api, `/search/issues?q=${encodeURIComponent(q)}`)).json as { total_count: number })
      .total_count;
  assert.equal(await total('repo:acme/website sesame is:issue'), 0);
  api.clock.advance(minute);
  assert.equal(await total('repo:acme/website sesame is:issue'), 1);
  assert.equal(await total('repo:acme/website'), 1_101);
  const beyond = await call(api, '/search/issues?q=repo%3Aacme%2Fwebsite&per_page=100&page=11');
  assert.deepEqual(
    [beyond.status, message(beyond.json)],
    [422, 'Only the first 1000 search results are available'],
  );
});

test('what is refused before the API: no user agent, a version there isn’t, a bad token', async (t) => {
  const api = await apiFor(t, 'github', {
    switches: { forbidden: ['acme/website:issues'], hidden: ['acme/api'] },
  });
  const as = (headers: Record<string, string>): Promise<{ status: number; json: unknown }> =>
    call(api, '/user', { headers });
  assert.equal((await as({ 'User-Agent': '' })).status, 403);
  assert.equal((await as({ 'X-GitHub-Api-Version': '2020-01-01' })).status, 400);
  const { status, json } = await as({ Authorization: 'Bearer wrong' });
  assert.deepEqual([status, message(json)], [401, 'Bad credentials']);
  assert.equal((await as({ Authorization: `token ${api.token}` })).status, 200);
  assert.equal((await call(api, ISSUES)).status, 403);
  assert.equal((await call(api, '/repos/acme/api')).status, 404);
});

test('a heavy page is a page of the gateway’s own', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 5 }, switches: { heavyPage: 100 } });
  const { status, text, headers } = await call(api, `${ISSUES}?per_page=100`);
  assert.deepEqual(
    [status, text.startsWith('<html>'), headers.get('content-type')],
    [502, true, 'text/html;charset=UTF-8'],
  );
  assert.equal((await call(api, `${ISSUES}?per_page=50`)).status, 200);
});

test('the version of the API says whether an issue has an assignee', async (t) => {
  const api = await apiFor(t, 'github', { seed: { 'acme/website:issues': 1 } });
  const has = async (version: string): Promise<boolean> => {
    const { json } = await call(api, `${ISSUES}?state=all`, { headers: { 'X-GitHub-Api-Version': version } });
    return 'assignee' in ((json as object[])[0] ?? {});
  };
  assert.deepEqual([await has('2022-11-28'), await has('2026-03-10')], [true, false]);
});

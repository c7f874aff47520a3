/** Answers against what others wrote down: GitHub's description of its API, and traffic that was recorded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Ajv from 'ajv';
import { type Api } from '../api';
import { apiFor, call } from '../support';

interface Description {
  answers: Record<string, object>;
  definitions: Record<string, object>;
}

const description = JSON.parse(readFileSync(path.join(__dirname, 'schemas.json'), 'utf8')) as Description;

function filled(api: Api): void {
  const at = Date.now() - 60_000;
  api.write(
    'acme/website:issues',
    [
      { title: 'Open', body: 'b' },
      { title: 'Closed', body: 'b', state: 'closed' },
    ],
    at,
  );
  api.write(
    'acme/website:pull_requests',
    [
      { title: 'Open', body: 'b' },
      { title: 'Merged', body: 'b', state: 'closed', merged_at: at },
    ],
    at,
  );
  api.write('acme/website:commits', [{ message: 'first' }, { message: 'second' }], at);
  api.write(
    'acme/website:releases',
    [
      { tag_name: 'v1', name: 'One' },
      { tag_name: 'v2', draft: true },
    ],
    at,
  );
  api.clock.advance(1_000);
}

const CALLS: Record<string, string> = {
  'GET /orgs/{org}/repos': '/orgs/acme/repos',
  'GET /repos/{owner}/{repo}': '/repos/acme/website',
  'GET /repos/{owner}/{repo}/issues': '/repos/acme/website/issues?state=all',
  'GET /repos/{owner}/{repo}/issues/{issue_number}': '/repos/acme/website/issues/1',
  'GET /repos/{owner}/{repo}/pulls': '/repos/acme/website/pulls?state=all',
  'GET /repos/{owner}/{repo}/commits': '/repos/acme/website/commits',
  'GET /repos/{owner}/{repo}/releases': '/repos/acme/website/releases',
  'GET /repos/{owner}/{repo}/branches': '/repos/acme/website/branches',
  'GET /search/issues': '/search/issues?q=repo%3Aacme%2Fwebsite',
  'GET /rate_limit': '/rate_limit',
};

test('answers are as GitHub describes them', async (t) => {
  const api = await apiFor(t, 'github');
  filled(api);
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const [name, address] of Object.entries(CALLS)) {
    const { status, json } = await call(api, address);
    assert.equal(status, 200, address);
    if (name !== 'GET /rate_limit') assert.notDeepEqual(json, []);
    const validate = ajv.compile({ ...description.answers[name], definitions: description.definitions });
    validate(json);
    assert.deepEqual(
      (validate.errors ?? []).map(({ instancePath, message }) => `${name} ${instancePath} ${message}`),
      [],
    );
  }
});

interface Recorded {
  method: string;
  path: string;
  status: number;
  response: unknown;
  headers?: Record<string, string>;
}

function recorded(scenario: string): Recorded[] {
  const at = require.resolve('@octokit/fixtures/package.json');
  const file = path.join(path.dirname(at), 'scenarios/api.github.com', scenario, 'normalized-fixture.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Recorded[];
}

/** Names of fields with the kind of their values, down to the leaves; what may be null or of any kind is not compared. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]));
}

/** What the recorded shape has and ours lacks, or has otherwise. */
function lacking(wanted: unknown, ours: unknown, at = ''): string[] {
  if (Array.isArray(wanted))
    return wanted.length === 0 || !Array.isArray(ours) || ours.length === 0
      ? []
      : lacking(wanted[0], ours[0], `${at}[]`);
  if (typeof wanted !== 'object' || wanted === null)
    return wanted === ours || wanted === 'null' || ours === 'null'
      ? []
      : [`${at}: ${String(ours as string)}, not ${String(wanted as string)}`];
  if (typeof ours !== 'object' || ours === null)
    return ours === 'null' ? [] : [`${at}: ${String(ours as string)}, not an object`];
  return Object.entries(wanted).flatMap(([name, inner]) =>
    name in ours
      ? lacking(inner, (ours as Record<string, unknown>)[name], `${at}.${name}`)
      : [`${at}.${name} is missing`],
  );
}

test('a page of issues has all that a recorded one has, and its links', async (t) => {
  const api = await apiFor(t, 'github', { switches: { issueCursors: false } });
  api.write(
    'acme/website:issues',
    Array.from({ length: 13 }, (_, n) => ({ title: `Test issue ${n + 1}` })),
  );
  const pages = recorded('paginate-issues');
  let next: string | undefined = '/repos/acme/website/issues?per_page=3';
  for (const page of pages) {
    const answer = await call(api, next ?? '');
    assert.equal(answer.status, page.status);
    assert.deepEqual(lacking(shape(page.response), shape(answer.json)), []);
    const numbers = (rows: unknown): number[] => (rows as { number: number }[]).map(({ number }) => number);
    assert.deepEqual(numbers(answer.json), numbers(page.response));
    const rels = (link: string | undefined | null): string[] =>
      [...(link ?? '').matchAll(/[?&]page=(\d+)[^;]*; rel="(\w+)"/g)]
        .map(([, n, rel]) => `${rel} ${n}`)
        .sort();
    if (page.headers?.link !== undefined)
      assert.deepEqual(rels(answer.headers.get('link')), rels(page.headers.link));
    next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  assert.equal(next, undefined);
});

test('a repository, a renamed one and a search have all that recorded ones have', async (t) => {
  const api = await apiFor(t, 'github', { switches: { searchLagMs: 0 } });
  const [repository] = recorded('get-repository');
  const one = await call(api, '/repos/acme/website');
  // Of settings that only an administrator sees, and of a time when there was none.
  const others = /allow_|delete_branch|use_squash|temp_clone|squash|merge_commit/;
  assert.deepEqual(
    lacking(shape(repository?.response), shape(one.json)).filter((line) => !others.test(line)),
    [],
  );

  const website = api.records('acme:repositories').find(({ name }) => name === 'website');
  api.write('acme:repositories', [{ id: website?.id, name: 'site' }]);
  const redirect = recorded('rename-repository').find(({ status }) => status === 301);
  const moved = await call(api, '/repos/acme/website');
  assert.equal(moved.status, 301);
  assert.deepEqual(
    Object.keys(moved.json as object).sort(),
    Object.keys(redirect?.response as object).sort(),
  );
  const there = recorded('rename-repository').find(
    ({ method, path: address }) => method === 'get' && address === '/repositories/1000',
  );
  assert.equal((await call(api, moved.headers.get('location') ?? '')).status, there?.status);

  api.write('acme/site:issues', [{ title: 'Sesame' }, { title: 'The sesame doors' }]);
  const search = recorded('search-issues').find(({ path: address }) => address.startsWith('/search/issues'));
  const found = await call(api, '/search/issues?q=sesame%20repo%3Aacme%2Fsite');
  assert.deepEqual(lacking(shape(search?.response), shape(found.json)), []);
  assert.equal((found.json as { total_count: number }).total_count, 2);
});

test('a validation error is worded as a recorded one', async (t) => {
  const api = await apiFor(t, 'github');
  const refused = recorded('errors').find(({ status }) => status === 422);
  const { status, json } = await call(api, '/repos/acme/website/issues?state=gone');
  const [wanted, ours] = [refused?.response, json] as { message: string; errors: object[] }[];
  assert.deepEqual(
    [status, ours?.message, Object.keys(ours?.errors[0] ?? {}).sort()],
    [422, wanted?.message, Object.keys(wanted?.errors[0] ?? {}).sort()],
  );
});

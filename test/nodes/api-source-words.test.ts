import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Check } from '../../nodes/shared/checks';
import sfdcOrg from '../../nodes/salesforce/sfdc-org';
import apiSource from '../../nodes/sync/api-source';
import type { Problem } from '../../nodes/sync/providers/rest/check';
import type { Tried } from '../../nodes/sync/providers/rest/lookups';
import type { ApiName } from '../apis/catalog';
import { SCOPED_TOKEN } from '../apis/jira/access';
import { CLOUD_ID } from '../apis/jira/jira';
import { apiFor } from '../apis/support';
import { answeringApi, type Reply } from '../sync/providers/rest/server';
import { stage } from './helper';

/** What a user reads in the form when something is wrong with what was typed, or with the API. */

const red = stage(sfdcOrg, apiSource);

type Answer<T> = { ok: true; data: T } | { ok: false; error: { code: string; message: string } };

async function ask<T>(action: string, config: object, token = '', params = {}): Promise<Answer<T>> {
  await red.load();
  const credentials = { token };
  return (await red.ask(`/jetforce/api-source/${action}`, {
    id: 'source',
    config,
    credentials,
    params,
  })) as Answer<T>;
}

/** Who is connected, and the test of each collection. */
async function tested(config: object, token: string): Promise<Check[]> {
  const answer = await ask<{ checks: Check[] }>('test', config, token);
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer.data.checks;
}

async function refused(action: string, config: object, token = '', params = {}): Promise<string> {
  const answer = await ask<unknown>(action, config, token, params);
  assert.ok(!answer.ok, JSON.stringify(answer));
  return `${answer.error.code}: ${answer.error.message}`;
}

const GADGETS = {
  label: 'Gadgets',
  auth: [{ kind: 'none' }],
  collections: {
    gadgets: { label: 'Gadgets', id: 'id', updated: 'changed', list: { get: '/gadgets', records: 'data' } },
  },
};
const custom = (baseUrl: string, declaration: object = GADGETS): object => ({
  provider: 'custom',
  baseUrl,
  collections: ['custom:gadgets'],
  definition: JSON.stringify(declaration, null, 2),
});

async function answering(t: TestContext, reply: Reply): Promise<string> {
  return (await answeringApi(t, () => reply)).baseUrl;
}

test('whoever is connected is named, and each collection that can be read', async (t) => {
  const api = await apiFor(t, 'github');
  const collections = ['github:acme/website:issues', 'github:acme:repositories'];
  const [who, ...parts] = await tested({ provider: 'github', baseUrl: api.baseUrl, collections }, api.token);
  assert.equal(who?.text, 'check_user');
  assert.equal(who.values['api'], 'GitHub');
  assert.deepEqual(
    parts.map(({ state, text }) => [state, text]),
    [
      ['good', 'check_empty'],
      ['good', 'check_read'],
    ],
  );
});

test('a collection that isn’t there: the nearest is named, and the others are still tested', async (t) => {
  const api = await apiFor(t, 'github');
  const collections = ['github:acme/website:isues', 'github:issues', 'github:acme/website:commits'];
  const [, ...parts] = await tested({ provider: 'github', baseUrl: api.baseUrl, collections }, api.token);
  assert.deepEqual(
    parts.map(({ state }) => state),
    ['bad', 'bad', 'good'],
  );
  assert.match(parts[0]?.error?.message ?? '', /GitHub has no collection "isues"; do you mean "issues"\?/);
  assert.match(
    parts[1]?.error?.message ?? '',
    /doesn't say of what; write for example "github:owner\/repo:issues"/,
  );
});

/** What to do about it. */
const ADVICE: Record<ApiName, RegExp> = {
  github: /Give the token the right/,
  hubspot: /Add the scope to the private app/,
  jira: /Give the token this scope/,
  stripe: /Give the restricted key this right/,
  zendesk: /Exports need an administrator/,
};
/** A collection that the token may read, one that it may not, and the right for that. */
const RIGHTS: [provider: ApiName, switches: object, may: string, mayNot: string, right: string][] = [
  [
    'github',
    { forbidden: ['acme/website:issues'] },
    'acme/website:releases',
    'acme/website:issues',
    'Issues: read',
  ],
  ['hubspot', { missingScopes: ['crm.objects.deals.read'] }, 'contacts', 'deals', 'crm.objects.deals.read'],
  ['jira', { scopes: ['read:jira-work'] }, 'projects', 'users', 'read:jira-user'],
  ['jira', { scopes: ['read:jira-user'] }, 'users', 'issues', 'read:jira-work'],
  ['stripe', { forbidden: ['products'] }, 'customers', 'products', 'Products: read, Events: read'],
  // Without events nothing tells the changes.
  ['stripe', { forbidden: ['events'] }, '', 'customers', 'Customers: read, Events: read'],
  ['zendesk', { role: 'agent' }, '', 'tickets', 'tickets:read, as an administrator'],
  // They can be listed, but not exported.
  ['zendesk', { role: 'agent' }, '', 'organizations', 'organizations:read, as an administrator'],
];

for (const [provider, switches, may, mayNot, right] of RIGHTS)
  test(`a token of ${provider} without a right: ${right}, of which collection`, async (t) => {
    const api = await apiFor(t, provider, { switches });
    const checks = await tested(
      {
        provider,
        baseUrl: api.baseUrl + (provider === 'jira' ? `/ex/jira/${CLOUD_ID}` : ''),
        user: api.user?.replace(/\/token$/, ''),
        collections: [may, mayNot].filter((name) => name !== '').map((name) => `${provider}:${name}`),
      },
      provider === 'jira' ? SCOPED_TOKEN : api.token,
    );
    if (may !== '') assert.equal(checks[1]?.state, 'good', JSON.stringify(checks[1]));
    const last = checks.at(-1);
    assert.deepEqual([last?.state, last?.text, last?.values['rights']], ['bad', 'check_noRight', right]);
    assert.match(last?.error?.message ?? '', ADVICE[provider]);
  });

test('a token that the API doesn’t take is an error of the login, and isn’t shown', async (t) => {
  const api = await apiFor(t, 'stripe');
  const config = { provider: 'stripe', baseUrl: api.baseUrl, collections: ['stripe:customers'] };
  const said = await refused('test', config, 'rk_wrong_and_secret');
  assert.match(said, /^API_LOGIN: Stripe answered \/v1\/account with 401/);
  assert.ok(!said.includes('rk_wrong_and_secret'), said);
  assert.match(
    await refused('test', config),
    /NO_CREDENTIALS: To log in to Stripe, enter its Restricted key/,
  );
});

test('without secrets each API lacks credentials, and says which, as its form calls them', async () => {
  const own = { baseUrl: 'https://example.test', user: 'me@example.test' };
  for (const [provider, label] of [
    ['hubspot', 'Access token'],
    ['stripe', 'Restricted key'],
    ['zendesk', 'API token'],
    ['jira', 'API token'],
    ['github', 'Access token'],
  ] as const) {
    const config = {
      ...own,
      provider,
      collections: [`${provider}:x`],
      ...(provider === 'github' && { user: '' }),
    };
    assert.match(
      await refused('test', config),
      new RegExp(`^NO_CREDENTIALS: To log in to .*, enter its ${label}$`),
    );
  }
});

test('a limit is the answer at once: nobody waits a minute before a form', async (t) => {
  const reply = { status: 429, headers: { 'retry-after': '600' }, body: { message: 'slow down' } };
  const baseUrl = await answering(t, reply);
  assert.match(
    await refused('test', custom(baseUrl)),
    /^API_LIMIT: Gadgets limits requests \(429\): slow down/,
  );
});

test('a wrong subdomain answers with a page, which is no JSON', async (t) => {
  const page = { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>No help desk</html>' };
  const baseUrl = await answering(t, page);
  const config = { provider: 'zendesk', baseUrl, user: 'a@b.c', collections: ['zendesk:tickets'] };
  const [, ...parts] = await tested(config, 'token');
  assert.equal(parts[0]?.state, 'bad');
  assert.match(parts[0]?.error?.message ?? '', /with 404: a web page in the place of JSON/);
});

test('an API that answers HTML as if all were well is said to', async (t) => {
  const page = { headers: { 'content-type': 'text/html' }, body: '<html>Please log in</html>' };
  const baseUrl = await answering(t, page);
  assert.match(await refused('test', custom(baseUrl)), /\/gadgets .*200: a web page in the place of JSON/);
});

test('a host that isn’t there is said to be', async () => {
  assert.match(
    await refused('test', custom('https://gadgets.invalid')),
    /The host gadgets\.invalid is unknown; check the base URL/,
  );
});

test('paths that lead nowhere: of the records, of the id, of a time', async (t) => {
  const baseUrl = await answering(t, { body: { data: [{ id: 1, updated: '2026-01-02T03:04:05Z' }] } });
  const page = { collection: 'custom:gadgets' };
  const elsewhere = (change: object): object =>
    custom(baseUrl, {
      ...GADGETS,
      collections: { gadgets: { ...GADGETS.collections.gadgets, ...change } },
    });
  const list = { get: '/gadgets', records: 'items' };
  assert.match(await refused('try', elsewhere({ list }), '', page), /no list at "items", but data/);
  assert.match(
    await refused('try', elsewhere({ id: 'key' }), '', page),
    /no id at "key", but only id, updated/,
  );
  const tried = await ask<Tried>('try', custom(baseUrl), '', page);
  assert.ok(tried.ok);
  assert.deepEqual([tried.data.records, tried.data.first?.id], [1, '1']);
  assert.deepEqual(tried.data.warnings, ['No record of this page has a time at "changed" (updated).']);
  const [, ...parts] = await tested(custom(baseUrl), '');
  assert.equal(parts[0]?.state, 'fair');
  assert.equal(parts[0].values['times'], '"changed" (updated)');
  const right = await ask<Tried>('try', elsewhere({ updated: 'updated' }), '', page);
  assert.ok(right.ok);
  assert.deepEqual(right.data.warnings, []);
  assert.match(right.data.first?.updatedAt ?? '', /^2026-01-02T03:04:05/);
  assert.equal(right.data.request, `GET ${baseUrl}/gadgets`);
});

for (const [what, text, path, message] of [
  ['no JSON', '{\n  "label": x\n}', '', /no JSON/],
  ['no JSON at its end', '{\n  "label": "x",\n', '', /no JSON/],
  ['a name mistyped', textOf({ idd: 'id' }), 'collections.gadgets', /“idd” isn't known/],
  ['a collection of none', textOf({ of: 'gadget' }), 'collections.gadgets.of', /do you mean “gadgets”/],
  [
    'ids, and no way to read them',
    textOf({ changes: { by: 'since', hydrate: true } }),
    'collections.gadgets.changes',
    /“read”/,
  ],
  [
    'a word that isn’t known',
    textOf({ changes: { by: 'since' }, list: { get: '/x', records: '', paging: { by: 'pages' } } }),
    'collections.gadgets.list.paging.by',
    /has to be one of: .*cursor/,
  ],
  ['another kind of changes', textOf({ changes: { by: 'magic' } }), 'collections.gadgets.changes', /“by”/],
  ['no id', textOf({ id: undefined }), 'collections.gadgets', /“id” is missing/],
  ['a number for a text', textOf({ id: 7 }), 'collections.gadgets.id', /of the type string/],
  ['a list without a path', textOf({ list: { records: '' } }), 'collections.gadgets.list', /needs a path/],
] as const)
  test(`a declaration with ${what}: line and path`, async () => {
    const answer = await ask<Problem | null>('check', { provider: 'custom', definition: text });
    assert.ok(answer.ok);
    const problem = answer.data ?? assert.fail('nothing is wrong with it');
    assert.equal(problem.path, path);
    assert.match(problem.message, message);
    assert.equal(
      text.split('\n')[problem.line - 1]?.includes(path.split('.').at(-1) ?? ''),
      true,
      `${problem.line} of\n${text}`,
    );
  });

function textOf(change: object): string {
  const gadgets = { ...GADGETS.collections.gadgets, ...change };
  return JSON.stringify({ ...GADGETS, collections: { gadgets } }, null, 2);
}

test('collections to choose: of each repository there is, and of the one being typed', async (t) => {
  const api = await apiFor(t, 'github');
  const config = { provider: 'github', baseUrl: api.baseUrl, collections: [] };
  const answer = await ask<{ value: string }[]>('collections', config, api.token, { typed: 'me/mine' });
  assert.ok(answer.ok);
  const values = answer.data.map(({ value }) => value);
  for (const value of ['github:acme/website:issues', 'github:me/mine:commits', 'github:acme:repositories'])
    assert.ok(values.includes(value), `${value} of ${values.join(', ')}`);
  assert.equal(new Set(values).size, values.length);
  const without = await ask<{ value: string }[]>('collections', config);
  assert.ok(without.ok && without.data.some(({ value }) => value === 'github:owner/repo:issues'));
});

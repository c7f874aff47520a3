/** What a poll that finds nothing new costs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiOptions } from '../../../apis/api';
import type { ApiName } from '../../../apis/catalog';
import type { Row } from '../../../apis/frame/simulation';
import { changes } from '../../providers/rest/drain';
import { longAgo, many, reading, settled } from './reading';

const POLLS = 10;
const rows = (make: (i: number) => Row) => many(5, make);
const named = rows((i) => ({ name: `number ${i}` }));
const titled = rows((i) => ({ title: `number ${i}` }));

const KINDS: [provider: ApiName, collection: string, rows: Row[]][] = [
  ['github', 'acme:repositories', []],
  ['github', 'acme/api:issues', titled],
  ['github', 'acme/api:pull_requests', titled],
  ['github', 'acme/api:commits', rows((i) => ({ message: `number ${i}` }))],
  ['github', 'acme/api:releases', rows((i) => ({ tag_name: `v${i}` }))],
  ['hubspot', 'contacts', rows((i) => ({ properties: { lastname: `number ${i}` } }))],
  ['hubspot', 'companies', rows((i) => ({ properties: { name: `number ${i}` } }))],
  ['jira', 'issues', rows((i) => ({ summary: `number ${i}` }))],
  ['jira', 'projects', []],
  ['jira', 'users', rows((i) => ({ displayName: `number ${i}` }))],
  ['stripe', 'customers', rows((i) => ({ email: `p${i}@ex.test` }))],
  ['stripe', 'products', named],
  ['zendesk', 'tickets', rows((i) => ({ subject: `number ${i}` }))],
  ['zendesk', 'users', named],
  ['zendesk', 'organizations', named],
];
const free = { max: 10_000 };
const LIMITS: Partial<Record<ApiName, ApiOptions['limits']>> = {
  hubspot: { tenSecondly: free, secondly: free },
  zendesk: { general: free, incremental: free, usersCursor: free },
};
/** Of what was deleted there is a list of its own: a call more at every so many polls. */
const BINS: Partial<Record<ApiName, number>> = { hubspot: 5 };
/** Its pages come short, so that only an empty one is the last. */
const SHORT = ['jira:users'];

for (const [provider, collection, there] of KINDS) {
  const name = `${provider}:${collection}`;
  const each = SHORT.includes(name) ? 2 : 1;
  const free = provider === 'github';
  test(`${name}: a quiet poll costs ${each === 1 ? 'one call' : 'two calls'}${free ? ', which is free (304)' : ''}`, async (t) => {
    const read = await reading(t, provider, collection, { limits: LIMITS[provider] });
    const { api } = read;
    if (there.length > 0) api.write(collection, there, longAgo());
    let { position } = await changes(read.collection, await settled(read.collection));
    api.clearRequests();
    for (let poll = 0; poll < POLLS; poll++) ({ position } = await changes(read.collection, position));
    const calls = api.requests().map(({ method, path, status }) => `${method} ${path} ${status}`);
    const bins = POLLS / (BINS[provider] ?? Infinity);
    assert.equal(calls.length, POLLS * each + bins, calls.join('\n'));
    if (free) assert.ok(calls.every((call) => call.endsWith(' 304')));
  });
}

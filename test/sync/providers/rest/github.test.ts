import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { collectionChoices } from '../../../../nodes/sync/providers/rest/lookups';
import { findCollection } from '../../../../nodes/sync/providers/rest/provider';
import { until } from '../../../support/until';
import { apiRig } from './rig';

test('issues are synced: history, changes, and no pull requests', async (t) => {
  const r = await apiRig(t, 'github', 'acme/api:issues');
  r.api.write(
    'acme/api:issues',
    Array.from({ length: 250 }, (_, i) => ({ title: `issue ${i}` })),
  );
  r.api.write('acme/api:pull_requests', [{ title: 'a pull request' }]);
  const { live } = r.start();
  await live();
  await r.equal();
  const [first] = r.api.records('acme/api:issues');
  r.api.write('acme/api:issues', [{ id: first?.id, title: 'changed' }, { title: 'new' }]);
  await r.equal();
});

test('a quiet poll costs one call, which is free (304)', async (t) => {
  const r = await apiRig(t, 'github', 'acme/api:issues');
  r.api.write(
    'acme/api:issues',
    Array.from({ length: 20 }, (_, i) => ({ title: `issue ${i}` })),
  );
  const { live } = r.start();
  await live();
  await r.equal();
  await until(() => r.api.requests().at(-1)?.status === 304, { what: 'a 304' });
  r.api.clearRequests();
  await until(() => r.calls() >= 5, { what: 'five polls' });
  assert.deepEqual([...new Set(r.api.requests().map(({ status }) => status))], [304]);
});

test('pull requests, newest first, of all repositories of an owner, each by itself', async (t) => {
  const r = await apiRig(t, 'github', 'acme/api:pull_requests');
  r.api.write(
    'acme/api:pull_requests',
    Array.from({ length: 230 }, (_, i) => ({ title: `pull ${i}` })),
  );
  const { live } = r.start();
  await live();
  await r.equal();
  const rows = r.api.records('acme/api:pull_requests');
  r.api.write(
    'acme/api:pull_requests',
    rows.slice(0, 150).map(({ id }) => ({ id, title: 'changed' })),
  );
  await r.equal();
});

for (const part of ['commits', 'releases'])
  test(`${part} of a repository, of an empty one, too`, async (t) => {
    const r = await apiRig(t, 'github', `acme/api:${part}`);
    const { live } = r.start();
    await live();
    r.api.write(`acme/api:${part}`, [row(part, 1), row(part, 2)]);
    await r.equal();
    r.api.write(
      `acme/api:${part}`,
      Array.from({ length: 120 }, (_, i) => row(part, i + 3)),
    );
    await r.equal();
  });

function row(part: string, i: number): Record<string, unknown> {
  return part === 'commits' ? { message: `commit ${i}` } : { tag_name: `v${i}` };
}

test('repositories of an owner; what is deleted is found by comparing', async (t) => {
  const r = await apiRig(t, 'github', 'acme:repositories');
  const { live } = r.start({}, { reconcile: 500 });
  await live();
  await r.equal();
  r.api.write('acme:repositories', [{ name: 'fresh' }]);
  await r.equal();
  const fresh = r.api.records('acme:repositories').find(({ name }) => name === 'fresh');
  r.api.remove('acme:repositories', [String(fresh?.id)]);
  await r.equal();
});

test('issues that are deleted are found by comparing all ids', async (t) => {
  const r = await apiRig(t, 'github', 'acme/api:issues');
  r.api.write(
    'acme/api:issues',
    Array.from({ length: 30 }, (_, i) => ({ title: `issue ${i}` })),
  );
  const { live } = r.start({}, { reconcile: 300 });
  await live();
  const ids = r.api.records('acme/api:issues').map(({ id }) => String(id));
  r.api.remove('acme/api:issues', ids.slice(0, 3));
  await r.equal();
});

test('repositories belong to an owner: of one repository there is no list', async () => {
  const declaration = declarationOf('github') as Declaration;
  assert.throws(() => findCollection(declaration, 'github:acme/api:repositories'), {
    code: 'NO_SUCH_OBJECT',
    message: /write for example "github:acme:repositories"/,
  });
  assert.throws(() => findCollection(declaration, 'github:repositories'), {
    message: /write for example "github:owner:repositories"/,
  });
  const closed = (): never => assert.fail('nothing is asked');
  const choices = await collectionChoices(declaration, closed, '', new AbortController().signal);
  const offered = choices.map(({ value }) => value);
  assert.ok(offered.includes('github:owner:repositories') && offered.includes('github:owner/repo:issues'));
  for (const value of offered) findCollection(declaration, value);
});

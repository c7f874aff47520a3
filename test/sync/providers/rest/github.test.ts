import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';
import { collectionChoices } from '../../../../nodes/sync/providers/rest/lookups';
import { findCollection } from '../../../../nodes/sync/providers/rest/provider';
import { until } from '../../../support/until';
import { apiRig, type ApiRig, type Started } from './rig';

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

describe('a repository that is refused among others', () => {
  const refusal = (repository: string) => ({
    match: { path: `/repos/acme/${repository}/` },
    action: { status: 403, body: { message: 'Repository access blocked' } },
  });
  const refused = ({ lines, progress }: Started) =>
    until(() => [...lines, progress().error?.message].join(' ').includes('access blocked'), {
      what: 'the reason',
    });
  const titles = async (r: ApiRig) =>
    [...(await r.table()).values()]
      .map(({ data }) => data as { title?: string; commit?: { message: string } })
      .map(({ title, commit }) => String(title ?? commit?.message))
      .sort();
  const holds = (r: ApiRig, ...wanted: string[]) =>
    until(async () => isDeepStrictEqual(await titles(r), wanted.sort()), { what: wanted.join(', ') });

  test('stops no changes of the others, and its own come when it is no more', async (t) => {
    const r = await apiRig(t, 'github', 'acme:issues');
    r.api.write('acme/website:issues', [{ title: 'open' }]);
    r.api.write('acme/api:issues', [{ title: 'locked' }]);
    const started = r.start();
    await started.live();
    await holds(r, 'open', 'locked');
    r.api.faults.add(refusal('api'));
    r.api.write('acme/api:issues', [{ title: 'locked, later' }]);
    await refused(started);
    r.api.write('acme/website:issues', [{ title: 'open, later' }]);
    await holds(r, 'open', 'locked', 'open, later');
    assert.equal(started.progress().phase, 'live');
    r.api.faults.clear();
    await holds(r, 'open', 'locked', 'open, later', 'locked, later');
    await until(() => started.progress().error === undefined, { what: 'no reason any more' });
  });

  test('that is new is read whole when it is no more', async (t) => {
    const r = await apiRig(t, 'github', 'acme:issues');
    r.api.write('acme/website:issues', [{ title: 'open' }]);
    const started = r.start();
    await started.live();
    r.api.faults.add(refusal('fresh'));
    r.api.write('acme:repositories', [{ name: 'fresh' }]);
    const some = Array.from({ length: 130 }, (_, i) => `locked ${i}`);
    r.api.write(
      'acme/fresh:issues',
      some.map((title) => ({ title })),
    );
    await refused(started);
    r.api.write('acme/website:issues', [{ title: 'open, later' }]);
    await holds(r, 'open', 'open, later');
    r.api.faults.clear();
    await holds(r, 'open', 'open, later', ...some);
  });

  test('puts the comparison off, and nothing of it is taken for deleted', async (t) => {
    const r = await apiRig(t, 'github', 'acme:issues');
    r.api.write('acme/website:issues', [{ title: 'open' }]);
    r.api.write('acme/api:issues', [{ title: 'locked' }, { title: 'locked, to be deleted' }]);
    const started = r.start({}, { reconcile: 500 });
    await started.live();
    r.api.faults.add(refusal('api'));
    const locked = r.api.records('acme/api:issues').find(({ title }) => String(title).includes('deleted'));
    r.api.remove('acme/api:issues', [String(locked?.id)]);
    await until(() => started.lines.some((line) => /can't be found.*access blocked/.test(line)), {
      what: 'the reason',
    });
    r.api.write('acme/website:issues', [{ title: 'open, later' }]);
    await holds(r, 'open', 'open, later', 'locked', 'locked, to be deleted');
    r.api.faults.clear();
    await until(async () => [...(await r.table()).values()].filter(({ deleted }) => deleted).length === 1, {
      what: 'the deletion',
    });
  });

  for (const kind of ['issues', 'commits'])
    test(`keeps no changes waiting in a first history of ${kind}, and is read whole when it is no more`, async (t) => {
      const r = await apiRig(t, 'github', `acme:${kind}`);
      const write = (repository: string, ...some: string[]) =>
        r.api.write(
          `acme/${repository}:${kind}`,
          some.map((title) => (kind === 'commits' ? { message: title } : { title })),
        );
      r.api.faults.add(refusal('api'));
      write('website', 'open');
      write('api', 'locked', 'locked, too');
      const first = r.start();
      await first.live();
      await refused(first);
      await holds(r, 'open');
      write('website', 'open, later');
      write('api', 'locked, later');
      await holds(r, 'open', 'open, later');
      await first.stop();
      const second = r.start();
      await refused(second);
      await holds(r, 'open', 'open, later');
      r.api.faults.clear();
      await holds(r, 'open', 'open, later', 'locked', 'locked, too', 'locked, later');
      await until(() => second.progress().error === undefined, { what: 'no reason any more' });
    });
});

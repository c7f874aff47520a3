/** Lists of repositories, and of commits, branches and releases in one. */
import { type Reply } from '../../support/simulated/exchange';
import { Refusal, type Row } from '../frame/simulation';
import { errorReply, notFound } from './errors';
import { oneOf, timeOf } from './issues';
import { backwards, numbered } from './paging';
import { commit, release, repository, type Manner } from './render';
import { type Commit, type Repository } from './store';
import { type Switches } from './switches';

/** Repositories in the order that is asked for; `usual` where none is. */
export function listRepositories(
  repos: readonly Repository[],
  query: URLSearchParams,
  address: string,
  manner: Manner,
  usual: 'created' | 'full_name',
  wrap?: (rows: Row[]) => unknown,
): Reply {
  const type = oneOf(
    query,
    'Repository',
    'type',
    ['all', 'public', 'private', 'forks', 'sources', 'member', 'owner'],
    'all',
  );
  const sort = oneOf(query, 'Repository', 'sort', ['created', 'updated', 'pushed', 'full_name'], usual);
  const direction = oneOf(
    query,
    'Repository',
    'direction',
    ['asc', 'desc'],
    sort === 'full_name' ? 'asc' : 'desc',
  );
  const sign = direction === 'asc' ? 1 : -1;
  const found = repos.filter(
    ({ fields }) =>
      type !== 'forks' &&
      (type === 'private' ? fields.private === true : type !== 'public' || fields.private !== true),
  );
  found.sort(
    (a, b) =>
      sign *
      (sort === 'full_name'
        ? a.fullName < b.fullName
          ? -1
          : a.fullName > b.fullName
            ? 1
            : 0
        : a[sort] - b[sort] || a.id - b.id),
  );
  return numbered(found, query, address, (repo) => repository(repo, manner), wrap);
}

/** GET /repos/{owner}/{repo}/commits: newest first, from the head of a branch or from a commit on. */
export function listCommits(repo: Repository, query: URLSearchParams, manner: Manner): Reply {
  if (repo.commits.size === 0) throw new Refusal(errorReply(409, 'Git Repository is empty.'));
  const since = timeOf(query, 'Commit', 'since') ?? -Infinity;
  const until = timeOf(query, 'Commit', 'until') ?? Infinity;
  const from = upTo(repo, query.get('sha') ?? repo.defaultBranch);
  const isAll = since === -Infinity && until === Infinity;
  const found = isAll ? from : from.filter(({ committed }) => committed >= since && committed <= until);
  return numbered(backwards(found), query, `${manner.url}/repositories/${repo.id}/commits`, (one) =>
    commit(repo, one, manner),
  );
}

/** A branch, or what leads to a commit; oldest first. */
function upTo(repo: Repository, ref: string): readonly Commit[] {
  const branch = repo.branches.get(ref);
  if (branch) return branch;
  const chain: Commit[] = [];
  for (let at = repo.commits.get(ref); at; at = repo.commits.get(at.parents[0] ?? '')) chain.push(at);
  if (chain.length === 0) throw new Refusal(errorReply(404, `No commit found for SHA: ${ref}`));
  return chain.reverse();
}

export function readCommit(repo: Repository, ref: string, manner: Manner): Reply {
  const found = repo.branches.get(ref)?.at(-1) ?? repo.commits.get(ref);
  if (!found) throw new Refusal(errorReply(422, `No commit found for SHA: ${ref}`));
  return {
    status: 200,
    body: { ...commit(repo, found, manner), stats: { total: 0, additions: 0, deletions: 0 }, files: [] },
  };
}

export function listBranches(repo: Repository, query: URLSearchParams, manner: Manner): Reply {
  const branches = [...repo.branches]
    .filter(([, commits]) => commits.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return numbered(branches, query, `${manner.url}/repositories/${repo.id}/branches`, ([name, commits]) => {
    const sha = commits.at(-1)?.sha ?? '';
    return {
      name,
      commit: { sha, url: `${manner.url}/repos/${repo.fullName}/commits/${sha}` },
      protected: false,
    };
  });
}

/** GET /repos/{owner}/{repo}/releases: newest first, drafts for those who may push. */
export function listReleases(
  repo: Repository,
  query: URLSearchParams,
  manner: Manner,
  { push }: Switches,
): Reply {
  const found = repo.releases.filter(({ fields }) => push || fields.draft !== true).reverse();
  return numbered(found.slice(0, 10_000), query, `${manner.url}/repositories/${repo.id}/releases`, (one) =>
    release(repo, one, manner),
  );
}

export function readRelease(repo: Repository, id: string, manner: Manner): Reply {
  const found = repo.releases.find((one) => String(one.id) === id);
  if (!found) throw notFound();
  return { status: 200, body: release(repo, found, manner) };
}

/** Records as GitHub shows them. */
import { isoSeconds } from '../frame/clock';
import { type Row } from '../frame/simulation';
import { type Commit, type Issue, type Release, type Repository } from './store';

/** From this version of the API on, what was long deprecated is left out. */
const NEWEST = '2026-03-10';

export interface Manner {
  /** Of the API, for links. */
  url: string;
  version: string;
}

const nodeId = (kind: string, id: number | string): string =>
  `${kind}_${Buffer.from(String(id)).toString('base64url')}`;

const when = (ms: unknown): string | null => (typeof ms === 'number' ? isoSeconds(ms) : null);

const users = new Map<string, Row>();

/** Made once: a page shows the same few hundreds of times. */
export function user(login: string, { url }: Manner, type = 'User'): Row {
  const key = `${url} ${login} ${type}`;
  let row = users.get(key);
  if (!row) users.set(key, (row = makeUser(login, url, type)));
  return row;
}

function makeUser(login: string, url: string, type: string): Row {
  const at = `${url}/users/${login}`;
  const id = 1 + [...login].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 100_000_007, 7);
  return {
    login,
    id,
    node_id: nodeId('U', id),
    avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    gravatar_id: '',
    url: at,
    html_url: `https://github.com/${login}`,
    followers_url: `${at}/followers`,
    following_url: `${at}/following{/other_user}`,
    gists_url: `${at}/gists{/gist_id}`,
    starred_url: `${at}/starred{/owner}{/repo}`,
    subscriptions_url: `${at}/subscriptions`,
    organizations_url: `${at}/orgs`,
    repos_url: `${at}/repos`,
    events_url: `${at}/events{/privacy}`,
    received_events_url: `${at}/received_events`,
    type,
    user_view_type: 'public',
    site_admin: false,
  };
}

/** What follows the address of a repository in its many links. */
const REPOSITORY_LINKS: Record<string, string> = {
  archive: '/{archive_format}{/ref}',
  assignees: '/assignees{/user}',
  blobs: '/git/blobs{/sha}',
  branches: '/branches{/branch}',
  collaborators: '/collaborators{/collaborator}',
  comments: '/comments{/number}',
  commits: '/commits{/sha}',
  compare: '/compare/{base}...{head}',
  contents: '/contents/{+path}',
  contributors: '/contributors',
  deployments: '/deployments',
  downloads: '/downloads',
  events: '/events',
  forks: '/forks',
  git_commits: '/git/commits{/sha}',
  git_refs: '/git/refs{/sha}',
  git_tags: '/git/tags{/sha}',
  hooks: '/hooks',
  issue_comment: '/issues/comments{/number}',
  issue_events: '/issues/events{/number}',
  issues: '/issues{/number}',
  keys: '/keys{/key_id}',
  labels: '/labels{/name}',
  languages: '/languages',
  merges: '/merges',
  milestones: '/milestones{/number}',
  notifications: '/notifications{?since,all,participating}',
  pulls: '/pulls{/number}',
  releases: '/releases{/id}',
  stargazers: '/stargazers',
  statuses: '/statuses/{sha}',
  subscribers: '/subscribers',
  subscription: '/subscription',
  tags: '/tags',
  teams: '/teams',
  trees: '/git/trees{/sha}',
};

export function repository(repo: Repository, manner: Manner, full = false): Row {
  const at = `${manner.url}/repos/${repo.fullName}`;
  const html = `https://github.com/${repo.fullName}`;
  const links = Object.entries(REPOSITORY_LINKS).map(([name, path]) => [`${name}_url`, at + path]);
  const owner = user(repo.owner, manner, 'Organization');
  const { open } = repo.issues;
  const isPrivate = repo.fields.private === true;
  return {
    id: repo.id,
    node_id: nodeId('R', repo.id),
    name: repo.name,
    full_name: repo.fullName,
    private: isPrivate,
    owner,
    html_url: html,
    description: null,
    fork: false,
    url: at,
    ...(Object.fromEntries(links) as Row),
    created_at: isoSeconds(repo.created),
    updated_at: isoSeconds(repo.updated),
    pushed_at: isoSeconds(repo.pushed),
    git_url: `git://github.com/${repo.fullName}.git`,
    ssh_url: `git@github.com:${repo.fullName}.git`,
    clone_url: `${html}.git`,
    svn_url: html,
    homepage: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: false,
    disabled: false,
    open_issues_count: open,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: isPrivate ? 'private' : 'public',
    forks: 0,
    open_issues: open,
    watchers: 0,
    default_branch: repo.defaultBranch,
    permissions: { admin: false, maintain: false, push: true, triage: true, pull: true },
    ...repo.fields,
    ...(full && { network_count: 0, subscribers_count: 0, organization: owner }),
  };
}

export function issue(repo: Repository, record: Issue, manner: Manner): Row {
  const repositoryUrl = `${manner.url}/repos/${repo.fullName}`;
  const at = `${repositoryUrl}/issues/${record.number}`;
  const html = `https://github.com/${repo.fullName}/${record.isPull ? 'pull' : 'issues'}/${record.number}`;
  const pull = `${repositoryUrl}/pulls/${record.number}`;
  const { closed_at, merged_at, head: _h, base: _b, draft, ...fields } = record.fields;
  return {
    url: at,
    repository_url: repositoryUrl,
    labels_url: `${at}/labels{/name}`,
    comments_url: `${at}/comments`,
    events_url: `${at}/events`,
    html_url: html,
    id: record.id,
    node_id: nodeId(record.isPull ? 'PR' : 'I', record.id),
    number: record.number,
    title: '',
    user: user('somebody', manner),
    labels: [],
    state: 'open',
    locked: false,
    ...(manner.version < NEWEST && { assignee: null }),
    assignees: [],
    milestone: null,
    comments: 0,
    created_at: isoSeconds(record.created),
    updated_at: isoSeconds(record.updated),
    closed_at: when(closed_at),
    author_association: 'NONE',
    active_lock_reason: null,
    ...(record.isPull && {
      draft: draft ?? false,
      pull_request: {
        url: pull,
        html_url: html,
        diff_url: `${html}.diff`,
        patch_url: `${html}.patch`,
        merged_at: when(merged_at),
      },
    }),
    body: null,
    closed_by: null,
    reactions: {
      url: `${at}/reactions`,
      total_count: 0,
      '+1': 0,
      '-1': 0,
      laugh: 0,
      hooray: 0,
      confused: 0,
      heart: 0,
      rocket: 0,
      eyes: 0,
    },
    timeline_url: `${at}/timeline`,
    performed_via_github_app: null,
    state_reason: null,
    ...fields,
  };
}

export function pull(repo: Repository, record: Issue, manner: Manner): Row {
  const at = `${manner.url}/repos/${repo.fullName}`;
  const own = `${at}/pulls/${record.number}`;
  const {
    closed_at,
    merged_at,
    head = 'feature',
    base = repo.defaultBranch,
    draft,
    ...fields
  } = record.fields;
  const shown = issue(repo, record, manner);
  const side = (ref: unknown): Row => ({
    label: `${repo.owner}:${String(ref as string)}`,
    ref,
    sha: '0'.repeat(40),
    user: user(repo.owner, manner, 'Organization'),
    repo: repository(repo, manner),
  });
  const link = (href: string): Row => ({ href });
  return {
    url: own,
    id: record.id,
    node_id: nodeId('PR', record.id),
    html_url: shown.html_url,
    diff_url: `${String(shown.html_url as string)}.diff`,
    patch_url: `${String(shown.html_url as string)}.patch`,
    issue_url: shown.url,
    number: record.number,
    state: 'open',
    locked: false,
    title: '',
    user: shown.user,
    body: null,
    created_at: isoSeconds(record.created),
    updated_at: isoSeconds(record.updated),
    closed_at: when(closed_at),
    merged_at: when(merged_at),
    merge_commit_sha: null,
    ...(manner.version < NEWEST && { assignee: null }),
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: [],
    milestone: null,
    draft: draft ?? false,
    commits_url: `${own}/commits`,
    review_comments_url: `${own}/comments`,
    review_comment_url: `${at}/pulls/comments{/number}`,
    comments_url: `${at}/issues/${record.number}/comments`,
    statuses_url: `${at}/statuses/${'0'.repeat(40)}`,
    head: side(head),
    base: side(base),
    _links: {
      self: link(own),
      html: link(String(shown.html_url as string)),
      issue: link(`${at}/issues/${record.number}`),
      comments: link(`${at}/issues/${record.number}/comments`),
      review_comments: link(`${own}/comments`),
      review_comment: link(`${at}/pulls/comments{/number}`),
      commits: link(`${own}/commits`),
      statuses: link(`${at}/statuses/${'0'.repeat(40)}`),
    },
    author_association: 'NONE',
    auto_merge: null,
    active_lock_reason: null,
    ...fields,
  };
}

export function commit(repo: Repository, record: Commit, manner: Manner): Row {
  const at = `${manner.url}/repos/${repo.fullName}`;
  const { message = '', authored = record.committed } = record.fields;
  const person = (ms: unknown): Row => ({ name: 'Somebody', email: 'somebody@example.test', date: when(ms) });
  const tree = record.sha.replace(/^./, '0');
  return {
    sha: record.sha,
    node_id: nodeId('C', record.sha),
    commit: {
      author: person(authored),
      committer: person(record.committed),
      message,
      tree: { sha: tree, url: `${at}/git/trees/${tree}` },
      url: `${at}/git/commits/${record.sha}`,
      comment_count: 0,
      verification: {
        verified: false,
        reason: 'unsigned',
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
    url: `${at}/commits/${record.sha}`,
    html_url: `https://github.com/${repo.fullName}/commit/${record.sha}`,
    comments_url: `${at}/commits/${record.sha}/comments`,
    author: user('somebody', manner),
    committer: user('somebody', manner),
    parents: record.parents.map((sha) => ({
      sha,
      url: `${at}/commits/${sha}`,
      html_url: `https://github.com/${repo.fullName}/commit/${sha}`,
    })),
  };
}

export function release(repo: Repository, record: Release, manner: Manner): Row {
  const at = `${manner.url}/repos/${repo.fullName}`;
  const html = `https://github.com/${repo.fullName}/releases`;
  const { tag_name = `v${record.id}`, draft = false, updated, ...fields } = record.fields;
  return {
    url: `${at}/releases/${record.id}`,
    assets_url: `${at}/releases/${record.id}/assets`,
    upload_url: `${at}/releases/${record.id}/assets{?name,label}`,
    html_url: `${html}/tag/${String(tag_name as string)}`,
    id: record.id,
    author: user('somebody', manner),
    node_id: nodeId('RE', record.id),
    tag_name,
    target_commitish: repo.defaultBranch,
    name: null,
    draft,
    immutable: false,
    prerelease: false,
    created_at: isoSeconds(record.created),
    updated_at: when(updated),
    published_at: draft === true ? null : isoSeconds(record.created),
    assets: [],
    tarball_url: `${at}/tarball/${String(tag_name as string)}`,
    zipball_url: `${at}/zipball/${String(tag_name as string)}`,
    body: null,
    ...fields,
  };
}

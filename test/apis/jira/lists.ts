/** Lists by `startAt`: projects in pages, users in bare arrays. */
import { type Reply } from '../../support/simulated/exchange';
import { Refusal, type Row } from '../frame/simulation';
import { errorReply, invalid } from './errors';

import { project, user, type Manner } from './render';
import { type Project, type Site } from './store';
import { type Switches } from './switches';

const ORDERS: Partial<Record<string, (project: Project) => string>> = {
  key: ({ key }) => key,
  name: ({ name }) => name,
};
const STATES = ['live', 'archived', 'deleted'] as const;

export interface Reading {
  site: Site;
  switches: Switches;
  manner: Manner;
  query: URLSearchParams;
}

/** GET /project/search */
export function searchProjects({ site, switches, manner, query }: Reading): Reply {
  const startAt = whole(query, 'startAt', 0);
  const maxResults = size(query, switches.projectPage, switches);
  const states = query.has('status') ? query.getAll('status').flatMap((part) => part.split(',')) : ['live'];
  const unknown = states.find((state) => !STATES.some((known) => known === state));
  if (unknown !== undefined) throw invalid(`The status '${unknown}' is not valid.`);
  const [, sign, name = ''] = /^([+-]?)(\w+)$/.exec(query.get('orderBy')?.trim() ?? 'key') ?? [];
  const key = ORDERS[name];
  if (!key) throw invalid(`The orderBy value '${query.get('orderBy')}' is not valid.`);
  const words = query.get('query')?.toLowerCase() ?? '';
  const visible = [...site.projects.values()]
    .filter((one) => states.includes(one.state) && !switches.hiddenProjects.includes(one.key))
    .filter((one) => `${one.key} ${one.name}`.toLowerCase().includes(words))
    .sort((a, b) => (key(a) < key(b) ? -1 : 1) * (sign === '-' ? -1 : 1));
  const values = visible.slice(startAt, startAt + maxResults);
  const isLast = startAt + maxResults >= visible.length;
  const to = (at: number): string => {
    const params = new URLSearchParams(query);
    params.set('startAt', String(at));
    params.set('maxResults', String(maxResults));
    return `${manner.base}/rest/api/3/project/search?${params}`;
  };
  return {
    status: 200,
    body: {
      self: to(startAt),
      ...(!isLast && { nextPage: to(startAt + maxResults) }),
      maxResults,
      startAt,
      total: visible.length,
      isLast,
      values: values.map((one) => project(one, manner)),
    },
  };
}

/** GET /users/search: with those that are inactive, and those of apps. */
export function searchUsers({ site, switches, manner, query }: Reading): Reply {
  if (!switches.browseUsers)
    throw new Refusal(errorReply(403, 'You do not have permission to browse users.'));
  const startAt = whole(query, 'startAt', 0);
  const maxResults = size(query, 1_000, switches);
  const there = switches.shortUserPages ? site.users : site.users.filter(({ deleted }) => !deleted);
  const page: Row[] = there
    .slice(startAt, startAt + maxResults)
    .filter(({ deleted }) => !deleted)
    .map((one) => user(one, manner));
  return { status: 200, body: page };
}

function size(query: URLSearchParams, most: number, { overLimit }: Switches): number {
  const asked = whole(query, 'maxResults', 50);
  if (asked < 1) throw invalid('maxResults must be greater than 0.');
  if (asked > most && overLimit === 'refuse') throw invalid(`maxResults must be at most ${most}.`);
  return Math.min(asked, most);
}

function whole(query: URLSearchParams, name: string, usual: number): number {
  const text = query.get(name);
  if (text === null) return usual;
  if (!/^\d+$/.test(text)) throw invalid(`${name} is not a number: '${text}'`);
  return Number(text);
}

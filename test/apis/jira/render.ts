/** Issues, projects and users as Jira shows them. */
import { type Row } from '../frame/simulation';
import { type Issue, type Project, type Site, type User } from './store';
import { zoned } from './zone';

export interface Manner {
  /** Of the site, or of it behind the gateway, without a slash at its end. */
  base: string;
  timeZone: string;
}

const EXPAND = 'renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations';

/** Only the id, where no other field is asked for. */
export function issue(site: Site, record: Issue, asked: readonly string[], manner: Manner): Row {
  if (isIdOnly(asked) && !asked.includes('key')) return { id: String(record.id) };
  const head = {
    expand: EXPAND,
    id: String(record.id),
    self: `${manner.base}/rest/api/3/issue/${record.id}`,
    key: site.keyOf(record),
  };
  return isIdOnly(asked) ? head : { ...head, fields: chosen(fieldsOf(site, record, manner), asked) };
}

/** Such pages may be long. */
export function isIdOnly(asked: readonly string[]): boolean {
  return asked.every((name) => name === 'id' || name === 'key' || name === 'issuekey');
}

function fieldsOf(
  site: Site,
  { fields, project: id, createdAt, updatedAt, archivedAt }: Issue,
  manner: Manner,
): Row {
  const home = site.projects.get(id);
  return {
    summary: null,
    description: null,
    priority: null,
    assignee: null,
    reporter: null,
    labels: [],
    resolution: null,
    ...fields,
    status: named(fields.status, 'To Do'),
    issuetype: named(fields.issuetype, 'Task'),
    project: home && {
      self: `${manner.base}/rest/api/3/project/${home.id}`,
      id: String(home.id),
      key: home.key,
      name: home.name,
    },
    created: zoned(createdAt, manner.timeZone),
    updated: zoned(updatedAt, manner.timeZone),
    ...(archivedAt !== undefined && { archiveddate: zoned(archivedAt, manner.timeZone) }),
  };
}

function named(value: unknown, usual: string): Row {
  return typeof value === 'object' && value !== null ? (value as Row) : { name: nameOf(value, usual) };
}

export function nameOf(value: unknown, usual: string): string {
  if (typeof value === 'string') return value;
  return (value as { name?: string } | null | undefined)?.name ?? usual;
}

/** `*all`, `*navigable`, names, and `-name` for those that aren't wanted. */
function chosen(fields: Row, asked: readonly string[]): Row {
  const without = asked.filter((name) => name.startsWith('-')).map((name) => name.slice(1));
  const all = asked.some((name) => name.startsWith('*')) || without.length === asked.length;
  const names = all ? Object.keys(fields) : asked.filter((name) => Object.hasOwn(fields, name));
  return Object.fromEntries(
    names.filter((name) => !without.includes(name)).map((name) => [name, fields[name]]),
  );
}

export function project({ id, key, name, state, fields }: Project, { base }: Manner): Row {
  return {
    expand: 'description,lead,issueTypes,url,projectKeys,permissions,insight',
    self: `${base}/rest/api/3/project/${id}`,
    id: String(id),
    key,
    name,
    avatarUrls: {},
    projectTypeKey: 'software',
    simplified: false,
    style: 'classic',
    isPrivate: false,
    properties: {},
    ...fields,
    ...(state === 'archived' && { archived: true }),
    ...(state === 'deleted' && { deleted: true }),
  };
}

export function user({ accountId, fields }: User, { base, timeZone }: Manner): Row {
  return {
    self: `${base}/rest/api/3/user?accountId=${accountId}`,
    accountId,
    accountType: 'atlassian',
    emailAddress: '',
    avatarUrls: {},
    active: true,
    timeZone,
    locale: 'en_US',
    ...fields,
  };
}

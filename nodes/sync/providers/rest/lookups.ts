import { codeOf, FlowError } from '../../../shared/errors';
import { failed, good, type Check } from '../../../shared/checks';
import { withAssociations } from './associations';
import { RestClient, type ClientOptions } from './client';
import type { CollectionDeclaration, Declaration, Listing } from './declaration';
import { Fields } from './fields';
import { findCollection, nameOf, type FoundCollection } from './find';
import { listPage } from './listing';
import { partitionsOf } from './partitions';
import { at, timeAt } from './path';
import { recordOf } from './records';
import type { Values } from './template';
import { say } from '../../../shared/say';

/** One page of a collection, as the form shows it. */
export interface Tried {
  /** "GET https://…", or "POST …" with its body. */
  request: string;
  /** How many records the page has. */
  records: number;
  /** Of the first one. */
  first?: { id: string; createdAt: string | undefined; updatedAt: string | undefined; data: unknown };
  /** What the declaration promises and the page hasn't, in sentences. */
  warnings: string[];
}

/** What a form asks with. */
export interface FormOptions extends ClientOptions {
  associations?: readonly string[];
}

const DAY = 24 * 60 * 60_000;

interface Choice {
  value: string;
  label: string;
}

/**
 * The collections that a form offers. Where they need a scope: of each that the API has, and of the one being typed;
 * with an example where neither is known.
 */
export async function collectionChoices(
  declaration: Declaration,
  open: () => ClientOptions,
  typed: string,
  signal: AbortSignal,
): Promise<Choice[]> {
  const { name, scope, collections } = declaration;
  const own = typed.replace(`${name}:`, '').replace(/:.*$/, '').trim();
  const there = scope ? await scopesThere(declaration, open, signal) : [];
  const scopes = [...(scope && own !== '' ? [own] : []), ...there];
  const of = scopes.length > 0 ? scopes : [undefined];
  const choices = of.flatMap((each) =>
    Object.entries(collections).map(([id, { label }]): [string, string] => [
      nameOf(declaration, id, each),
      label,
    ]),
  );
  return [...new Map(choices)].map(([value, label]) => ({ value, label }));
}

/** Nothing where the API can't be asked (yet): whoever types a scope needs no list. */
async function scopesThere(
  { scope }: Declaration,
  open: () => ClientOptions,
  signal: AbortSignal,
): Promise<string[]> {
  if (!scope?.choices) return [];
  const { choices } = scope;
  try {
    return await asking(open(), signal, async (client, patience) => {
      const names = at((await client.ask({ ask: choices }, patience)).body, choices.names);
      return Array.isArray(names) ? names.map(String) : [];
    });
  } catch {
    return [];
  }
}

/** Says who the token belongs to, and of each collection whether it can be read with it. Throws FlowError. */
export async function testApi(
  options: FormOptions,
  collections: readonly string[],
  signal: AbortSignal,
): Promise<Check[]> {
  const { declaration, associations = [] } = options;
  const api = declaration.label;
  return asking(options, signal, async (client, patience) => {
    const user = await whoAmI(client, declaration, patience);
    const checks = [user === undefined ? good('check_answers', { api }) : good('check_user', { api, user })];
    for (const name of collections)
      checks.push(await testCollection(client, declaration, name, associations, patience));
    return checks;
  });
}

async function testCollection(
  client: RestClient,
  declaration: Declaration,
  collection: string,
  associations: readonly string[],
  signal: AbortSignal,
): Promise<Check> {
  try {
    const found = findCollection(declaration, collection);
    const { page } = await firstPage(client, declaration, found, 1, signal);
    const records = page.rows.map((row) => recordOf(found.of, row));
    await withAssociations(client, found.of, associations, records, signal);
    if (found.of.changes?.list) await firstPage(client, declaration, found, 1, signal, found.of.changes.list);
    const times = withoutTime(found.of, page.rows).map(({ path, name }) => `"${path}" (${name})`);
    if (times.length > 0)
      return { state: 'fair', text: 'check_noTime', values: { collection, times: times.join(', ') } };
    return good(page.rows.length === 0 ? 'check_empty' : 'check_read', { collection });
  } catch (error) {
    const code = codeOf(error);
    if (!['API_REFUSED', 'NO_SUCH_OBJECT', 'INVALID_DECLARATION'].includes(code)) throw error;
    const refused = code === 'API_REFUSED' && !isWebPage(error);
    const rights = refused ? findCollection(declaration, collection).of.rights : undefined;
    return rights === undefined
      ? failed('bad', 'check_unread', error, { collection })
      : failed('bad', 'check_noRight', error, { collection, rights });
  }
}

/** It isn't the API that has refused. */
function isWebPage(error: unknown): boolean {
  return (error as { details?: { webPage?: boolean } }).details?.webPage === true;
}

/** Asks for the first page of a collection. Throws FlowError. */
export async function tryPage(options: FormOptions, name: string, signal: AbortSignal): Promise<Tried> {
  const { declaration, associations = [] } = options;
  return asking(options, signal, async (client, patience) => {
    const found = findCollection(declaration, name);
    const { page, listing } = await firstPage(client, declaration, found, undefined, patience);
    const [row] = page.rows;
    const request = `${listing.post === undefined ? 'GET' : 'POST'} ${client.secrets.strike(page.url)}`;
    if (row === undefined) return { request, records: 0, warnings: [] };
    const record = recordOf(found.of, row);
    const [shown = record] = await withAssociations(client, found.of, associations, [record], patience);
    const { id, createdAt, updatedAt, data } = shown;
    return {
      request,
      records: page.rows.length,
      first: { id, createdAt, updatedAt, data: client.secrets.inValue(data) },
      warnings: missing(found.of, page.rows),
    };
  });
}

/** The times that the declaration names, and that no record of a page has. */
function withoutTime(of: CollectionDeclaration, rows: readonly unknown[]): { name: string; path: string }[] {
  if (rows.length === 0) return [];
  const paths = { created: of.created, updated: of.updated, order: of.list.order };
  return Object.entries(paths).flatMap(([name, path]) =>
    path === undefined || rows.some((row) => timeAt(row, path) !== undefined) ? [] : [{ name, path }],
  );
}

function missing(of: CollectionDeclaration, rows: readonly unknown[]): string[] {
  return withoutTime(of, rows).map(
    ({ name, path }) => say`No record of this page has a time at "${path}" (${name}).`,
  );
}

/**
 * A question of a form. Whoever waits before a form doesn't wait for a limit to be over: the limit is the answer then.
 */
async function asking<T>(
  options: ClientOptions,
  signal: AbortSignal,
  question: (client: RestClient, patience: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = new RestClient(options);
  const patience = new AbortController();
  const stop = (): void => patience.abort();
  signal.addEventListener('abort', stop, { once: true });
  let limit: FlowError | undefined;
  client.onChange(() => {
    const hold = client.unavailable;
    if (!hold || hold.code === 'API_UNREACHABLE') return;
    limit = new FlowError(hold.code, hold.message);
    stop();
  });
  try {
    return await question(client, patience.signal);
  } catch (error) {
    throw limit ?? error;
  } finally {
    signal.removeEventListener('abort', stop);
    client.close();
  }
}

async function whoAmI(
  client: RestClient,
  { whoami }: Declaration,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!whoami) return undefined;
  try {
    const { body } = await client.ask({ ask: whoami }, signal);
    const name = whoami.name === undefined ? undefined : at(body, whoami.name);
    return typeof name === 'string' || typeof name === 'number' ? String(name) : undefined;
  } catch (error) {
    // A token may read records without being allowed to ask this.
    if (codeOf(error) === 'API_REFUSED') return undefined;
    throw error;
  }
}

async function firstPage(
  client: RestClient,
  declaration: Declaration,
  { of, values, partition }: FoundCollection,
  size: number | undefined,
  signal: AbortSignal,
  list = of.list,
) {
  const listing: Listing = { ...list, size: size ?? list.size };
  const parent = of.of === undefined || partition ? undefined : declaration.collections[of.of];
  let all: Values = values;
  if (parent) {
    const [first] = await partitionsOf(client, of, parent, values, signal);
    if (!first) return { page: { rows: [], url: client.urlOf(parent.list, values) }, listing: parent.list };
    all = first.values;
  }
  const filled = await new Fields(client, of, all).values(signal);
  const since = list === of.list ? 0 : client.past() - DAY;
  const page = await listPage(client, { listing, values: { ...filled, since }, next: undefined }, signal);
  return { page, listing };
}

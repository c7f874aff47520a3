import { codeOf, FlowError, messageOf } from '../../../shared/errors';
import { RestClient, type ClientOptions } from './client';
import type { Declaration, Listing } from './declaration';
import { Fields } from './fields';
import { listPage } from './listing';
import { partitionsOf } from './partitions';
import { at } from './path';
import { exampleOf, findCollection, type FoundCollection } from './provider';
import { recordOf } from './records';
import type { Values } from './template';

/** One page of a collection, as the form shows it. */
export interface Tried {
  /** "GET https://…", or "POST …" with its body. */
  request: string;
  /** How many records the page has. */
  records: number;
  /** Of the first one. */
  first?: { id: string; createdAt: string | undefined; updatedAt: string | undefined; data: unknown };
}

/** The collections that a form offers: with the scope to fill in, where one is needed. */
export function collectionChoices({
  name,
  scope,
  collections,
}: Declaration): { value: string; label: string }[] {
  return Object.entries(collections).map(([id, of]) => {
    const scoped = scope ? `${exampleOf(scope, of)}:` : '';
    return { value: `${name}:${scoped}${id}`, label: of.label };
  });
}

/**
 * Says who the token belongs to, when each collection can be read with it. Throws FlowError, which names the
 * collections that can't, and the rights that they need.
 */
export async function testApi(
  options: ClientOptions,
  collections: readonly string[],
  signal: AbortSignal,
): Promise<{ message: string }> {
  const client = new RestClient(options);
  const { declaration } = options;
  try {
    const who = await whoAmI(client, declaration, signal);
    const faults: string[] = [];
    for (const name of collections) {
      const found = findCollection(declaration, name);
      try {
        await firstPage(client, declaration, found, 1, signal);
      } catch (error) {
        if (codeOf(error) !== 'API_REFUSED') throw error;
        const { rights } = found.of;
        faults.push(`${name}: ${messageOf(error)}${rights === undefined ? '' : ` (needs ${rights})`}`);
      }
    }
    const hello =
      who === undefined ? `${declaration.label} answers.` : `Connected to ${declaration.label} as ${who}.`;
    if (faults.length > 0) throw new FlowError('API_REFUSED', `${hello} ${faults.join('; ')}`, false);
    return { message: `${hello} All ${collections.length} collections can be read.` };
  } finally {
    client.close();
  }
}

/** Asks for the first page of a collection. Throws FlowError. */
export async function tryPage(options: ClientOptions, name: string, signal: AbortSignal): Promise<Tried> {
  const client = new RestClient(options);
  const { declaration } = options;
  try {
    const found = findCollection(declaration, name);
    const { page, listing } = await firstPage(client, declaration, found, undefined, signal);
    const [row] = page.rows;
    const request = `${listing.post === undefined ? 'GET' : 'POST'} ${client.secrets.strike(page.url)}`;
    if (row === undefined) return { request, records: 0 };
    const { id, createdAt, updatedAt, data } = recordOf(found.of, row);
    return {
      request,
      records: page.rows.length,
      first: { id, createdAt, updatedAt, data: client.secrets.inValue(data) },
    };
  } finally {
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
) {
  const listing: Listing = { ...of.list, size: size ?? of.list.size };
  const parent = of.of === undefined || partition ? undefined : declaration.collections[of.of];
  let all: Values = values;
  if (parent) {
    const [first] = await partitionsOf(client, of, parent, values, signal);
    if (!first) return { page: { rows: [], url: client.urlOf(parent.list, values) }, listing: parent.list };
    all = first.values;
  }
  const filled = await new Fields(client, of, all).values(signal);
  const page = await listPage(client, { listing, values: { ...filled, since: 0 }, next: undefined }, signal);
  return { page, listing };
}

import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import type { Fault } from '../shared/settings/formats';
import {
  choice,
  credential,
  duration,
  json,
  list,
  node,
  onlyWhen,
  percent,
  text,
} from '../shared/settings/kinds';
import { declare, type Setting, type Settings } from '../shared/settings/settings';
import type { Declaration, EntryName } from './providers/rest/declaration';
import { APIS, declarationOf, LABELS, loginOf, PROVIDERS } from './providers/catalog';
import { hasCollection } from './providers/rest/find';

/** Whatever is read by a declaration. */
const REST = `provider=${[...Object.keys(APIS), 'custom'].join('|')}`;
const OF_ACCOUNT = `provider=${[...named(({ baseUrl }) => baseUrl === undefined), 'custom'].join('|')}`;
const ASSOCIATED = `provider=${[...named(({ collections: of }) => Object.values(of).some((each) => each.associations)), 'custom'].join('|')}`;
export const apiSource = declare('api-source', 1, {
  name: text(''),
  provider: choice(PROVIDERS, 'salesforce', { code: 'INVALID_SOURCE', noun: 'a provider', labels: LABELS }),
  org: node('sfdc-org', { required: 'provider=salesforce' }),
  baseUrl: onlyWhen(REST, text('', { required: OF_ACCOUNT, format: formats.url, address: true })),
  user: text('', entry('user')),
  account: onlyWhen(REST, text('', entry('account'))),
  token: credential(entry('token')),
  secret: credential(entry('secret')),
  privateKey: credential(entry('privateKey')),
  definition: onlyWhen('provider=custom', json('', { required: true })),
  collections: collections(),
  associations: onlyWhen(ASSOCIATED, list('')),
  mode: choice(['cdc', 'poll'], 'cdc'),
  pollInterval: duration('1m', { min: '100ms', required: true }),
  lookback: duration('10m', { max: '1d', required: true }),
  apiBudget: onlyWhen(REST, percent(50, { required: true })),
  reconcile: duration('', { empty: 0 }),
  syncId: text('', { required: true }),
});

export type SourceSettings = Settings<typeof apiSource>;

function named(has: (declaration: Declaration) => boolean): string[] {
  return Object.values(APIS).flatMap((each) => (has(each) ? [each.name] : []));
}

/** What the API that is chosen asks for to be let in; for the reference, when those that are declared here do. */
function entry(name: EntryName): Pick<Setting, 'required' | 'asks'> {
  const always = named(({ login }) => login?.[name]?.required === true).join('|');
  const conditions = Object.values(APIS).flatMap(({ name: provider, login }) => {
    const when = login?.[name]?.required;
    return typeof when === 'string' ? [`provider=${provider} ${when}`] : [];
  });
  if (always !== '') conditions.unshift(`provider=${always}`);
  return {
    ...(conditions.length > 0 && { required: conditions.join(' or ') }),
    asks: (valueOf) => loginOf(String(valueOf('provider')), String(valueOf('definition')))?.[name],
  };
}

/** Records from a flow bring their collections with them. */
function collections(): Setting<string[], string[]> {
  const names = list([]);
  return {
    ...names,
    parse(stored, title, valueOf) {
      const provider = String(valueOf('provider'));
      const found = names.parse(stored, title, valueOf).map((name) => fullName(provider, name));
      if (provider !== 'flow' && found.length === 0)
        throw invalid(`The api-source has no collections; add for example "${provider}:contact"`);
      return [...new Set(found)];
    },
    check(stored, valueOf) {
      const provider = String(valueOf('provider'));
      const found = stored as string[];
      if (provider === 'flow') return undefined;
      if (found.length === 0) return { text: 'wrong.noCollection' };
      if (new Set(found).size < found.length) return { text: 'wrong.twice' };
      return found.map((name) => collectionFault(provider, name)).find((fault) => fault !== undefined);
    },
  };
}

/** "Contact" → "salesforce:contact". Salesforce's names are the same in any case, but subjects are not. */
export function fullName(provider: string, typed: string): string {
  const name = typed.trim();
  if (name === '' || name.startsWith('${')) return name;
  // A colon may stand in the name itself: "owner/repo:issues".
  const named =
    PROVIDERS.some((one) => name.startsWith(`${one}:`)) || (name.includes(':') && !(provider in APIS));
  const full = named ? name : `${provider}:${name}`;
  return provider === 'salesforce' ? full.toLowerCase() : full;
}

export function collectionFault(provider: string, name: string): Fault | undefined {
  if (name.startsWith('${')) return undefined;
  const belongs = name.startsWith(`${provider}:`) && name.length > provider.length + 1;
  if (!belongs) return { text: 'wrong.otherProvider' };
  const declaration = declarationOf(provider);
  return !declaration || hasCollection(declaration, name) ? undefined : { text: 'wrong.noSuchCollection' };
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_SOURCE', message, false);
}

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
import { APIS, PROVIDERS } from './providers/catalog';

/** Whatever is read by a declaration. */
const REST = `provider=${[...Object.keys(APIS), 'custom'].join('|')}`;
const OF_ACCOUNT = `provider=${[...accounts(), 'custom'].join('|')}`;

export const apiSource = declare('api-source', 1, {
  name: text(''),
  provider: choice(PROVIDERS, 'salesforce', { code: 'INVALID_SOURCE', noun: 'a provider' }),
  org: node('sfdc-org', { required: 'provider=salesforce' }),
  baseUrl: onlyWhen(REST, text('', { required: OF_ACCOUNT, format: formats.url, address: true })),
  user: text('', { required: 'provider=zendesk|jira' }),
  token: credential(),
  secret: credential(),
  definition: onlyWhen('provider=custom', json('', { required: true })),
  collections: collections(),
  mode: choice(['cdc', 'poll'], 'cdc'),
  pollInterval: duration('1m', { min: '100ms', required: true, title: 'Ask every' }),
  lookback: duration('10m', { max: '1d', required: true, title: 'Look back' }),
  apiBudget: onlyWhen(REST, percent(50, { required: true })),
  reconcile: duration('', { empty: 0, title: 'Compare every' }),
  syncId: text('', { required: true }),
});

export type SourceSettings = Settings<typeof apiSource>;

/** Those whose address is the account's own. */
function accounts(): string[] {
  return Object.values(APIS).flatMap(({ name, baseUrl }) => (baseUrl === undefined ? [name] : []));
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
  return belongs ? undefined : { text: 'wrong.otherProvider' };
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_SOURCE', message, false);
}

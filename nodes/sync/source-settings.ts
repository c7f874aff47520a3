import { parseDuration } from '../shared/duration';
import { FlowError } from '../shared/errors';
import { PROVIDERS, READY, type ProviderName } from './provider-names';

/** What stands in an api-source. */
export interface SourceForm {
  provider?: string;
  syncId?: string;
  collections?: string | string[];
  org?: string;
  mode?: string;
  pollInterval?: string;
  lookback?: string;
  /** How often everything is compared with the stream; empty for never. */
  reconcile?: string;
}

/** The same, checked. Milliseconds. */
export interface SourceSettings {
  provider: ProviderName;
  syncId: string;
  collections: string[];
  org: string;
  mode: 'cdc' | 'poll';
  pollInterval: number;
  lookback: number;
  reconcile: number;
}

const DAY = 24 * 60 * 60_000;

/** Throws FlowError naming the setting that is wrong. `id` stands in for a sync id that was never made. */
export function sourceSettings(form: SourceForm, id: string): SourceSettings {
  const provider = PROVIDERS.find((name) => name === (form.provider || 'salesforce'));
  if (!provider) throw invalid(`"${form.provider}" is not a provider; use one of ${PROVIDERS.join(', ')}`);
  if (!READY.includes(provider))
    throw invalid(
      `This version can't read ${provider} yet; read it in a flow and hand its records to an api-source with the provider "flow"`,
    );
  const collections = collectionNames(form.collections, provider);
  if (provider !== 'flow' && collections.length === 0)
    throw invalid(`The api-source has no collections; add for example "${provider}:contact"`);
  const lookback = parseDuration(form.lookback || '10m', 'Look back');
  if (lookback > DAY) throw invalid('Look back: at most a day, as everything in that time is read each time');
  return {
    provider,
    syncId: form.syncId?.trim() || id,
    collections,
    org: form.org ?? '',
    mode: form.mode === 'poll' ? 'poll' : 'cdc',
    pollInterval: Math.max(100, parseDuration(form.pollInterval || '1m', 'Ask every')),
    lookback,
    reconcile: form.reconcile ? parseDuration(form.reconcile, 'Compare every') : 0,
  };
}

/** Salesforce takes names in any case, subjects don't. */
function collectionNames(collections: SourceForm['collections'], provider: ProviderName): string[] {
  const list = Array.isArray(collections) ? collections : (collections ?? '').split(/[\s,]+/);
  const names = list
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .map((name) => (name.includes(':') ? name : `${provider}:${name}`))
    .map((name) => (provider === 'salesforce' ? name.toLowerCase() : name));
  return [...new Set(names)];
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_SOURCE', message, false);
}

import { parseDuration } from '../shared/duration';
import { formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, lookup, openConfig } from '../shared/editor/lookup';
import { testConnection } from '../shared/editor/test-connection';
import { nodeText, text } from '../shared/editor/text';
import { newUuid } from '../shared/editor/uuid';
import {
  configWhen,
  currentValue,
  duration,
  jsonObject,
  requiredWhen,
  url,
  validator,
  type Verdict,
} from '../shared/editor/validators';
import { collectionList, faultOf, readCollections } from './collections.editor';
import { READY, type ProviderName } from './provider-names';

const label = (property: string) => nodeText('api-source', `label.${property}`);
/** Where the APIs are; those of one's own account as an example. */
const ADDRESSES: Record<string, string> = {
  hubspot: 'https://api.hubapi.com',
  stripe: 'https://api.stripe.com',
  zendesk: 'https://example.zendesk.com',
  jira: 'https://example.atlassian.net',
  github: 'https://api.github.com',
  custom: 'https://api.example.com/v1',
};

const providerOf = (node: EditorNode) => (currentValue(node, 'provider') ?? 'salesforce') as ProviderName;
const providerIs =
  (...providers: ProviderName[]) =>
  (node: EditorNode) =>
    providers.includes(providerOf(node));

interface Properties {
  name: string;
  provider: string;
  syncId: string;
  collections: string[];
  org: string;
  mode: string;
  pollInterval: string;
  lookback: string;
  reconcile: string;
  baseUrl: string;
  user: string;
  definition: string;
}

RED.nodes.registerType<Properties>('api-source', {
  category: 'config',
  defaults: {
    name: { value: '' },
    provider: { value: 'salesforce', validate: checkProvider },
    syncId: { value: '', required: true, label: label('syncId') },
    collections: { value: [] as string[], validate: checkCollections },
    org: { value: '', type: 'sfdc-org', label: label('org'), validate: configWhen(providerIs('salesforce')) },
    mode: { value: 'cdc' },
    pollInterval: {
      value: '1m',
      required: true,
      label: label('pollInterval'),
      validate: validator(duration),
    },
    lookback: { value: '10m', required: true, label: label('lookback'), validate: validator(upToADay) },
    reconcile: { value: '', label: label('reconcile'), validate: validator(duration) },
    baseUrl: {
      value: '',
      label: label('baseUrl'),
      validate: requiredWhen(providerIs('zendesk', 'jira', 'custom'), url),
    },
    user: { value: '', label: label('user'), validate: requiredWhen(providerIs('zendesk', 'jira')) },
    definition: {
      value: '',
      label: label('definition'),
      validate: requiredWhen(providerIs('custom'), jsonObject),
    },
  },
  credentials: {
    token: { type: 'password' },
    secret: { type: 'password' },
  },
  label() {
    const names = (this.collections ?? []).map((collection) => collection.replace(/^\w+:/, ''));
    const provider = setting(this, 'provider');
    return this.name || (names.length > 0 ? `${provider}: ${names.join(', ')}` : provider);
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    const form = openForm(this);
    const source = () => {
      const shown = openConfig(this, form);
      return { ...shown, config: { ...shown.config, collections: readCollections(form) } };
    };
    collectionList(form, setting(this, 'collections'), () => lookup<Choice[]>(source(), 'collections'));
    form.input('definition').typedInput({ types: ['json'], default: 'json' });
    syncId(form);
    testConnection(this, form, source);
    form.watch(() => {
      $('#jetforce-polling').prop('hidden', !polls(form));
      form.input('baseUrl').attr('placeholder', ADDRESSES[form.text('provider')] ?? '');
    });
    showHints(form, () => hints(this, form).map((key) => this._(`hint.${key}`)));
  },
  oneditsave() {
    this.collections = readCollections(formOf(this));
  },
});

/** A sync has its id from its first day; one that was written by hand without gets it here. */
function syncId(form: Form): void {
  const input = form.input('syncId');
  const renew = () => input.val(newUuid()).trigger('change');
  if (form.text('syncId') === '') renew();
  $('#jetforce-new-sync-id').attr('title', text('newId')).on('click', renew);
}

/** What is looked back at is read each time. */
function upToADay(value: string): Verdict {
  const verdict = duration(value);
  if (verdict !== true) return verdict;
  return parseDuration(value) <= parseDuration('1d') || nodeText('api-source', 'wrong.overADay');
}

/** Whether changes are asked for again and again, rather than told by the API. */
function polls(form: Form): boolean {
  const provider = form.text('provider');
  return provider === 'salesforce' ? form.text('mode') === 'poll' : provider !== 'flow';
}

function hints(node: EditorNode, form: Form): string[] {
  const found: string[] = [];
  const id = form.text('syncId');
  let shared = false;
  RED.nodes.eachConfig((other) => {
    shared ||= other.type === node.type && other.id !== node.id && id !== '' && other['syncId'] === id;
    return true;
  });
  if (!isReady(form.text('provider'))) found.push('notReady');
  if (shared) found.push('sharedId');
  return found;
}

function isReady(provider: unknown): boolean {
  return READY.includes(provider as ProviderName);
}

function checkProvider(this: EditorNode, provider: string | undefined, _opt?: object): Verdict {
  return isReady(provider ?? 'salesforce') || nodeText('api-source', 'wrong.notReady');
}

/** What is wrong with the collections; records from a flow bring their own. */
function checkCollections(this: EditorNode, collections: string[] | undefined, _opt?: object): Verdict {
  const provider = providerOf(this);
  if (provider === 'flow') return true;
  if (!collections?.length) return nodeText('api-source', 'wrong.noCollection');
  if (new Set(collections).size < collections.length) return nodeText('api-source', 'wrong.twice');
  return collections.map((one) => faultOf(provider, one)).find((fault) => fault !== true) ?? true;
}

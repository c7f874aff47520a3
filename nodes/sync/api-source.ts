import { join } from 'node:path';
import type { Node, NodeAPI, NodeDef } from 'node-red';
import { lookupRoute, type ConfigValues, type LookupRequest } from '../shared/admin';
import { failed, good, type Check } from '../shared/checks';
import { FlowError, messageOf } from '../shared/errors';
import { refreshTokens } from '../shared/http/refresh-tokens';
import {
  credentialsOf,
  parseDeployed,
  parseSettings,
  readSecrets,
  type Secrets,
  type Stored,
} from '../shared/settings/settings';
import { listObjects, testConnection } from '../salesforce/org/lookups';
import type { OrgSession } from '../salesforce/org/session';
import { testChanges, testPubSub } from '../salesforce/pubsub/lookups';
import { sessionFor, sessionOf } from '../salesforce/sfdc-org';
import { sfdcOrg } from '../salesforce/sfdc-org.settings';
import { apiSource, type SourceSettings } from './api-source.settings';
import type { Provider } from './engine/provider';
import { declarationOf } from './providers/catalog';
import { checkDeclaration, readDeclaration } from './providers/rest/check';
import type { Declaration } from './providers/rest/declaration';
import schema from './providers/rest/declaration.schema.json';
import { collectionChoices, testApi, tryPage, type FormOptions } from './providers/rest/lookups';
import { RestProvider } from './providers/rest/provider';
import { SalesforceProvider } from './providers/salesforce';
import { changeTopic } from './providers/salesforce/cdc';
import type { Source } from './engine/sync-out';
import { withTimeout } from '../shared/async/timeout';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type SourceDef = NodeDef & Stored<typeof apiSource>;
type SourceSecrets = Secrets<typeof apiSource>;

/** What api-sync-out uses. */
export interface SourceNode extends Node<SourceSecrets> {
  /** Undefined where they make no sense; the error has been logged. */
  settings: SourceSettings | undefined;
  /** The same object each time it is asked for the same user; undefined where the settings make no sense. */
  sourceFor(user: Node): Source | undefined;
}

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function ApiSource(this: SourceNode, def: SourceDef): void {
    RED.nodes.createNode(this, def);
    const stops = new Set<() => Promise<void>>();
    const sources = new WeakMap<Node, Source>();
    try {
      const settings = parseDeployed(apiSource, def);
      this.settings = { ...settings, syncId: settings.syncId || this.id };
    } catch (error) {
      this.error(messageOf(error));
    }

    this.sourceFor = (user) => {
      const { settings } = this;
      if (!settings) return undefined;
      const source = sources.get(user) ?? {
        settings,
        openProvider: (log: (text: string) => void) =>
          settings.provider === 'salesforce'
            ? openSalesforce(user, settings, log)
            : new RestProvider({ ...settings, ...restOptions(settings, this.credentials, log) }),
        use: (stop: () => Promise<void>) => {
          stops.add(stop);
          return () => void stops.delete(stop);
        },
      };
      sources.set(user, source);
      return source;
    };

    this.on('close', (_removed: boolean, done: () => void) => {
      void withTimeout(CLOSE_MS, Promise.all([...stops].map((stop) => stop()))).finally(done);
    });
  }

  function openSalesforce(user: Node, settings: SourceSettings, log: (text: string) => void): Provider {
    const { org, session } = sessionOf(RED, settings.org);
    org.register(user);
    const pubsub = settings.mode === 'cdc' ? org.pubsub : undefined;
    return new SalesforceProvider(session, { ...settings, log }, pubsub, () => org.deregister(user));
  }

  function restOptions(
    settings: SourceSettings,
    credentials: SourceSecrets | undefined,
    warn: (text: string) => void,
  ): FormOptions {
    const { baseUrl, user, account, apiBudget = 100, associations = [] } = settings;
    const { token, secret, privateKey } = readSecrets(apiSource, credentials, settings);
    return {
      declaration: declared(settings),
      values: { baseUrl, user, account, token, secret, privateKey },
      budget: apiBudget,
      associations,
      refreshTokens: refreshTokens(tokenFolder(RED), warn),
    };
  }

  RED.nodes.registerType<SourceNode, SourceDef, object, SourceSecrets>('api-source', ApiSource, {
    credentials: credentialsOf(apiSource),
  });

  const lookup = (action: string, find: (request: LookupRequest) => Promise<unknown>) =>
    lookupRoute(RED, apiSource, action, find, { org: sfdcOrg });
  const ofForm = ({ config, credentials }: LookupRequest): FormOptions =>
    restOptions(parseSettings(apiSource, config), credentials, () => undefined);
  lookup('collections', ({ config, credentials, params, references, signal }) => {
    const { provider } = config;
    if (provider === 'flow') return Promise.resolve([]);
    if (provider !== 'salesforce') {
      const { definition } = config;
      const declaration = declared({
        provider: apiSource.settings.provider.parse(provider, 'API', () => undefined),
        definition: typeof definition === 'string' ? definition : '',
      });
      // What isn't filled in yet is no hindrance: the API is asked only for what the declaration doesn't know.
      const open = () =>
        restOptions(
          parseSettings(apiSource, { ...config, collections: ['any'] }),
          credentials,
          () => undefined,
        );
      return collectionChoices(declaration, open, params.typed ?? '', signal);
    }
    return ask(RED, references.org, signal, async (session) =>
      (await listObjects(session)).map(({ value, label }) => ({
        value: collectionOf(value),
        label,
      })),
    );
  });
  lookup('schema', () => Promise.resolve(schema));
  lookup('check', ({ config }) => {
    const checked = checkDeclaration(typeof config.definition === 'string' ? config.definition : '');
    return Promise.resolve('problem' in checked ? checked.problem : null);
  });
  lookup('try', (request) => tryPage(ofForm(request), request.params.collection ?? '', request.signal));
  lookup('test', async (request) => {
    const { collections, mode, provider } = parseSettings(apiSource, request.config);
    if (provider !== 'salesforce')
      return { checks: await testApi(ofForm(request), collections, request.signal) };
    return ask(RED, request.references.org, request.signal, async (session) => ({
      checks: [...(await testConnection(session)), ...(await testSource(session, collections, mode))],
    }));
  });
}

/** The declaration of what the settings name. Throws INVALID_SOURCE, and INVALID_DECLARATION. */
function declared({ provider, definition }: Pick<SourceSettings, 'provider' | 'definition'>): Declaration {
  if (provider === 'custom') return readDeclaration(definition ?? '');
  const found = declarationOf(provider);
  if (found) return found;
  throw new FlowError(
    'INVALID_SOURCE',
    say`The api-source reads no API, but records of a ${provider}`,
    false,
  );
}

/** Where refresh tokens are kept that an API has put in the place of those configured. */
function tokenFolder(RED: NodeAPI): string | undefined {
  const { userDir } = RED.settings as { userDir?: string };
  return userDir === undefined ? undefined : join(userDir, '.jetforce', 'tokens');
}

/** Whether the org has the collections, and tells their changes. */
async function testSource(session: OrgSession, collections: string[], mode: string): Promise<Check[]> {
  const objects = new Map((await listObjects(session)).map(({ value }) => [collectionOf(value), value]));
  const missing = collections.filter((collection) => !objects.has(collection));
  const there =
    missing.length === 0
      ? good('check_collections', { count: collections.length })
      : failed('bad', 'check_collectionsFailed', unseen(missing));
  if (mode !== 'cdc') return [there];
  const endpoint = session.settings.pubsubEndpoint;
  const pubsub = await testPubSub(session, endpoint);
  if (pubsub.state !== 'good') return [there, pubsub];
  const topics = collections.flatMap((collection): [string, string][] => {
    const object = objects.get(collection);
    return object === undefined ? [] : [[collection, changeTopic(object)]];
  });
  return [there, pubsub, ...(await testChanges(session, endpoint, new Map(topics)))];
}

function unseen(collections: string[]): FlowError {
  return new FlowError(
    'NO_SUCH_OBJECT',
    say`The user can't see ${collections.join(', ')}: check the names and the user's permissions`,
    false,
  );
}

const collectionOf = (object: string) => `salesforce:${object.toLowerCase()}`;

/** Asks the org as its form stands. */
async function ask<T>(
  RED: NodeAPI,
  org: ConfigValues | undefined,
  signal: AbortSignal,
  question: (session: OrgSession) => Promise<T>,
): Promise<T> {
  if (!org) throw new FlowError('NO_ORG', say`No sfdc-org is chosen: choose one`, false);
  return question(sessionFor(RED, org, signal));
}

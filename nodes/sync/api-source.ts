import type { Node, NodeAPI, NodeDef } from 'node-red';
import { lookupRoute, type ConfigValues, type LookupRequest } from '../shared/admin';
import { failed, good, type Check } from '../shared/checks';
import { FlowError, messageOf } from '../shared/errors';
import { credentialsOf, parseSettings, type Secrets, type Stored } from '../shared/settings/settings';
import { listObjects, testConnection } from '../salesforce/org/lookups';
import type { OrgSession } from '../salesforce/org/session';
import { testChanges, testPubSub } from '../salesforce/pubsub/lookups';
import { sessionFor, sessionOf } from '../salesforce/sfdc-org';
import { sfdcOrg } from '../salesforce/sfdc-org.settings';
import { apiSource, type SourceSettings } from './api-source.settings';
import type { Provider } from './engine/provider';
import { SalesforceProvider } from './providers/salesforce';
import { changeTopic } from './providers/salesforce/cdc';
import type { Source } from './engine/sync-out';
import { withTimeout } from '../shared/async/timeout';

type SourceDef = NodeDef & Stored<typeof apiSource>;
/** For the providers to come. */
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
  function ApiSource(this: SourceNode, def: SourceDef): void {
    RED.nodes.createNode(this, def);
    const stops = new Set<() => Promise<void>>();
    const sources = new WeakMap<Node, Source>();
    try {
      const settings = parseSettings(apiSource, def);
      this.settings = { ...settings, syncId: settings.syncId || this.id };
    } catch (error) {
      this.error(messageOf(error));
    }

    this.sourceFor = (user) => {
      const { settings } = this;
      if (!settings) return undefined;
      const source = sources.get(user) ?? {
        settings,
        openProvider: (log: (text: string) => void) => openSalesforce(user, settings, log),
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

  RED.nodes.registerType<SourceNode, SourceDef, object, SourceSecrets>('api-source', ApiSource, {
    credentials: credentialsOf(apiSource),
  });

  const lookup = (action: string, find: (request: LookupRequest) => Promise<unknown>) =>
    lookupRoute(RED, apiSource, action, find, { org: sfdcOrg });
  lookup('collections', ({ config, references, signal }) => {
    if (config.provider !== 'salesforce') return Promise.resolve([]);
    return ask(RED, references.org, signal, async (session) =>
      (await listObjects(session)).map(({ value, label }) => ({
        value: collectionOf(value),
        label,
      })),
    );
  });
  lookup('test', ({ config, references, signal }) => {
    const { collections, mode } = parseSettings(apiSource, config);
    return ask(RED, references.org, signal, async (session) => ({
      checks: [...(await testConnection(session)), ...(await testSource(session, collections, mode))],
    }));
  });
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
    `The user can't see ${collections.join(', ')}: check the names and the user's permissions`,
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
  if (!org) throw new FlowError('NO_ORG', 'No sfdc-org is chosen: choose one', false);
  return question(sessionFor(RED, org, signal));
}

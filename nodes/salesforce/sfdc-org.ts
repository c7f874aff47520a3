import { join } from 'node:path';
import type { Node, NodeAPI, NodeDef } from 'node-red';
import { lookupRoute, type ConfigValues } from '../shared/admin';
import { formatDuration } from '../shared/duration';
import { requireEnvironment } from '../shared/environment';
import { FlowError, messageOf } from '../shared/errors';
import { operate } from '../shared/operations/registry';
import { credentialsOf } from '../shared/settings/settings';
import type { OrgConfig, OrgSecrets } from './org/credentials';
import type { Availability } from './org/availability';
import { listExternalIdFields, listFields, listObjects, testConnection, type FieldUse } from './org/lookups';
import { PubSub } from './pubsub/client';
import { listEventFields, listTopics, testPubSub } from './pubsub/lookups';
import { orgState } from './org/state';
import { refreshTokens, type RefreshTokens, type TokenContext } from '../shared/http/refresh-tokens';
import { OrgSession } from './org/session';
import { sfdcOrg } from './sfdc-org.settings';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type OrgDef = NodeDef & OrgConfig;

/** What the other nodes of the pack use. Each registers while it lives, and the session ends after the last. */
export interface OrgNode extends Node<OrgSecrets> {
  /** Undefined where the settings make no sense; the error has been logged. */
  session: OrgSession | undefined;
  /** Its Pub/Sub API, with the same session. */
  pubsub: PubSub | undefined;
  register(user: Node): void;
  deregister(user: Node): void;
}

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function SfdcOrg(this: OrgNode, def: OrgDef): void {
    RED.nodes.createNode(this, def);
    const users = new Set<Node>();
    let unlist: (() => void) | undefined;
    let closing: (() => void) | undefined;
    try {
      requireEnvironment(RED, sfdcOrg, def as unknown as Record<string, unknown> & { id: string });
      this.session = new OrgSession({
        config: def,
        secrets: this.credentials ?? {},
        refreshTokens: keepTokens(RED, (text) => this.warn(text), this.context()),
        timeout: requestTimeout(RED),
      });
      this.pubsub = new PubSub(this.session, this.session.settings.pubsubEndpoint);
    } catch (error) {
      this.error(messageOf(error));
    }
    const { session, pubsub } = this;
    if (session && pubsub) {
      const { id, name = '' } = this;
      const state = () => orgState(id, name, session, pubsub);
      unlist = operate({ kind: 'orgs', id, name: name || id, state });
    }
    const stopTelling = [
      session && tellOutages(this, session, session.availability, say`The org`),
      pubsub && tellOutages(this, pubsub, pubsub.ownAvailability, 'The Pub/Sub API'),
    ];

    this.register = (user) => {
      users.add(user);
      if (users.size === 1) session?.connect();
    };
    this.deregister = (user) => {
      users.delete(user);
      if (users.size === 0) closing?.();
    };
    this.on('close', (_removed: boolean, done: () => void) => {
      unlist?.();
      closing = () => {
        closing = undefined;
        for (const stop of stopTelling) stop?.();
        pubsub?.close();
        session?.close();
        done();
      };
      // Nodes that are being closed too may still be finishing their requests.
      if (users.size === 0) closing();
    });
  }

  RED.nodes.registerType<OrgNode, OrgDef, object, OrgSecrets>('sfdc-org', SfdcOrg, {
    credentials: credentialsOf(sfdcOrg),
  });

  const lookup = (
    action: string,
    ask: (session: OrgSession, params: Record<string, string>, endpoint: string) => Promise<unknown>,
  ) =>
    lookupRoute(RED, sfdcOrg, action, (request) => {
      const session = sessionFor(RED, request, request.signal);
      return ask(session, request.params, session.settings.pubsubEndpoint);
    });
  lookup('test', async (session, _params, endpoint) => ({
    checks: [...(await testConnection(session)), await testPubSub(session, endpoint)],
  }));
  lookup('sobjects', listObjects);
  lookup('external-id-fields', (session, { sobject = '' }) => listExternalIdFields(session, sobject));
  lookup('fields', (session, { sobject = '', use }) => listFields(session, sobject, use as FieldUse));
  lookup('topics', (session, { use }) => listTopics(session, use));
  lookup('topic-fields', (session, { topic = '' }, endpoint) => listEventFields(session, endpoint, topic));
}

/** Kept in Node-RED's user directory; `context` is where versions before kept them. */
function keepTokens(RED: NodeAPI, warn: (text: string) => void, context?: TokenContext): RefreshTokens {
  const { userDir } = RED.settings as { userDir?: string };
  return refreshTokens(
    userDir === undefined ? undefined : join(userDir, '.jetforce', 'tokens'),
    warn,
    context,
  );
}

/** A session of an org as its form stands, until `signal` aborts. */
export function sessionFor(RED: NodeAPI, org: ConfigValues, signal: AbortSignal): OrgSession {
  const { id, config, credentials, deployed } = org;
  const live = deployed ? (RED.nodes.getNode(id) as OrgNode | null)?.session : undefined;
  // A login by a refresh token may replace it under the session that uses it.
  const mayRotate = config.auth === 'refresh-token' || config.auth === 'file';
  if (mayRotate && live?.accessToken !== undefined) return live;
  const tokens = keepTokens(RED, (text) => RED.log.warn(text));
  const session = new OrgSession({ config, secrets: credentials, refreshTokens: tokens });
  signal.addEventListener('abort', () => session.close(), { once: true });
  return session;
}

/** What settings.js says for all nodes that make HTTP requests, in milliseconds. */
function requestTimeout(RED: NodeAPI): number | undefined {
  const { httpRequestTimeout } = RED.settings as { httpRequestTimeout?: number | string };
  return Number(httpRequestTimeout) || undefined;
}

/** The session of the org a node is set to use. Throws NO_ORG. */
export function sessionOf(RED: NodeAPI, id: string): { org: OrgNode; session: OrgSession } {
  const org = RED.nodes.getNode(id) as OrgNode | null;
  if (!org) throw new FlowError('NO_ORG', say`No sfdc-org is chosen: open this node and choose one`, false);
  if (!org.session)
    throw new FlowError(
      'NO_ORG',
      say`The settings of the sfdc-org are wrong; its error is in the log`,
      false,
    );
  return { org, session: org.session };
}

/** The same for nodes that use the Pub/Sub API. Throws NO_ORG. */
export function pubsubOf(RED: NodeAPI, id: string): { org: OrgNode; pubsub: PubSub } {
  const { org } = sessionOf(RED, id);
  return { org, pubsub: org.pubsub as PubSub };
}

/** One line in the log when the org goes, when the reason changes, and when it is back. */
function tellOutages(
  node: Node,
  api: OrgSession | PubSub,
  availability: Availability,
  name: string,
): () => void {
  let told: { code: string; since: number } | undefined;
  return api.onChange(() => {
    const { current } = availability;
    // Not node.error: a Catch node would take it, and it would be missing in the log.
    if (current && current.code !== told?.code) node.warn(current.message);
    if (!current && told) node.log(say`${name} is back after ${formatDuration(Date.now() - told.since)}`);
    told = current;
  });
}

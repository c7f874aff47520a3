import type { Node, NodeAPI, NodeDef } from 'node-red';
import { lookupRoute, type LookupRequest } from '../shared/admin';
import { FlowError, messageOf } from '../shared/errors';
import type { DeadLetterKeeper } from '../shared/dead-letters';
import { requireEnvironment } from '../shared/environment';
import type { PositionKeeper } from '../shared/positions';
import {
  credentialsOf,
  parseSettings,
  type Secrets as Secret,
  type Stored,
} from '../shared/settings/settings';
import { deadLettersOf } from './consume/letters';
import { operate } from '../shared/operations/registry';
import { serverState } from './operations/server';
import { bucketPositions } from './streams/bucket-positions';
import { Connection } from './server/connection';
import { jetstreamServer } from './jetstream-server.settings';
import { listConsumers, listStreams, listSubjects, streamOutlook, testConnection } from './streams/lookups';
import type { TlsOptions } from './server/nats';
import type { ServerSettings } from './server/server-settings';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type Secrets = Secret<typeof jetstreamServer>;
type ServerDef = NodeDef & Stored<typeof jetstreamServer>;

/** What the other nodes of the room use; `positions` and `deadLetters` are for those of other rooms. */
export interface ServerNode extends Node<Secrets>, PositionKeeper, DeadLetterKeeper {
  /** Missing where the settings make no sense; the error has been logged. */
  connection: Connection | undefined;
}

interface TlsNode extends Node {
  addTLSOptions(options: object): TlsOptions;
}

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function JetstreamServer(this: ServerNode, def: ServerDef): void {
    RED.nodes.createNode(this, def);
    try {
      requireEnvironment(RED, jetstreamServer, def as unknown as Record<string, unknown> & { id: string });
      const connection = new Connection(
        settingsOf(def, this.credentials),
        (level, text) => void (level === 'error' ? this.error(text) : this.log(text)),
      );
      this.connection = connection;
      this.positions = (bucket) => bucketPositions(connection, bucket);
      this.deadLetters = (subject) => deadLettersOf(connection, subject);
      const { id, name = '' } = this;
      const state = () => serverState(id, name, connection);
      this.on('close', operate({ kind: 'servers', id, name: name || id, state }));
    } catch (error) {
      this.error(messageOf(error));
    }
  }

  RED.nodes.registerType<ServerNode, ServerDef, object, Secrets>('jetstream-server', JetstreamServer, {
    credentials: credentialsOf(jetstreamServer),
  });

  function settingsOf(def: object, secrets: Secrets): ServerSettings {
    const settings = parseSettings(jetstreamServer, { ...def, ...secrets });
    const tls = settings.tls ? (RED.nodes.getNode(settings.tls) as TlsNode | null) : undefined;
    return { ...settings, servers: settings.servers ?? '', tls: tls?.addTLSOptions({}) };
  }

  const lookup = (
    action: string,
    ask: (settings: ServerSettings, params: Record<string, string>, signal: AbortSignal) => Promise<unknown>,
  ): void =>
    lookupRoute(RED, jetstreamServer, action, ({ config, credentials, params, signal }: LookupRequest) =>
      ask(settingsOf(config, credentials), params, signal),
    );
  lookup('test', async (settings, _params, signal) => ({ checks: await testConnection(settings, signal) }));
  lookup('streams', (settings, _params, signal) => listStreams(settings, signal));
  lookup('consumers', (settings, { stream = '' }, signal) => listConsumers(settings, stream, signal));
  lookup('outlook', (settings, { asked = '{}' }, signal) => streamOutlook(settings, asked, signal));
  lookup('subjects', (settings, { stream }, signal) => listSubjects(settings, stream, signal));
}

/** The connection of the server a node is set to use. Throws NO_SERVER. */
export function connectionOf(RED: NodeAPI, id: string): Connection {
  const server = RED.nodes.getNode(id) as ServerNode | null;
  if (server?.connection) return server.connection;
  const why = server
    ? say`The settings of the jetstream-server are wrong; its error is in the log`
    : say`No jetstream-server is chosen: open this node and choose one`;
  throw new FlowError('NO_SERVER', why, false);
}

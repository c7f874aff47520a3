import type { Node, NodeAPI, NodeDef } from 'node-red';
import { lookupRoute, type LookupRequest } from '../shared/admin';
import type { PositionKeeper } from '../shared/positions';
import { bucketPositions } from './bucket-positions';
import { Connection } from './connection';
import { listConsumers, listStreams, listSubjects, testConnection } from './lookups';
import type { TlsOptions } from './nats';
import type { ServerSettings } from './server-settings';

type Secrets = Pick<ServerSettings, 'password' | 'token' | 'nkeySeed' | 'jwt' | 'creds'>;
type ServerDef = NodeDef & Omit<ServerSettings, 'tls' | keyof Secrets> & { tls?: string };

/** What the other nodes of the room use; `positions` is for those of other rooms. */
export interface ServerNode extends Node<Secrets>, PositionKeeper {
  connection: Connection;
}

interface TlsNode extends Node {
  addTLSOptions(options: object): TlsOptions;
}

export default function (RED: NodeAPI): void {
  function JetstreamServer(this: ServerNode, def: ServerDef): void {
    RED.nodes.createNode(this, def);
    this.connection = new Connection(settingsOf(def, this.credentials));
    this.positions = (bucket, key) => bucketPositions(this.connection, bucket, key);
  }

  RED.nodes.registerType<ServerNode, ServerDef, object, Secrets>('jetstream-server', JetstreamServer, {
    credentials: {
      password: { type: 'password' },
      token: { type: 'password' },
      nkeySeed: { type: 'password' },
      jwt: { type: 'password' },
      creds: { type: 'password' },
    },
  });

  function settingsOf(def: Partial<ServerDef>, secrets: Secrets): ServerSettings {
    const tls = def.tls ? (RED.nodes.getNode(def.tls) as TlsNode | null) : undefined;
    return {
      name: def.name,
      servers: def.servers ?? '',
      auth: def.auth ?? 'none',
      user: def.user,
      credentialsPath: def.credentialsPath,
      tls: tls?.addTLSOptions({}),
      tlsFirst: def.tlsFirst,
      inboxPrefix: def.inboxPrefix || undefined,
      domain: def.domain || undefined,
      ...secrets,
    };
  }

  const lookup = (
    action: string,
    ask: (settings: ServerSettings, params: Record<string, string>) => Promise<unknown>,
  ): void =>
    lookupRoute(RED, 'jetstream-server', action, ({ config, credentials, params }: LookupRequest) =>
      ask(settingsOf(config, credentials), params),
    );
  lookup('test', testConnection);
  lookup('streams', listStreams);
  lookup('consumers', (settings, { stream = '' }) => listConsumers(settings, stream));
  lookup('subjects', (settings, { stream }) => listSubjects(settings, stream));
}

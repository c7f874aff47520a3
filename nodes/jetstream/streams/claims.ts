import { createHash } from 'node:crypto';
import { FlowError } from '../../shared/errors';
import type { Connection } from '../server/connection';
import { serverList, type ServerSettings } from '../server/server-settings';
import { streamConflicts, type StreamDemand } from './stream-conflicts';
import { labelOf, say } from '../../shared/say';

/** Another deployed node, and the settings in which it contradicts. */
export interface Rival {
  node: string;
  settings: string[];
}

/**
 * What the deployed nodes of this process ask of things that they share, such as a stream. Each node claims when it
 * is made; once all are, `rivals` says who contradicts it.
 */
export class Claims<T> {
  private readonly claims = new Map<string, Set<{ node: string; demand: T }>>();

  constructor(private readonly conflicts: (a: T, b: T) => string[]) {}

  /** `thing` names what is claimed, `node` the claimer as errors call it. */
  claim(thing: string, node: string, demand: T): { rivals: () => Rival[]; release: () => void } {
    const own = { node, demand };
    const all = this.claims.get(thing) ?? new Set();
    this.claims.set(thing, all.add(own));
    return {
      rivals: () =>
        [...all]
          .map((other) => ({ node: other.node, settings: this.conflicts(demand, other.demand) }))
          .filter(({ settings }) => settings.length > 0),
      release: () => {
        all.delete(own);
        if (all.size === 0 && this.claims.get(thing) === all) this.claims.delete(thing);
      },
    };
  }
}

const streamClaims = new Claims<StreamDemand>(streamConflicts);

export interface Claim {
  /** Throws FlowError, naming both, where another deployed node contradicts. */
  check(): void;
  release(): void;
}

/** Of a node that provisions the stream; `node` as errors call it. STREAM_CONFLICT. */
export function claimStream(
  { settings }: Connection,
  node: string,
  stream: string,
  demand: StreamDemand,
): Claim {
  const { rivals, release } = streamClaims.claim(`${systemOf(settings)} ${stream}`, node, demand);
  return {
    release,
    check() {
      const [rival] = rivals();
      if (rival)
        throw new FlowError(
          'STREAM_CONFLICT',
          say`${node} and ${rival.node} both provision the stream "${stream}" with different settings (${rival.settings.map((name) => labelOf('stream', name)).join(', ')}): make them equal, or let one node alone provision it`,
          false,
        );
    },
  };
}

/** Which system and account these settings lead to: two jetstream-server nodes may lead to the same. */
export function systemOf({ servers, domain, auth, ...settings }: ServerSettings): string {
  const hosts = serverList(servers).map((server) => server.replace(/^nats:\/\//, '').replace(/:4222$/, ''));
  const { user, token, jwt, creds, nkeySeed, credentialsPath } = settings;
  const login = { none: [], userpass: [user] }[auth as 'none'] ?? [
    token,
    jwt,
    creds,
    nkeySeed,
    credentialsPath,
  ];
  const parts = JSON.stringify([hosts.sort(), domain ?? '', auth, login]);
  return createHash('sha256').update(parts).digest('base64');
}

/** What the operations tab, `jetforce/state` and `jetforce/metrics` show. Times in epoch ms, spans in ms; null: not known. */

export interface Problem {
  code: string;
  message: string;
}

interface Common {
  /** Of the node. */
  id: string;
  name: string;
}

export interface ServerState extends Common {
  /** As configured, without a login. */
  servers: string;
  phase: 'idle' | 'connecting' | 'connected' | 'disconnected';
  connectedTo: string | null;
  version: string | null;
  roundTrip: number | null;
  /** When the connection was lost, or first failed. */
  downSince: number | null;
  problem?: Problem;
}

/** Why nothing, or not all, goes on. */
export interface Held {
  /** `flow`: nodes of the flow hold messages until something out of reach is back. */
  by: 'paused' | 'stalled' | 'unmatched' | 'failing' | 'disconnected' | 'flow';
  /** Of an event source whose org can't be used: `OrgHeld.reason`. */
  reason?: string;
  /** Null where it was so before anybody could see it. */
  since: number | null;
  until?: number;
  code?: string;
  message?: string;
}

/** Dead letters that are in the flow again. */
export interface ReplayState {
  waiting: number;
  inFlow: number;
  succeeded: number;
  failed: number;
  /** The letter is as it was: the flow was stopped, or what it needs is out of reach. */
  postponed: number;
}

export interface DeadLetterState {
  subject: string;
  /** Undefined: no stream takes the subject, or none may be looked at. */
  stream?: string;
  /** Messages under the subject, those of others included. */
  stored: number | null;
  replay: ReplayState;
}

export interface DurableState extends Common {
  /** Id of the jetstream-server. */
  server: string;
  stream: string;
  durable: string;
  phase: 'connecting' | 'standby' | 'ready' | 'failing';
  /** In the flow of this Node-RED. */
  inFlow: number;
  /** By the server, over all who share the durable. */
  pending: number | null;
  inFlight: number | null;
  redelivered: number | null;
  waitingForRetry: number;
  nextRetry: number | null;
  /** Since somebody has last looked. */
  givenUp: number;
  /** By this Node-RED, since the deploy. */
  acknowledged: number;
  perSecond: number;
  paused: boolean;
  held: Held | null;
  deadLetter: DeadLetterState | null;
}

/** An event source of an org. */
export interface TopicState extends Common {
  /** Id of the sfdc-org. */
  org: string;
  topic: string;
  phase: string;
  inFlow: number;
  givenUp: number;
  held: Held | null;
  deadLetter: DeadLetterState | null;
}

export interface OrgHeld {
  reason: string;
  code: string;
  message: string;
  since: number;
  nextProbe: number;
}

export interface OrgState extends Common {
  session: 'none' | 'open';
  instanceUrl: string | null;
  apiVersion: string;
  /** The org's daily calls, and how many of them this pack may bring it to. */
  usage: { used: number; max: number; budget: number } | null;
  underWay: number;
  held: OrgHeld | null;
  pubsubHeld: OrgHeld | null;
}

export interface CollectionState {
  syncId: string;
  collection: string;
  phase: string;
  done: number;
  total: number | null;
  rate: number;
  lag: number | null;
  published: number;
  refused: number;
  /** API calls since this instance took it over. */
  calls: number | null;
  /** `since`: the first failure since something has worked. */
  problem?: Problem & { since?: number };
}

export interface SyncState extends Common {
  server: string;
  stream: string;
  collections: CollectionState[];
}

/** A node that writes. */
export interface WriterState extends Common {
  /** Handed to the node, and not confirmed yet. */
  messages: number;
  held: Held | null;
}

/** By kind, each in the order in which the nodes were made. */
export interface States {
  servers: ServerState[];
  durables: DurableState[];
  topics: TopicState[];
  writers: WriterState[];
  orgs: OrgState[];
  syncs: SyncState[];
}

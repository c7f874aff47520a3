/** What the parts of the org share. */
import { type IngestJobs } from './bulk/ingest';
import { type QueryJobs } from './bulk/query';
import { type Faults } from './control/faults';
import { type Ledger, type LedgerEntry } from '../support/simulated/ledger';
import { type Locks } from './store/locks';
import { type ConnectedApp } from './rest/oauth';
import { type EventBus } from './pubsub/bus';
import { PUBSUB_SWITCHES, type PubSubSwitches } from './pubsub/switches';
import { type Cursors } from './rest/cursors';
import { type Schema } from './store/schema';
import { type Session, type Sessions } from './rest/sessions';
import { type Store, type Transaction } from './store/store';

/** Facts that nobody could confirm, and manners that orgs differ in. Test the nodes under both settings. */
export interface Switches extends PubSubSwitches {
  /** The password flow is allowed; orgs made since Summer '23 block it by default. */
  passwordFlow: boolean;
  /** Client credentials are refused at the host `localhost` (as at login.salesforce.com) and work at 127.0.0.1 (as at My Domain). */
  myDomainOnly: boolean;
  /** The connected app has a user that client credentials run as. */
  clientCredentialsUser: boolean;
  /** A used refresh token is replaced by a new one and dies. */
  rotateRefreshTokens: boolean;
  /** Logins per user and hour before rate_limit_exceeded. */
  loginsPerHour: number;
  /** What a failed row without a record has for `id`: nothing, as documented, or null. */
  failedRowId: 'absent' | 'null';
  /** A failed row of an upsert says created: true, as some orgs do: only `success` tells. */
  failedRowCreated: boolean;
  /** Values that the JSON reader can't take, and unknown fields, fail their row or the whole collection (400). */
  unreadable: 'row' | 'request';
  /** The error code of a collection with more than 200 records, or 10 chunks. */
  collectionLimitCode: string;
  /**
   * allOrNone of a composite call is put into its Collections, as the documentation's text says; its example (case 4)
   * shows that it isn't: rows that are rolled back with the call stand there with `success: true`.
   */
  outerAllOrNoneOverrides: boolean;
  /** Writes hold their records and parents for as long as the call takes; who meets a held one gets UNABLE_TO_LOCK_ROW. */
  rowLocks: boolean;
  /** A write becomes visible this long after its SystemModstamp; its answer comes then. */
  lateCommitMs: number;
  /** Contacts and accounts with a name and e-mail that are there already are refused unless the call allows the save. */
  duplicateRules: boolean;
  /** Rows in a page of a query. */
  pageSize: number;
  /** Bytes of values in a page of a query after which it comes short, as pages of wide rows do; 0 never. */
  pageBytes: number;
  /** The same of a page of bulk results, however many records were asked for. */
  bulkPageBytes: number;
  /** Milliseconds of SystemModstamp that a query may ask for before it is a QUERY_TIMEOUT; 0 any. */
  queryWindowMs: number;
  /** COUNT() is a QUERY_TIMEOUT, as on objects that are too large to be counted. */
  countTimesOut: boolean;
  /** Open cursors of a user; the next one releases the oldest. */
  cursorsPerUser: number;
  /** How long a bulk job takes before its results are there. */
  bulkJobMs: number;
  /** What an ingest job takes beside that for each of its rows. */
  bulkRowMs: number;
  /** Bytes of a file that a bulk job takes. */
  bulkUploadBytes: number;
  /** Answers are packed for clients that take gzip. */
  gzip: boolean;
  /** Sforce-Limit-Info is behind by up to so many calls, differently from answer to answer. */
  usageDrift: number;
  /** Calls that may be under way for this long or longer, side by side, before others are refused. */
  longRunningCalls: number;
  longRunningMs: number;
  /** Epoch ms before which the log of deletions was purged. */
  deletionsKeptSince: number;
  /** What a start before the log is: INVALID_REPLICATION_DATE, or an answer whose earliestDateAvailable tells. */
  purgedDeletions: 'refused' | 'gap';
  /** Ids that /updated and /deleted give before they refuse the window. */
  replicationIds: number;
  /** Records that aren't shared with the API's user, by object: 'all' or their ids. Reads just don't have them. */
  unshared: Record<string, 'all' | readonly string[]>;
  /** Fields that the API's user may not see, by object. */
  hiddenFields: Record<string, readonly string[]>;
  /** A planned site switch: the org reads and doesn't write. */
  readOnly: boolean;
  /** Somebody else creates the record of an upsert just before it, so many times: the key is taken. */
  upsertRaces: number;
  /** Objects whose triggers fail every row of a collection with more rows than that, by a limit of Apex. */
  triggerRows: Record<string, number>;
  /**
   * Records of one collection that refer to one another by external id: of one type they never find each other
   * (documented for Apex; of REST unconfirmed).
   */
  sameTypeReferences: boolean;
}

export const SWITCHES: Switches = {
  ...PUBSUB_SWITCHES,
  passwordFlow: true,
  myDomainOnly: false,
  clientCredentialsUser: true,
  rotateRefreshTokens: false,
  loginsPerHour: 3600,
  failedRowId: 'absent',
  failedRowCreated: false,
  unreadable: 'row',
  collectionLimitCode: 'EXCEEDED_ID_LIMIT',
  outerAllOrNoneOverrides: false,
  rowLocks: false,
  lateCommitMs: 0,
  duplicateRules: false,
  pageSize: 2000,
  pageBytes: 8 * 1024 * 1024,
  bulkPageBytes: 256 * 1024 * 1024,
  queryWindowMs: 0,
  countTimesOut: false,
  cursorsPerUser: 10,
  bulkJobMs: 0,
  bulkRowMs: 0,
  bulkUploadBytes: 100 * 1024 * 1024,
  gzip: true,
  usageDrift: 0,
  longRunningCalls: 25,
  longRunningMs: 20_000,
  deletionsKeptSince: 0,
  purgedDeletions: 'refused',
  replicationIds: 600_000,
  unshared: {},
  hiddenFields: {},
  readOnly: false,
  upsertRaces: 0,
  triggerRows: {},
  sameTypeReferences: false,
};

/** PEM texts; clients trust `ca`. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

export interface Limit {
  Max: number;
  Remaining: number;
}

export interface OrgState {
  /** Another one after a sandbox was refreshed. */
  orgId: string;
  readonly userId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly username: string;
  readonly password: string;
  readonly securityToken: string;
  readonly latencyMs: number;
  readonly recordLatencyMs: number;
  /** http(s)://127.0.0.1:port, known once the server listens. */
  url: string;
  /** host:port that the org had before it was moved; undefined where it wasn't. */
  movedFrom: string | undefined;
  /** Where the Pub/Sub side is: `http://127.0.0.1:port` in plain text, `localhost:port` behind TLS. */
  pubsub: string | undefined;
  /** With the Pub/Sub side. */
  eventBus: EventBus | undefined;
  /** Where the org speaks TLS. */
  readonly certificates: Certificates | undefined;
  readonly schema: Schema;
  readonly store: Store;
  readonly app: ConnectedApp;
  readonly sessions: Sessions;
  readonly locks: Locks;
  readonly cursors: Cursors;
  readonly queryJobs: QueryJobs;
  readonly ingestJobs: IngestJobs;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly switches: Switches;
  readonly limits: Record<string, Limit>;
}

/** One REST call, or one part of a composite call. */
export interface Call {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  /** "65.0" */
  readonly version: string;
  /** Decoded parts of the path after /services/data/vXX.X. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON, or the text of a CSV upload. */
  readonly body: unknown;
  readonly session: Session;
  readonly tx: Transaction;
  readonly entry: LedgerEntry;
  /** Records, and ids of records, whose row locks another call holds. */
  readonly blocked: ReadonlySet<unknown>;
}

export type { Reply } from '../support/simulated/exchange';

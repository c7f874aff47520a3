/** The simulated Salesforce org: a real HTTP server on loopback that keeps real records, held to facts that an org is known by. */
import { generateKeyPairSync } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { IngestJobs } from './bulk/ingest';
import { QueryJobs } from './bulk/query';
import { makeAuthority } from '../support/certificates';
import { closeServer, listen } from '../support/simulated/exchange';
import { allRecords, removeRecords, undelete, write, writeLate, type Colleague } from './control/colleague';
import { archive, refreshSandbox } from './control/admin';
import { setLimits } from './control/routes';
import { initialLimits } from './rest/describe';
import { type SaveResult } from './store/dml';
import { migrate } from './migrate';
import { Faults } from './control/faults';
import { generator } from './store/generate';
import { handler } from './rest/http';
import { recordId } from './store/ids';
import { Ledger, type LedgerEntry } from '../support/simulated/ledger';
import { Locks } from './store/locks';
import { ConnectedApp } from './rest/oauth';
import { startPubSub } from './pubsub/server';
import { EventBus, type ListedEvent } from './pubsub/bus';
import { Cursors } from './rest/cursors';
import { Schema, type SObjectDeclaration, type SObjectType } from './store/schema';
import { Sessions } from './rest/sessions';
import { SWITCHES, type Limit, type Certificates, type OrgState, type Switches } from './state';
import { STANDARD_OBJECTS } from './store/standard-objects';
import { Store } from './store/store';
import { type Generator, type Row } from './store/table';

export interface OrgOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Simulated time of a call, and of each record written or read by id in it. Calls run side by side. */
  latencyMs?: number;
  recordLatencyMs?: number;
  /** HTTPS with a certificate of the org's own authority; clients trust `org.ca`. */
  tls?: boolean;
  /**
   * The Pub/Sub side, on a free port unless one is given, behind TLS unless it says otherwise where the org speaks it.
   * Changes are captured from the moment it starts: not the seed.
   */
  pubsub?: boolean | { port?: number; tls?: boolean };
  /** Objects and fields beside those a new org has. */
  schema?: SObjectDeclaration[];
  switches?: Partial<Switches>;
  /** How many records an object has from the start that are computed, not stored: {Contact: 1_000_000}. */
  generate?: Record<string, number>;
  /** Records that are there from the start, by object. */
  seed?: Record<string, Record<string, unknown>[]>;
  clientId?: string;
  clientSecret?: string;
  username?: string;
  password?: string;
  /** What the password flow wants after the password. */
  securityToken?: string;
}

export interface Org extends Readonly<Omit<OrgState, 'faults' | 'limits'>> {
  readonly faults: Pick<Faults, 'add' | 'clear' | 'list'>;
  /** Records that are not deleted, or all with `deleted`. */
  records(sobject: string, options?: { deleted?: boolean }): Row[];
  /** Acts as another user of the org: creates records, or updates those with an Id. Throws where the org refuses. */
  write(sobject: string, ...records: Record<string, unknown>[]): SaveResult[];
  /** The same in a transaction that begins now and commits `ms` later, with the SystemModstamp of now. */
  writeLate(sobject: string, ms: number, ...records: Record<string, unknown>[]): Promise<SaveResult[]>;
  remove(sobject: string, ids: string[], options?: { hard?: boolean }): void;
  undelete(sobject: string, ids: string[]): void;
  /** Events that were published and are kept, of a topic or all. */
  events(topic?: string): ListedEvent[];
  /** What tests do to the Pub/Sub side; throws where the org was started without. */
  bus(): EventBus;
  /** Calls that reached the org so far. */
  requests(): LedgerEntry[];
  clearRequests(): void;
  expireSessions(): void;
  /** Sets what is given of each limit; returns all. */
  limits(set?: Record<string, Partial<Limit>>): Record<string, Limit>;
  /** A refresh token of the API's user, as the web flow would have given. */
  refreshToken(): string;
  /** A new private key (PEM) whose public half the connected app checks JWTs with from now on. */
  privateKey(): string;
  /** PEM of the authority that signed the org's certificates, where it speaks TLS. */
  ca: string | undefined;
  /**
   * Moves the org to another instance: from now on logins name that one, and data calls at the old address are
   * redirected. `url`, where to log in, stays.
   */
  migrate(): void;
  /** Archives tasks or events: from then on only queryAll has them. */
  archive(sobject: string, ids: string[]): void;
  /** The org becomes another copy of its production: another organization id, the same logins, no sessions, no events. */
  refreshSandbox(): void;
  /** Makes an object or changes its fields. */
  declare(declaration: SObjectDeclaration): SObjectType;
  close(): Promise<void>;
}

export async function startOrg(options: OrgOptions = {}): Promise<Org> {
  const schema = new Schema([...STANDARD_OBJECTS, ...(options.schema ?? [])]);
  const generators = new Map<string, Generator>();
  const store = new Store(schema, generators);
  const username = options.username ?? 'admin@org.example';
  const users = addUsers(store, username);
  const orgId = addOrganization(store, users.admin);
  for (const [sobject, count] of Object.entries(options.generate ?? {})) {
    generators.set(sobject, generator(named(schema, sobject), count, users.colleague, store.now()));
  }
  const { tls = false } = options;
  const pubsub = pubsubOptions(options);
  const certificates = tls || pubsub?.tls ? await makeCertificates() : undefined;
  const state: OrgState = {
    orgId,
    userId: users.admin,
    clientId: options.clientId ?? '3MVG9simulatedConnectedApp.ConsumerKey',
    clientSecret: options.clientSecret ?? 'simulatedConsumerSecret',
    username,
    password: options.password ?? 'simulatedPassword',
    securityToken: options.securityToken ?? '',
    latencyMs: options.latencyMs ?? 0,
    recordLatencyMs: options.recordLatencyMs ?? 0,
    url: '',
    movedFrom: undefined,
    pubsub: undefined,
    eventBus: undefined,
    certificates,
    schema,
    store,
    app: new ConnectedApp(),
    sessions: new Sessions(
      () => state.orgId,
      () => store.now(),
    ),
    locks: new Locks(),
    cursors: new Cursors(),
    queryJobs: new QueryJobs(),
    ingestJobs: new IngestJobs(),
    faults: new Faults(),
    ledger: new Ledger(),
    switches: { ...SWITCHES, ...options.switches },
    limits: initialLimits(),
  };
  schema.hides = (sobject) => state.switches.hiddenFields[sobject];
  const on: Colleague = { org: state, userId: users.colleague };
  for (const [sobject, records] of Object.entries(options.seed ?? {}))
    write(on, named(schema, sobject), records);
  const server = serverOf(on, tls ? certificates : undefined);
  const port = await listen(server, options.port ?? 0);
  state.url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const closing = [() => closeServer(server)];
  if (pubsub) {
    state.eventBus = new EventBus(state);
    const side = await startPubSub(state, state.eventBus, pubsub.port, pubsub.tls ? certificates : undefined);
    state.pubsub = side.endpoint;
    closing.push(() => side.close());
  }
  return {
    ...state,
    ...helpers(on),
    get orgId() {
      return state.orgId;
    },
    ca: certificates?.ca,
    close: async () => void (await Promise.all(closing.map((end) => end()))),
  };
}

function pubsubOptions({ pubsub, tls = false }: OrgOptions): { port: number; tls: boolean } | undefined {
  if (pubsub === undefined || pubsub === false) return undefined;
  const asked = pubsub === true ? {} : pubsub;
  return { port: asked.port ?? 0, tls: asked.tls ?? tls };
}

function serverOf(on: Colleague, certificates: Certificates | undefined): HttpServer {
  const handle = handler(on);
  const settings = { maxHeaderSize: 64 * 1024, keepAliveTimeout: 60_000 };
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
    void handle(incoming, outgoing);
  return certificates
    ? createTlsServer({ ...settings, cert: certificates.cert, key: certificates.key }, listener)
    : createServer(settings, listener);
}

async function makeCertificates(): Promise<Certificates> {
  const authority = await makeAuthority();
  return { ca: authority.ca, ...(await authority.server()) };
}

/** The administrator that the API is used as, and a colleague who works in the org by hand. */
function addUsers(store: Store, username: string): { admin: string; colleague: string } {
  const type = named(store.schema, 'User');
  const tx = store.begin({ user: recordId(type.keyPrefix, 1), origin: 'com/salesforce/setup' });
  const admin = tx.insert(type, { Name: 'Integration User', Username: username, Email: 'admin@org.example' });
  const colleague = tx.insert(type, {
    Name: 'Org User',
    Username: `colleague.${username}`,
    Email: 'colleague@org.example',
  });
  tx.commit();
  return { admin, colleague };
}

/** What the org says about itself, in a record that has its id. */
function addOrganization(store: Store, user: string): string {
  const tx = store.begin({ user, origin: 'com/salesforce/setup' });
  const id = tx.insert(named(store.schema, 'Organization'), {
    Name: 'Simulated Org',
    OrganizationType: 'Developer Edition',
    InstanceName: 'SIM1',
    IsSandbox: false,
  });
  tx.commit();
  return id;
}

function named(schema: Schema, name: string): SObjectType {
  const type = schema.whole(name);
  if (!type) throw new Error(`the org has no object ${name}`);
  return type;
}

function helpers(on: Colleague): Omit<Org, keyof OrgState | 'close' | 'ca'> & Pick<Org, 'faults' | 'limits'> {
  const { org } = on;
  const bus = (): EventBus => {
    if (!org.eventBus)
      throw new Error('the org was started without its Pub/Sub side: startOrg({ pubsub: true })');
    return org.eventBus;
  };
  return {
    faults: org.faults,
    records: (sobject, { deleted = false } = {}) => allRecords(org, named(org.schema, sobject), deleted),
    write: (sobject, ...records) => write(on, named(org.schema, sobject), records),
    writeLate: (sobject, ms, ...records) => writeLate(on, named(org.schema, sobject), records, ms),
    remove: (sobject, ids, { hard = false } = {}) =>
      void removeRecords(on, named(org.schema, sobject), ids, hard),
    undelete: (sobject, ids) => void undelete(on, named(org.schema, sobject), ids),
    events: (topic) => bus().list(topic),
    bus,
    requests: () => org.ledger.entries(),
    clearRequests: () => org.ledger.clear(),
    expireSessions: () => void org.sessions.expire(),
    limits: (set = {}) => setLimits(org, set),
    refreshToken: () => org.app.issueRefreshToken(org.userId),
    privateKey: () => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      org.app.publicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
      return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    },
    migrate: () => migrate(org),
    archive: (sobject, ids) => archive(org, named(org.schema, sobject), ids),
    refreshSandbox: () => refreshSandbox(org),
    declare: (declaration) => org.schema.declare(declaration),
  };
}

/** The simulated Salesforce org: a real HTTP server on loopback that keeps real records, held to facts that an org is known by. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { allRecords, removeRecords, setLimits, undelete, write, type Control } from './control';
import { initialLimits } from './describe';
import { type SaveResult } from './dml';
import { Faults, type Fault } from './faults';
import { handler } from './http';
import { recordId } from './ids';
import { Ledger, type LedgerEntry } from './ledger';
import { Schema, type SObjectDeclaration, type SObjectType } from './schema';
import { Sessions } from './sessions';
import { SWITCHES, type Limit, type OrgState, type Switches } from './state';
import { STANDARD_OBJECTS } from './standard-objects';
import { Store } from './store';
import { type Row } from './table';

export interface OrgOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Simulated time of a call, and of each record written or read by id in it. Calls run side by side. */
  latencyMs?: number;
  recordLatencyMs?: number;
  /** Objects and fields beside those a new org has. */
  schema?: SObjectDeclaration[];
  switches?: Partial<Switches>;
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
  readonly faults: { add(...faults: Fault[]): void; clear(): void };
  /** Records that are not deleted, or all with `deleted`. */
  records(sobject: string, options?: { deleted?: boolean }): Row[];
  /** Acts as another user of the org: creates records, or updates those with an Id. Throws where the org refuses. */
  write(sobject: string, ...records: Record<string, unknown>[]): SaveResult[];
  remove(sobject: string, ids: string[], options?: { hard?: boolean }): void;
  undelete(sobject: string, ids: string[]): void;
  /** Calls that reached the org so far. */
  requests(): LedgerEntry[];
  clearRequests(): void;
  expireSessions(): void;
  /** Sets what is given of each limit; returns all. */
  limits(set?: Record<string, Partial<Limit>>): Record<string, Limit>;
  /** Makes an object or changes its fields. */
  declare(declaration: SObjectDeclaration): SObjectType;
  close(): Promise<void>;
}

export async function startOrg(options: OrgOptions = {}): Promise<Org> {
  const schema = new Schema([...STANDARD_OBJECTS, ...(options.schema ?? [])]);
  const store = new Store(schema);
  const orgId = recordId('00D', 1);
  const username = options.username ?? 'admin@org.example';
  const users = addUsers(store, username);
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
    pubsub: undefined,
    schema,
    store,
    sessions: new Sessions(orgId, () => store.now()),
    faults: new Faults(),
    ledger: new Ledger(),
    switches: { ...SWITCHES, ...options.switches },
    limits: initialLimits(),
  };
  const on: Control = { org: state, userId: users.colleague, events: () => [] };
  for (const [sobject, records] of Object.entries(options.seed ?? {}))
    write(on, named(schema, sobject), records);
  const handle = handler(on);
  const server = createServer(
    { maxHeaderSize: 64 * 1024 },
    (incoming, outgoing) => void handle(incoming, outgoing),
  );
  await listen(server, options.port ?? 0);
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { ...state, ...helpers(on), close: () => close(server) };
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

function named(schema: Schema, name: string): SObjectType {
  const type = schema.type(name);
  if (!type) throw new Error(`the org has no object ${name}`);
  return type;
}

function helpers(on: Control): Omit<Org, keyof OrgState | 'close'> & Pick<Org, 'faults' | 'limits'> {
  const { org } = on;
  return {
    faults: org.faults,
    records: (sobject, { deleted = false } = {}) => allRecords(org, named(org.schema, sobject), deleted),
    write: (sobject, ...records) => write(on, named(org.schema, sobject), records),
    remove: (sobject, ids, { hard = false } = {}) =>
      void removeRecords(on, named(org.schema, sobject), ids, hard),
    undelete: (sobject, ids) => void undelete(on, named(org.schema, sobject), ids),
    requests: () => org.ledger.entries(),
    clearRequests: () => org.ledger.clear(),
    expireSessions: () => void org.sessions.expire(),
    limits: (set = {}) => {
      setLimits(org, set);
      return org.limits;
    },
    declare: (declaration) => org.schema.declare(declaration),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

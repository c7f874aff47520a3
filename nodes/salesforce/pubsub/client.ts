import { FlowError } from '../../shared/errors';
import type { Grant } from '../org/auth';
import { Availability, type Unavailable, type ProbePauses } from '../org/availability';
import { OrgOutage } from '../org/outage';
import { parseEndpoint } from './endpoint';
import { RpcError, troubleOf, type Trouble } from './errors';
import type { PubSubChannel } from './grpc';
import { EventSchemas } from './schemas';
import type { OrgSession } from '../org/session';
import { say } from '../../shared/say';

const LOOKUP_TIMEOUT = 20_000;

/** The trouble a call had, where it is none of the org being out of reach. */
export class PubSubRefusal extends Error {
  constructor(readonly trouble: Exclude<Trouble, { kind: 'outage' | 'session' }>) {
    super(trouble.error.message, { cause: trouble.error });
  }
}

/**
 * One org's Pub/Sub API: one connection and one cache of schemas, shared by all nodes, with the org's session.
 * It goes down apart from the REST API, so it has an availability of its own; a login that fails is the session's.
 */
export class PubSub {
  readonly schemas: EventSchemas;
  /** For statuses: why nothing is sent at this moment. */
  readonly availability: { readonly current: Unavailable | undefined };
  /** The part of it that isn't the session's. */
  readonly ownAvailability: Availability;
  private readonly listeners = new Set<() => void>();
  private readonly stopListening: () => void;
  private channel: Promise<PubSubChannel> | undefined;
  private probed = '';
  private closed = false;

  constructor(
    readonly session: OrgSession,
    readonly endpoint: string,
    pauses?: ProbePauses,
  ) {
    const current = () => this.unavailable;
    this.availability = {
      get current() {
        return current();
      },
    };
    this.ownAvailability = new Availability(
      () => this.probe(),
      () => this.changed(),
      pauses,
    );
    this.stopListening = session.onChange(() => this.changed());
    this.schemas = new EventSchemas({
      getTopic: (topic) =>
        this.call(say`topic ${topic}`, (channel, grant) => channel.getTopic(grant, topic, LOOKUP_TIMEOUT)),
      getSchema: (id) =>
        this.call(say`schema ${id}`, (channel, grant) => channel.getSchema(grant, id, LOOKUP_TIMEOUT)),
    });
  }

  get accessToken(): string | undefined {
    return this.session.accessToken;
  }

  /** Without a session everybody waits for the login. The org's limit of REST calls is none of Pub/Sub's. */
  private get unavailable(): Unavailable | undefined {
    return (
      this.ownAvailability.current ??
      (this.session.accessToken === undefined ? this.session.availability.current : undefined)
    );
  }

  /** Called whenever an outage begins, changes or ends; returns the way to stop listening. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Nothing is sent until a probe with this topic says that the Pub/Sub API is back. */
  begin(outage: OrgOutage, topic: string): void {
    if (this.unavailable) return;
    this.probed = topic;
    this.ownAvailability.begin(outage);
  }

  /** A call was carried out: the API is well. */
  worked(): void {
    this.ownAvailability.worked();
  }

  /**
   * A call with the session; where the org doesn't take it any more, once again with a new one. Throws OrgOutage or
   * PubSubRefusal.
   */
  async call<T>(what: string, rpc: (channel: PubSubChannel, grant: Grant) => Promise<T>): Promise<T> {
    const channel = await this.open();
    const grant = await this.login(this.session.login());
    try {
      return await rpc(channel, grant);
    } catch (error) {
      if (this.troubleOf(error, what).kind !== 'session') throw this.explain(error, what);
    }
    const renewed = await this.login(this.session.relogin(grant.accessToken));
    try {
      return await rpc(channel, renewed);
    } catch (error) {
      throw this.explain(error, what);
    }
  }

  /** Resolves where the API answers, if only by refusing the topic. Throws OrgOutage, or FlowError (the endpoint). */
  async test(topic: string, timeout = LOOKUP_TIMEOUT): Promise<void> {
    try {
      await this.find(topic, timeout);
    } catch (error) {
      if (!(error instanceof PubSubRefusal)) throw error;
    }
  }

  /** Throws OrgOutage, and FlowError where this user has no such topic. */
  async find(topic: string, timeout = LOOKUP_TIMEOUT): Promise<void> {
    await this.call(say`topic ${topic}`, (channel, grant) => channel.getTopic(grant, topic, timeout));
  }

  /** The connection, for streams. Throws FlowError where the endpoint makes no sense. */
  open(): Promise<PubSubChannel> {
    if (this.closed) return Promise.reject(new FlowError('CLOSED', say`The org was closed`));
    this.channel ??= this.connect();
    return this.channel;
  }

  /** Makes the session unavailable where the login fails: everybody needs it. */
  async login(login: Promise<Grant>): Promise<Grant> {
    try {
      return await login;
    } catch (error) {
      if (error instanceof OrgOutage) this.session.availability.begin(error);
      throw error;
    }
  }

  troubleOf(error: unknown, what: string): Trouble {
    const rpc =
      error instanceof RpcError ? error : new RpcError('UNKNOWN', String(error), undefined, { cause: error });
    return troubleOf(rpc, what, this.endpoint);
  }

  /** What a caller is to be told of a failed call. */
  explain(error: unknown, what: string): Error {
    if (error instanceof FlowError) return error;
    const trouble = this.troubleOf(error, what);
    if (trouble.kind === 'session') return sessionRefused(error);
    if (trouble.kind === 'outage') return trouble.outage;
    return new PubSubRefusal(trouble);
  }

  /** Calls under way fail. */
  close(): void {
    this.closed = true;
    this.stopListening();
    this.ownAvailability.close();
    this.channel?.then(
      (channel) => channel.close(),
      () => undefined,
    );
  }

  private async connect(): Promise<PubSubChannel> {
    const endpoint = parseEndpoint(this.endpoint);
    const { PubSubChannel } = await import('./grpc.js');
    return new PubSubChannel(endpoint, this.session.secrets);
  }

  private async probe(): Promise<void> {
    // Waits for the login as everybody does, instead of trying it on its own.
    if (this.session.accessToken === undefined && this.session.availability.current) return;
    await this.test(this.probed);
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

function sessionRefused(error: unknown): OrgOutage {
  const { reason, message } = error as RpcError;
  return new OrgOutage(
    'login',
    reason,
    say`The Pub/Sub API refuses a session that the org has just granted (${reason}: ${message}); check that the connected app has the scope "api", the user may use the API, and the Pub/Sub endpoint is that of this org`,
    false,
    { cause: error },
  );
}

import { setImmediate as turn } from 'node:timers/promises';
import type { Grant } from '../../../nodes/salesforce/org/auth';
import { Availability, type ProbePauses } from '../../../nodes/salesforce/org/availability';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { PubSub } from '../../../nodes/salesforce/pubsub/client';
import { RpcError } from '../../../nodes/salesforce/pubsub/errors';
import type { PubSubChannel } from '../../../nodes/salesforce/pubsub/grpc';
import type {
  FetchRequest,
  FetchResponse,
  ProducerEvent,
  PublishRequest,
  PublishResponse,
  RpcListener,
} from '../../../nodes/salesforce/pubsub/messages';
import type { OrgSession } from '../../../nodes/salesforce/org/session';

/** The Pub/Sub side of an org that a test plays itself, call by call: what it answers, when, and in which order. */
export class Desk {
  /** Of the topic, as GetTopic says it; GetSchema knows every id that was ever here. */
  schemaId = 'schema-1';
  readonly schemas = new Map<string, string>();
  /** What GetTopic and GetSchema do beside answering: throw, or take their time. */
  onTopic: () => void | Promise<void> = () => undefined;
  onSchema: (id: string) => void | Promise<void> = () => undefined;
  canPublish = true;
  topicCalls = 0;
  schemaCalls = 0;
  readonly publishing: PlayedStream<PublishRequest, PublishResponse>[] = [];
  readonly reading: PlayedStream<FetchRequest, FetchResponse>[] = [];
  /** Answers publish requests where it is set; else the test does. */
  publisher: ((request: PublishRequest, nth: number) => PublishResponse | RpcError | undefined) | undefined;
  /** Events as published, in order. */
  readonly published: ProducerEvent[] = [];
  readonly requests: PublishRequest[] = [];
  readonly session = new PlayedSession();
  readonly pubsub: PubSub;

  constructor() {
    this.define('schema-1', 'Order_ID__c', 'Status__c');
    this.pubsub = new PubSub(this.session as unknown as OrgSession, 'http://127.0.0.1:1', PAUSES);
    this.pubsub.open = () => Promise.resolve(this as unknown as PubSubChannel);
  }

  /** A definition of the event, with these fields. */
  define(id: string, ...fields: string[]): void {
    this.schemaId = id;
    this.schemas.set(id, definition(...fields));
  }

  async getTopic(_auth: unknown, topic: string) {
    this.topicCalls++;
    await this.onTopic();
    return { topic_name: topic, can_publish: this.canPublish, can_subscribe: true, schema_id: this.schemaId };
  }

  async getSchema(_auth: unknown, id: string) {
    this.schemaCalls++;
    await this.onSchema(id);
    const schema_json = this.schemas.get(id);
    if (schema_json === undefined)
      throw new RpcError('NOT_FOUND', 'no such schema', 'schema.meta.permission');
    return { schema_id: id, schema_json };
  }

  publishStream(auth: Grant, listener: RpcListener<PublishResponse>) {
    const stream = new PlayedStream<PublishRequest, PublishResponse>(auth, listener, (request) => {
      const nth = this.requests.push(request) - 1;
      if (!this.publisher) return;
      setImmediate(() => {
        const answer = this.publisher?.(request, nth);
        if (answer instanceof RpcError) stream.over(answer);
        else if (answer) stream.data(answer);
      });
    });
    this.publishing.push(stream);
    return stream;
  }

  subscribe(auth: Grant, listener: RpcListener<FetchResponse>) {
    const stream = new PlayedStream<FetchRequest, FetchResponse>(auth, listener);
    this.reading.push(stream);
    return stream;
  }

  /** Publishes the whole request. */
  accept(request: PublishRequest): PublishResponse {
    const before = this.published.length;
    this.published.push(...request.events);
    return results(...request.events.map((_, i) => before + i));
  }

  close(): void {
    this.pubsub.close();
    this.session.availability.close();
  }
}

const PAUSES: ProbePauses = { unreachable: [2, 8], login: [2, 8], limit: [2, 8], budget: [2, 8] };

/** A call that stays open: what was written to it, and what the org says. */
export class PlayedStream<Request, Response> {
  readonly written: Request[] = [];
  ended = false;
  cancelled = false;
  private isOver = false;

  constructor(
    readonly auth: Grant,
    private readonly listener: RpcListener<Response>,
    private readonly onWrite: (request: Request) => void = () => undefined,
  ) {}

  write(request: Request): void {
    this.written.push(request);
    this.onWrite(request);
  }

  end(): void {
    this.ended = true;
  }

  cancel(): void {
    this.cancelled = true;
    setImmediate(() => this.over(new RpcError('CANCELLED', 'Cancelled on client', undefined)));
  }

  data(response: Response): void {
    if (!this.isOver) this.listener.data(response);
  }

  /** The end of the call; with an error its failure. */
  over(error?: RpcError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.listener.over(error);
  }
}

/** A session whose logins the test counts, and makes fail. */
export class PlayedSession {
  userId = '005000000000001AAA';
  accessToken: string | undefined;
  logins = 0;
  onLogin: () => void | Promise<void> = () => undefined;
  probe: () => Promise<void> = () => Promise.resolve();
  private readonly listeners = new Set<() => void>();
  readonly availability = new Availability(
    () => this.probe(),
    () => this.changed(),
    PAUSES,
  );

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  async login(): Promise<Grant> {
    if (this.accessToken === undefined) {
      this.logins++;
      await this.onLogin();
      this.accessToken = `token-${this.logins}`;
      this.changed();
    }
    return {
      accessToken: this.accessToken,
      instanceUrl: 'http://127.0.0.1',
      organizationId: '00D000000000001AAA',
      userId: this.userId,
    };
  }

  relogin(stale: string): Promise<Grant> {
    if (this.accessToken === stale) this.accessToken = undefined;
    return this.login();
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

export function definition(...fields: string[]): string {
  return JSON.stringify({
    name: 'Order__e',
    namespace: 'com.sforce.eventbus',
    type: 'record',
    fields: [
      { name: 'CreatedDate', type: 'long', doc: 'CreatedDate:DateTime' },
      { name: 'CreatedById', type: 'string', doc: 'CreatedBy:EntityId' },
      ...fields.map((name) => ({ name, type: ['null', 'string'], doc: 'Data:Text:00N', default: null })),
    ],
  });
}

export const replayId = (n: number): Buffer => Buffer.from([0, 0, 0, n >> 8, n & 0xff]);
export const position = (n: number): string => replayId(n).toString('base64');

/** One result for each: the number of its replay id, or the org's error. */
export function results(...each: (number | string)[]): PublishResponse {
  return {
    results: each.map((one) =>
      typeof one === 'number'
        ? { replay_id: replayId(one), error: null, correlation_key: '' }
        : { replay_id: Buffer.alloc(0), error: { code: 'PUBLISH', msg: one }, correlation_key: '' },
    ),
  };
}

export const rpc = (status: string, reason?: string, message = 'simulated'): RpcError =>
  new RpcError(status, message, reason);

export const unreachable = (): OrgOutage => new OrgOutage('unreachable', 'GONE', 'the org is gone', false);

/** A few turns of the event loop, so that whatever can happen without time passing has happened. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** A promise and its ends. */
export function deferred<T = void>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((...ends) => ([resolve, reject] = ends));
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

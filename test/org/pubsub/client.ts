/** Clients of the Pub/Sub side for its tests: the npm package, and raw calls by the proto file that comes with it. */
import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type ClientDuplexStream,
  type ServiceClientConstructor,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import path from 'node:path';
import { type TestContext } from 'node:test';
import { until } from '../../support/until';
import { connect } from '../connect';
import { type Org } from '../org';
import {
  type FetchResponse,
  type ManagedFetchResponse,
  type PublishResponse,
  type SchemaInfo,
  type TopicInfo,
} from './messages';

/** Fields left out have their default. */
type Message = Record<string, unknown>;

interface Responses {
  GetTopic: TopicInfo;
  GetSchema: SchemaInfo;
  Publish: PublishResponse;
  PublishStream: PublishResponse;
  Subscribe: FetchResponse;
  ManagedSubscribe: ManagedFetchResponse;
}
type Unary = 'GetTopic' | 'GetSchema' | 'Publish';
type Streaming = Exclude<keyof Responses, Unary>;

/** An open stream, with all it has received so far. */
export interface OpenStream<Response> {
  received: Response[];
  /** Once the stream is over. */
  status: Promise<StatusObject>;
  write(request: Message): void;
  end(): void;
  cancel(): void;
}

export interface RawPubSub {
  metadata: Metadata;
  call<Name extends Unary>(name: Name, request: Message): Promise<Responses[Name]>;
  /** The refusal of a call that must fail. */
  refusal(name: Unary, request: Message): Promise<Refusal>;
  stream<Name extends Streaming>(name: Name, ...requests: Message[]): OpenStream<Responses[Name]>;
}

export interface Refusal {
  code: number;
  /** Without the prefix, which is checked. */
  errorCode: string | undefined;
  details: string;
}

const PREFIX = 'sfdc.platform.eventbus.grpc.';

export function refusalOf({ code, details, metadata }: StatusObject | ServiceError): Refusal {
  const trailer = metadata.get('error-code')[0]?.toString();
  if (trailer !== undefined && !trailer.startsWith(PREFIX)) throw new Error(`trailer ${trailer}`);
  return { code, errorCode: trailer?.slice(PREFIX.length), details };
}

/** The proto file of the npm package: its numbers are the client's, not the org's. */
function clientConstructor(): ServiceClientConstructor {
  const proto = path.join(require.resolve('salesforce-pubsub-api-client'), '../../pubsub_api.proto');
  const loaded = loadPackageDefinition(loadSync(proto, { defaults: true, longs: Number })) as unknown as {
    eventbus: { v1: { PubSub: ServiceClientConstructor } };
  };
  return loaded.eventbus.v1.PubSub;
}

/** Logged in by client credentials; closed with the test. */
export async function rawPubSub(t: TestContext, org: Org): Promise<RawPubSub> {
  const { accessToken } = await connect(org);
  const endpoint = org.pubsub ?? '';
  const Client = clientConstructor();
  const plain = /^http:\/\/(.*)/.exec(endpoint)?.[1];
  const client = new Client(
    plain ?? endpoint,
    plain === undefined ? credentials.createSsl(Buffer.from(org.ca ?? '')) : credentials.createInsecure(),
  );
  t.after(() => client.close());
  const metadata = new Metadata();
  metadata.set('accesstoken', accessToken ?? '');
  metadata.set('instanceurl', org.url);
  metadata.set('tenantid', org.orgId);
  const methods = client as unknown as Record<string, (...given: unknown[]) => unknown>;
  const call = <Name extends Unary>(name: Name, request: Message): Promise<Responses[Name]> =>
    new Promise((resolve, reject) => {
      methods[name]?.(request, metadata, (error: ServiceError | null, response: Responses[Name]) =>
        error ? reject(error) : resolve(response),
      );
    });
  return {
    metadata,
    call,
    refusal: (name, request) =>
      call(name, request).then(
        () => Promise.reject(new Error(`${name} was not refused`)),
        (error: unknown) => refusalOf(error as ServiceError),
      ),
    stream: <Name extends Streaming>(name: Name, ...requests: Message[]) => {
      const open = methods[name]?.(metadata) as ClientDuplexStream<Message, Responses[Name]>;
      const received: Responses[Name][] = [];
      open.on('data', (response: Responses[Name]) => received.push(response));
      open.on('error', () => undefined);
      const status = new Promise<StatusObject>((resolve) => open.on('status', resolve));
      for (const request of requests) open.write(request);
      return {
        received,
        status,
        write: (request) => void open.write(request),
        end: () => void open.end(),
        cancel: () => open.cancel(),
      };
    },
  };
}

/** What a test does by `/_org`; the answer's body. */
export async function control(org: Org, method: string, route: string, body?: object): Promise<unknown> {
  const response = await fetch(`${org.url}/_org/${route}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status !== 200)
    throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
  return await response.json();
}

/** The events of a stream's responses. */
export function events(stream: OpenStream<FetchResponse>): FetchResponse['events'] {
  return stream.received.flatMap((response) => response.events);
}

export interface Callback {
  type: string;
  data: unknown;
}

export type NpmPubSub = Awaited<ReturnType<typeof npmPubSub>>;

/** salesforce-pubsub-api-client, logged in; it speaks TLS alone. The org is closed with the test. */
export async function npmPubSub(t: TestContext, org: Org) {
  const { default: Client } = await import('salesforce-pubsub-api-client');
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const client = new Client(
    {
      authType: 'oauth-client-credentials',
      loginUrl: org.url,
      clientId: org.clientId,
      clientSecret: org.clientSecret,
      pubSubEndpoint: org.pubsub,
      rejectUnauthorizedSsl: false,
    },
    quiet,
  );
  await client.connect();
  const all: Callback[][] = [];
  t.after(async () => {
    // It leaves its streams open and deaf when it is closed; so the org ends them first.
    await org.close();
    const over = (calls: Callback[]): boolean => calls.some(({ type }) => type === 'grpcStatus');
    await until(() => all.every(over), { what: 'the end of all streams' });
    client.close();
  });
  return {
    client,
    /** A callback for subscribe and publishBatch, and what it was called with. */
    listener: () => {
      const calls: Callback[] = [];
      all.push(calls);
      const callback = (_: unknown, type: string, data?: unknown): void => void calls.push({ type, data });
      return { calls, callback };
    },
  };
}

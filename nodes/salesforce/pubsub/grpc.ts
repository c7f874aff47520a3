import { Client, Metadata, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition, type Options, type ServiceDefinition } from '@grpc/proto-loader';
import { join } from 'node:path';
import { Secrets } from '../../shared/secrets';
import type { Endpoint } from './endpoint';
import { RpcError } from './errors';
import type {
  FetchRequest,
  FetchResponse,
  PubSubAuth,
  PublishRequest,
  PublishResponse,
  RpcListener,
  RpcStream,
  SchemaInfo,
  TopicInfo,
} from './messages';

/** Names as in the .proto, absent texts empty, absent messages null. */
const LOADING = { keepCase: true, defaults: true, enums: String, longs: Number };
/** Lists are there, and else what isn't empty: to fill in the rest takes longer than to read an event. */
const SPARSE = { ...LOADING, defaults: false, arrays: true };

/**
 * A half-open connection shows only when something is sent: ping while calls are open. Often enough for a
 * firewall that forgets idle connections, seldom enough for a server that counts pings.
 */
const OPTIONS = {
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // 100 events of 1 MB, the most that is asked for at once, also unpacked.
  'grpc.max_receive_message_length': 128 * 1_048_576,
  'grpc.max_reconnect_backoff_ms': 10_000,
};

type Method = 'GetTopic' | 'GetSchema' | 'PublishStream' | 'Subscribe';
type Service = Record<Method, MethodDefinition<object, object>>;

let service: Service | undefined;

/**
 * The one file that imports gRPC, 100 ms to load: `await import` it when a connection is first needed.
 * A connection to the Pub/Sub API, opened by the first call and again whenever it breaks. Every failure is an RpcError.
 */
export class PubSubChannel {
  private readonly client: Client;
  /** Closing the client alone leaves the calls under way to their deadlines. */
  private readonly calls = new Set<{ cancel(): void }>();

  constructor(
    endpoint: Endpoint,
    /** Of the org's session, which it may echo in what it answers. */
    private readonly secrets = new Secrets(),
  ) {
    service ??= { ...load(LOADING), Subscribe: load(SPARSE).Subscribe };
    const security = endpoint.tls ? credentials.createSsl() : credentials.createInsecure();
    this.client = new Client(endpoint.address, security, OPTIONS);
  }

  getTopic(auth: PubSubAuth, topic: string, timeout: number): Promise<TopicInfo> {
    return this.unary('GetTopic', auth, { topic_name: topic }, timeout) as Promise<TopicInfo>;
  }

  getSchema(auth: PubSubAuth, schemaId: string, timeout: number): Promise<SchemaInfo> {
    return this.unary('GetSchema', auth, { schema_id: schemaId }, timeout) as Promise<SchemaInfo>;
  }

  publishStream(auth: PubSubAuth, listener: RpcListener<PublishResponse>): RpcStream<PublishRequest> {
    return this.duplex('PublishStream', auth, listener);
  }

  subscribe(auth: PubSubAuth, listener: RpcListener<FetchResponse>): RpcStream<FetchRequest> {
    return this.duplex('Subscribe', auth, listener);
  }

  /** Calls under way fail. */
  close(): void {
    for (const call of this.calls) call.cancel();
    this.client.close();
  }

  private duplex<Request extends object, Response>(
    method: Method,
    auth: PubSubAuth,
    listener: RpcListener<Response>,
  ): RpcStream<Request> {
    const { path, requestSerialize, responseDeserialize } = definition(method);
    const stream = this.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataOf(auth),
    );
    this.calls.add(stream);
    let over = false;
    const end = (error: RpcError | undefined): void => {
      if (over) return;
      over = true;
      this.calls.delete(stream);
      listener.over(error);
    };
    stream.on('data', (response: Response) => {
      // After an error there may be more of what came before it.
      if (!over) listener.data(withoutSecrets(response, this.secrets));
    });
    stream.on('error', (error) => end(rpcError(error, this.secrets)));
    // `end` comes before the status is known.
    stream.on('status', () => end(undefined));
    return {
      write: (request) => void stream.write(request),
      end: () => void stream.end(),
      cancel: () => stream.cancel(),
    };
  }

  private unary(method: Method, auth: PubSubAuth, request: object, timeout: number): Promise<object> {
    const { path, requestSerialize, responseDeserialize } = definition(method);
    return new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(auth),
        { deadline: Date.now() + timeout },
        (error, response) => {
          this.calls.delete(call);
          if (response) resolve(response);
          else reject(rpcError(error, this.secrets));
        },
      );
      this.calls.add(call);
    });
  }
}

/** The errors in an answer to a publish are the org's words; the events of a subscription are data. */
function withoutSecrets<Response>(response: Response, secrets: Secrets): Response {
  const { results } = response as { results?: { error?: { msg?: string } | null }[] };
  for (const { error } of results ?? []) if (error?.msg) error.msg = secrets.strike(error.msg);
  return response;
}

function rpcError(error: unknown, secrets: Secrets): RpcError {
  const { code, details, metadata } = error as Partial<ServiceError>;
  const number = code ?? status.UNKNOWN;
  const reason = metadata?.get('error-code')[0]?.toString();
  // Not with the error as its cause: what came with it is not only its words.
  return secrets.inError(new RpcError(status[number] ?? String(number), details ?? String(error), reason));
}

function load(options: Options): Service {
  const file = loadSync(join(__dirname, 'pubsub.proto'), options);
  return file['eventbus.v1.PubSub'] as ServiceDefinition as Service;
}

function definition(method: Method): MethodDefinition<object, object> {
  return (service as Service)[method];
}

function metadataOf({ accessToken, instanceUrl, organizationId }: PubSubAuth): Metadata {
  const metadata = new Metadata();
  metadata.set('accesstoken', accessToken);
  metadata.set('instanceurl', instanceUrl);
  metadata.set('tenantid', organizationId);
  return metadata;
}

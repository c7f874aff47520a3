/** The org's Pub/Sub side: a real gRPC server on loopback, in plain text or behind TLS. */
import {
  loadPackageDefinition,
  type MethodDefinition,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { authenticate, visibleTopic } from './auth';
import { type EventBus } from './bus';
import { simulatedTime, type Desk } from './desk';
import { GrpcError, invalid, oversized, statusOf } from './errors';
import { troubleFor } from './faults';
import { managedSubscribe } from './managed-subscribe';
import {
  isOversized,
  type Oversized,
  type SchemaInfo,
  type SchemaRequest,
  type TopicInfo,
  type TopicRequest,
} from './messages';
import { publish } from './publish';
import { publishStream } from './publish-stream';
import { subscribe } from './subscribe';
import { type Certificates, type OrgState } from '../state';

const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

export interface PubSubServer {
  /** `http://127.0.0.1:port` in plain text, `localhost:port` behind TLS: what a client is set up with. */
  endpoint: string;
  close(): Promise<void>;
}

/** `certificates`: behind TLS. */
export async function startPubSub(
  org: OrgState,
  bus: EventBus,
  port: number,
  certificates: Certificates | undefined,
): Promise<PubSubServer> {
  const server = new Server({
    // A proxy in front of the service refuses large requests, see `sized`.
    'grpc.max_receive_message_length': -1,
    'grpc.max_concurrent_streams': 1000,
  });
  const sockets = new Map<number, Socket>();
  const desk: Desk = {
    org,
    bus,
    drop: (call) => void sockets.get(Number(call.getPeer().split(':').at(-1)))?.resetAndDestroy(),
  };
  bus.dropConnections = () => {
    for (const socket of sockets.values()) socket.resetAndDestroy();
  };
  server.addService(service(), implementation(desk));
  const injector = server.createConnectionInjector(credentials(certificates));
  // The sockets are ours, so that a fault can cut one of them.
  const front = createServer({ noDelay: true }, (socket) => {
    const { remotePort = 0 } = socket;
    sockets.set(remotePort, socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(remotePort));
    injector.injectConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.listen(port, '127.0.0.1', () => resolve());
  });
  const { port: taken } = front.address() as AddressInfo;
  return {
    endpoint: certificates ? `localhost:${taken}` : `http://127.0.0.1:${taken}`,
    close: () => {
      server.forceShutdown();
      for (const socket of sockets.values()) socket.destroy();
      return new Promise((resolve) => front.close(() => resolve()));
    },
  };
}

function credentials(certificates: Certificates | undefined): ServerCredentials {
  if (!certificates) return ServerCredentials.createInsecure();
  const { ca, cert, key } = certificates;
  return ServerCredentials.createSsl(Buffer.from(ca), [
    { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) },
  ]);
}

/** The service of the proto file, whose requests know whether they are too large. */
function service(): ServiceDefinition<UntypedServiceImplementation> {
  const loaded = loadPackageDefinition(
    loadSync(join(__dirname, 'pubsub.proto'), { defaults: true, arrays: true, longs: Number }),
  ) as unknown as { eventbus: { v1: { PubSub: ServiceClientConstructor } } };
  const sized: Record<string, MethodDefinition<unknown, unknown>> = {};
  for (const [name, method] of Object.entries(loaded.eventbus.v1.PubSub.service)) {
    const requestDeserialize = (bytes: Buffer): unknown =>
      bytes.length > MAX_REQUEST_BYTES
        ? ({ oversized: true } satisfies Oversized)
        : (method.requestDeserialize(bytes) as unknown);
    sized[name] = { ...method, requestDeserialize };
  }
  return sized;
}

function implementation(desk: Desk): UntypedServiceImplementation {
  return {
    GetTopic: lookup(desk, getTopic),
    GetSchema: lookup(desk, getSchema),
    Publish: publish(desk),
    PublishStream: publishStream(desk),
    Subscribe: subscribe(desk),
    ManagedSubscribe: managedSubscribe(desk),
  };
}

/** A unary call that only reads. */
function lookup<Request extends object, Response>(
  desk: Desk,
  answer: (desk: Desk, request: Request, rpcId: string) => Response,
) {
  return (call: ServerUnaryCall<Request | Oversized, Response>, callback: sendUnaryData<Response>): void => {
    const { org } = desk;
    const rpcId = randomUUID();
    const { close } = org.ledger.open('GRPC', call.getPath());
    const work = async (): Promise<Response> => {
      authenticate(org, call.metadata);
      const { request } = call;
      if (isOversized(request)) throw oversized();
      const topic = 'topicName' in request ? String(request.topicName) : undefined;
      const trouble = troubleFor(org, { method: 'GRPC', path: call.getPath(), topic }, () => desk.drop(call));
      await trouble?.before();
      await simulatedTime(org);
      const response = answer(desk, request, rpcId);
      trouble?.after();
      return response;
    };
    work().then(
      (response) => {
        close(status.OK);
        callback(null, response);
      },
      (thrown: unknown) => {
        close(thrown instanceof GrpcError ? thrown.code : status.INTERNAL);
        callback(statusOf(thrown, rpcId));
      },
    );
  };
}

function getTopic({ org, bus }: Desk, { topicName }: TopicRequest, rpcId: string): TopicInfo {
  if (topicName === '') throw invalid('topic.validation.empty', 'The topic name is missing.');
  const topic = visibleTopic(org, bus.topics, topicName);
  return {
    topicName,
    tenantGuid: `CORE/prod/${org.orgId}`,
    canPublish: topic.canPublish,
    canSubscribe: true,
    // A channel has events of several schemas.
    schemaId: bus.topics.schemaOf(topic)?.id ?? '',
    rpcId,
  };
}

function getSchema({ bus }: Desk, { schemaId }: SchemaRequest, rpcId: string): SchemaInfo {
  if (schemaId === '') throw invalid('schema.validation.failed', 'The schema ID is missing.');
  const schema = bus.schemas.byId(schemaId);
  if (!schema)
    throw new GrpcError(
      status.NOT_FOUND,
      'schema.meta.permission',
      `An error occurred while getting the metadata for schema ${schemaId}. Ensure the credentials and schema ID are correct.`,
    );
  return { schemaJson: schema.json, schemaId, rpcId };
}

/** Messages of pubsub.proto as they are handed to the handlers; every field is there, absent ones with their default. */

export interface EventHeader {
  key: string;
  value: Buffer;
}

export interface ProducerEvent {
  id: string;
  schemaId: string;
  payload: Buffer;
  headers: EventHeader[];
}

export interface ConsumerEvent {
  event: ProducerEvent;
  replayId: Buffer;
}

export const ErrorCode = { UNKNOWN: 0, PUBLISH: 1, COMMIT: 2 } as const;

export interface EventError {
  code: (typeof ErrorCode)[keyof typeof ErrorCode];
  msg: string;
}

export interface TopicRequest {
  topicName: string;
}

export interface TopicInfo {
  topicName: string;
  tenantGuid: string;
  canPublish: boolean;
  canSubscribe: boolean;
  schemaId: string;
  rpcId: string;
}

export interface SchemaRequest {
  schemaId: string;
}

export interface SchemaInfo {
  schemaJson: string;
  schemaId: string;
  rpcId: string;
}

export interface PublishRequest {
  topicName: string;
  events: ProducerEvent[];
}

export interface PublishResult {
  replayId: Buffer;
  error?: EventError;
  correlationKey: string;
}

export interface PublishResponse {
  results: PublishResult[];
  schemaId: string;
  rpcId: string;
}

export const ReplayPreset = { LATEST: 0, EARLIEST: 1, CUSTOM: 2 } as const;

export interface FetchRequest {
  topicName: string;
  replayPreset: (typeof ReplayPreset)[keyof typeof ReplayPreset];
  replayId: Buffer;
  numRequested: number;
}

export interface FetchResponse {
  events: ConsumerEvent[];
  latestReplayId: Buffer;
  rpcId: string;
  pendingNumRequested: number;
}

export interface CommitReplayRequest {
  commitRequestId: string;
  replayId: Buffer;
}

export interface CommitReplayResponse {
  commitRequestId: string;
  replayId: Buffer;
  error?: EventError;
  /** Epoch milliseconds at which the org received the request. */
  processTime: number;
}

export interface ManagedFetchRequest {
  subscriptionId: string;
  developerName: string;
  numRequested: number;
  commitReplayIdRequest: CommitReplayRequest | null;
}

export interface ManagedFetchResponse extends FetchResponse {
  commitResponse?: CommitReplayResponse;
}

/** What a request above the size limit is decoded to. */
export interface Oversized {
  oversized: true;
}

export function isOversized(request: object): request is Oversized {
  return 'oversized' in request;
}

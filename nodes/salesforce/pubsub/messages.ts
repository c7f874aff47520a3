import type { RpcError } from './errors';

/** Messages of the Pub/Sub API as they come and go (pubsub.proto), as far as they are used. */

/** Goes with every call. */
export interface PubSubAuth {
  accessToken: string;
  instanceUrl: string;
  organizationId: string;
}

export interface TopicInfo {
  topic_name: string;
  can_publish: boolean;
  can_subscribe: boolean;
  schema_id: string;
}

export interface SchemaInfo {
  schema_json: string;
  schema_id: string;
}

export interface ProducerEvent {
  id: string;
  schema_id: string;
  payload: Buffer;
}

export interface PublishRequest {
  topic_name: string;
  events: ProducerEvent[];
}

export interface PublishResponse {
  results: {
    replay_id: Buffer;
    error: { code: string; msg: string } | null;
    correlation_key: string;
  }[];
}

export interface FetchRequest {
  topic_name: string;
  replay_preset?: 'LATEST' | 'EARLIEST' | 'CUSTOM';
  replay_id?: Buffer;
  num_requested: number;
}

/** What is empty or zero is absent, as on the wire. */
export interface FetchResponse {
  events: { event?: Partial<ProducerEvent>; replay_id?: Buffer }[];
  latest_replay_id?: Buffer;
  pending_num_requested?: number;
}

/** An open stream. */
export interface RpcStream<Request> {
  write(request: Request): void;
  /** Asks for no more; the org ends it when it has answered. */
  end(): void;
  cancel(): void;
}

export interface RpcListener<Response> {
  data(response: Response): void;
  /** Once, and after it no data: with the error, or without where the org ended the stream. */
  over(error: RpcError | undefined): void;
}

/** How the Pub/Sub API refuses: a gRPC status, and what exactly in the trailer `error-code`. */
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';

const PREFIX = 'sfdc.platform.eventbus.grpc.';

/** Thrown by handlers, answered as status with trailers. */
export class GrpcError extends Error {
  constructor(
    readonly code: status,
    /** Without the prefix; undefined where whatever stands before the service has answered. */
    readonly errorCode: string | undefined,
    message: string,
  ) {
    super(message);
  }
}

/** The status with its trailers, and the id by which support finds the call. */
export function statusOf(thrown: unknown, rpcId: string = randomUUID()): ServiceError & StatusObject {
  const error =
    thrown instanceof GrpcError
      ? thrown
      : new GrpcError(
          status.INTERNAL,
          'service.unavailable',
          thrown instanceof Error ? (thrown.stack ?? '') : String(thrown),
        );
  const metadata = new Metadata();
  if (error.errorCode !== undefined) {
    metadata.set(
      'error-code',
      error.errorCode.startsWith(PREFIX) ? error.errorCode : PREFIX + error.errorCode,
    );
    metadata.set('rpc-id', rpcId);
  }
  const details = error.errorCode === undefined ? error.message : `${error.message} rpcId: ${rpcId}`;
  return Object.assign(new Error(details), { code: error.code, details, metadata });
}

export const invalid = (errorCode: string, message: string): GrpcError =>
  new GrpcError(status.INVALID_ARGUMENT, errorCode, message);

export const badAuthentication = (): GrpcError =>
  new GrpcError(
    status.UNAUTHENTICATED,
    'service.auth.error',
    'An authentication exception occurred. Provide valid authentication via metadata headers.',
  );

export const badHeaders = (name: string): GrpcError =>
  new GrpcError(
    status.UNAUTHENTICATED,
    'service.auth.headers.invalid',
    `The authentication header ${name} is missing or its value is invalid. Provide valid authentication via metadata headers.`,
  );

export const topicNotFound = (orgId: string, topic: string): GrpcError =>
  new GrpcError(
    status.NOT_FOUND,
    'topic.not.found',
    `The topic information for org CORE/prod/${orgId} and topic ${topic} not found. Ensure the topic name is correct and that the topic exists.`,
  );

export const topicDenied = (orgId: string, topic: string): GrpcError =>
  new GrpcError(
    status.PERMISSION_DENIED,
    'topic.meta.permission',
    `An error occurred while getting the metadata for org CORE/prod/${orgId} and topic ${topic}. Ensure the credentials and topic name are correct.`,
  );

export const corruptedReplayId = (): GrpcError =>
  invalid(
    'subscription.fetch.replayid.corrupted',
    'The Replay ID validation failed. Ensure that the Replay ID is valid.',
  );

/** A proxy answers instead of the service when a request is above 4 MB: no trailer. */
export const oversized = (): GrpcError =>
  new GrpcError(
    status.UNAVAILABLE,
    undefined,
    'upstream connect error or disconnect/reset before headers. reset reason: remote reset',
  );

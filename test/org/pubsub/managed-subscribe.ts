/** ManagedSubscribe: as Subscribe, from the position that the org keeps for the client, which commits it. */
import { type ServerDuplexStream } from '@grpc/grpc-js';
import { visibleTopic } from './auth';
import { Delivery } from './delivery';
import { type Desk } from './desk';
import { invalid } from './errors';
import { commit, startOf, type Managed } from './managed';
import {
  type CommitReplayRequest,
  type FetchResponse,
  type ManagedFetchRequest,
  type Oversized,
} from './messages';

type Call = ServerDuplexStream<ManagedFetchRequest | Oversized, FetchResponse>;

const CODE = 'managed.subscription.fetch.request.';

export function managedSubscribe(desk: Desk) {
  return (call: Call): void => {
    let managed: Managed | undefined;
    const delivery = new Delivery<ManagedFetchRequest>(
      desk,
      call,
      (request) => {
        if (request.numRequested < 0) throw invalid(`${CODE}events.invalid`, 'Request 0 events or more.');
        managed = managed ? next(desk, delivery, managed, request) : first(desk, delivery, request);
        delivery.request(request.numRequested);
      },
      () => {
        if (managed) managed.active = false;
      },
    );
    delivery.open();
  };
}

function first(
  { org, bus }: Desk,
  delivery: Delivery<ManagedFetchRequest>,
  request: ManagedFetchRequest,
): Managed {
  if (request.commitReplayIdRequest)
    throw invalid(`${CODE}commit.request.restricted`, 'The first request of a stream can commit nothing.');
  const managed = bus.managed.claim(request.subscriptionId, request.developerName);
  try {
    delivery.start(visibleTopic(org, bus.topics, managed.topicName), startOf(managed, bus.log));
  } catch (thrown) {
    managed.active = false;
    throw thrown;
  }
  return managed;
}

function next(
  desk: Desk,
  delivery: Delivery<ManagedFetchRequest>,
  managed: Managed,
  { numRequested, commitReplayIdRequest }: ManagedFetchRequest,
): Managed {
  if (commitReplayIdRequest) answerCommit(desk, delivery, managed, commitReplayIdRequest);
  else if (numRequested === 0)
    throw invalid(`${CODE}invalid`, 'The request neither asks for events nor commits a replay ID.');
  return managed;
}

function answerCommit(
  { org, bus }: Desk,
  delivery: Delivery<ManagedFetchRequest>,
  managed: Managed,
  request: CommitReplayRequest,
): void {
  const error = commit(managed, bus.log, request, delivery.position);
  delivery.respond({
    commitResponse: {
      commitRequestId: request.commitRequestId,
      replayId: request.replayId,
      processTime: org.store.now(),
      ...(error ? { error } : {}),
    },
  });
}

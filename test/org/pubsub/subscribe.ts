/** Subscribe: the first request says where to start, every request how many events more. */
import { type ServerDuplexStream } from '@grpc/grpc-js';
import { visibleTopic } from './auth';
import { Delivery } from './delivery';
import { type Desk } from './desk';
import { corruptedReplayId, invalid } from './errors';
import { type EventLog } from './log';
import { ReplayPreset, type FetchRequest, type FetchResponse, type Oversized } from './messages';

type Call = ServerDuplexStream<FetchRequest | Oversized, FetchResponse>;

export function subscribe(desk: Desk) {
  return (call: Call): void => {
    const { org, bus } = desk;
    let topicName = '';
    const delivery = new Delivery<FetchRequest>(desk, call, (request) => {
      const code = 'subscription.fetch.';
      if (request.numRequested <= 0)
        throw invalid(`${code}requested.events.invalid`, 'Request more than 0 events.');
      if (topicName !== '' && request.topicName !== '' && request.topicName !== topicName)
        throw invalid(`${code}topic.mismatch`, `The topic of the stream, ${topicName}, can't change.`);
      if (topicName === '') {
        if (request.topicName === '') throw invalid('topic.validation.empty', 'The topic name is missing.');
        const topic = visibleTopic(org, bus.topics, request.topicName);
        delivery.start(topic, startOf(request, bus.log));
        topicName = request.topicName;
      }
      delivery.request(request.numRequested);
    });
    delivery.open();
  };
}

/** Undefined: from now on. */
function startOf({ replayPreset, replayId }: FetchRequest, log: EventLog): number | undefined {
  if (replayPreset === ReplayPreset.EARLIEST) return log.beginning();
  if (replayPreset !== ReplayPreset.CUSTOM) return undefined;
  if (replayId.length === 0)
    throw invalid(
      'subscription.fetch.replayid.validation.failed',
      'The Replay ID is missing. With the preset CUSTOM the first request must have one.',
    );
  const position = log.find(replayId);
  if (position === undefined) throw corruptedReplayId();
  return position;
}

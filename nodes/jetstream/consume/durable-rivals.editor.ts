import { parseFields } from '../../shared/settings/settings';
import { jetstreamIn } from '../jetstream-in.settings';
import { rivalOf, sameSystem, shownOf, type Rival } from '../streams/rivals.editor';
import { durableConflicts } from './durable-conflicts';

const {
  stream,
  durable,
  subject,
  deliver,
  startSequence,
  startTime,
  ackWait,
  maxDeliver,
  maxAckPending,
  sharing,
  partitions,
} = jetstreamIn.settings;
const FIELDS = {
  stream,
  durable,
  subject,
  deliver,
  startSequence,
  startTime,
  ackWait,
  maxDeliver,
  maxAckPending,
  sharing,
  partitions,
};

/** Another jetstream-in that reads this one's durable with other settings. */
export function durableRival(node: EditorNode): Rival | undefined {
  return rivalOf(node, askedBy, (own, other) =>
    own.stream === other.stream && own.durable === other.durable && sameSystem(own.server, other.server)
      ? durableConflicts(own, other)
      : [],
  );
}

function askedBy(node: EditorNode) {
  if (node.type !== jetstreamIn.type) return undefined;
  const shown = shownOf(node);
  return { ...parseFields(FIELDS, shown), server: shown['server'] };
}

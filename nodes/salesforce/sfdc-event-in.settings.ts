import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import { choice, node, open, text, textAs, whole } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

/**
 * `checkpoint`: where a stored position is kept, in the node's context or in a KV bucket of `server`. `deadLetter`: the
 * subject of `server` that an event which is given up goes to.
 */
export const sfdcEventIn = declare('sfdc-event-in', 1, {
  name: text(''),
  org: node('sfdc-org', { required: true }),
  topic: textAs('', checkTopic, { required: true, format: formats.topic }),
  replay: choice(['stored', 'latest', 'earliest'], 'stored'),
  ack: choice(['flow', 'manual', 'delivery'], 'flow'),
  deadLetter: open(text('', { format: formats.plainSubject })),
  maxDeliver: whole(5, { min: -1, required: true }),
  checkpoint: choice(['context', 'kv'], 'context'),
  server: node('jetstream-server', { required: 'replay=stored checkpoint=kv or !deadLetter=' }),
  bucket: text('salesforce-replay', { format: formats.bucketName }),
});

function checkTopic(topic: string): string {
  if (formats.topic.check(topic) === undefined) return topic;
  throw new FlowError(
    'INVALID_TOPIC',
    `"${topic}" is not a topic to read; set one in the node, for example /event/OrderStatus__e or /data/ContactChangeEvent`,
    false,
  );
}

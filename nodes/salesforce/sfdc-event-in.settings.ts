import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import { choice, node, text, textAs } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

/** `checkpoint`: where a stored position is kept, in the node's context or in a KV bucket of `server`. */
export const sfdcEventIn = declare('sfdc-event-in', 1, {
  name: text(''),
  org: node('sfdc-org', { required: true }),
  topic: textAs('', checkTopic, { required: true, format: formats.topic }),
  replay: choice(['stored', 'latest', 'earliest'], 'stored'),
  ack: choice(['flow', 'manual', 'delivery'], 'flow'),
  checkpoint: choice(['context', 'kv'], 'context'),
  server: node('jetstream-server', { required: 'replay=stored checkpoint=kv' }),
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

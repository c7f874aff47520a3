import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import { choice, fieldMap, node, text, textAs, whole } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

export const sfdcPlatformEvent = declare('sfdc-platform-event', 1, {
  name: text(''),
  org: node('sfdc-org', { required: true }),
  topic: textAs('', checkTopic, { required: true, format: formats.eventTopic }),
  payload: fieldMap(),
  onOutage: choice(['hold', 'fail'], 'hold'),
  maxRequests: whole(4, { min: 1, max: 25, required: true }),
});

function checkTopic(topic: string): string {
  if (/^\/\w+\/\w+$/.test(topic)) return topic;
  throw new FlowError(
    'INVALID_TOPIC',
    `"${topic}" is not a topic to publish to; set one in the node, for example /event/OrderStatus__e`,
    false,
  );
}

import { choice, duration, open, text } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

/** `msg`: msg.ack says which, as a word or as {action, delay}. */
export const jetstreamAck = declare('jetstream-ack', 1, {
  name: text(''),
  action: choice(['ack', 'nak', 'term', 'progress', 'msg'], 'ack', { msg: 'ack', code: 'INVALID_ACTION' }),
  delay: open(duration('', { msg: 'ack.delay' })),
});

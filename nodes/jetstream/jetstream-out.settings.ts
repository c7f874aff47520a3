import * as formats from '../shared/settings/formats';
import { choice, flag, node, template, text, whole } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';
import { size } from '../shared/size';
import { headers } from './publish/headers';

export const jetstreamOut = declare('jetstream-out', 1, {
  name: text(''),
  server: node('jetstream-server', { required: true }),
  subject: template('', { required: true, format: formats.subject }),
  escapeTokens: flag(false),
  msgId: template(''),
  headers: headers(),
  window: whole(256, { min: 1, required: true }),
  queue: whole(10_000, { min: 0, required: true }),
  queueBytes: size('64MiB', { required: true }),
  whenFull: choice(['hold', 'fail'], 'hold'),
});

import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import {
  choice,
  duration,
  durations,
  flag,
  group,
  list,
  node,
  onlyWhen,
  open,
  text,
  textAs,
  whole,
} from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';
import { size } from '../shared/size';
import { parseTime } from '../shared/time';
import { narrow, streamSettings } from './streams/stream.settings';
import { checkDurableName, checkStreamName, parseSubjects } from './streams/subjects';

/** Of the stream that the node makes. */
export const madeStream = { ...streamSettings, subjects: { ...streamSettings.subjects, required: true } };

export const jetstreamIn = declare('jetstream-in', 1, {
  name: text(''),
  server: node('jetstream-server', { required: true }),
  stream: textAs('', checkStreamName, { required: true, format: formats.natsName }),
  provision: flag(false),
  streamConfig: onlyWhen('provision', group(madeStream, { section: 'stream', texts: 'stream' })),
  narrow,
  subject: list('', { format: formats.filters, read: parseSubjects }),
  durable: textAs('', checkDurableName, { required: true, format: formats.natsName }),
  ack: choice(['flow', 'manual', 'delivery'], 'flow', { section: 'settle' }),
  deadLetter: open(text('', { format: formats.plainSubject, section: 'settle' })),
  deadLetterStream: onlyWhen('!deadLetter=', open(text('', { format: formats.natsName, section: 'settle' }))),
  maxDeliver: whole(5, { min: -1, required: true, section: 'settle' }),
  backoff: durations('10s, 30s, 1m, 5m', { empty: [], section: 'settle' }),
  ackWait: duration('120s', { min: '1ms', required: true, section: 'settle' }),
  processingLimit: duration('10m', { required: true, section: 'settle' }),
  format: choice(['auto', 'json', 'string', 'buffer'], 'auto', { section: 'message' }),
  bigNumbers: onlyWhen('format=auto|json', choice(['text', 'refuse'], 'text', { section: 'message' })),
  batchSize: whole(1, { min: 1, required: true, section: 'message' }),
  batchWait: duration('250ms', { required: true, section: 'message' }),
  deliver: choice(['all', 'new', 'last', 'last_per_subject', 'by_start_sequence', 'by_start_time'], 'all', {
    section: 'flow',
  }),
  startSequence: onlyWhen(
    'deliver=by_start_sequence',
    whole('', { min: 1, required: true, empty: 1, section: 'flow' }),
  ),
  startTime: onlyWhen(
    'deliver=by_start_time',
    textAs('', isoTime, { required: true, format: formats.time, section: 'flow' }),
  ),
  sharing: choice(['shared', 'exclusive', 'partitioned'], 'shared', { section: 'flow' }),
  partitions: onlyWhen(
    'sharing=partitioned',
    whole(8, { min: 1, max: 256, required: true, section: 'flow' }),
  ),
  prefetch: whole(1000, { min: 1, required: true, section: 'flow' }),
  maxBytesInFlight: size('64MiB', { required: true, section: 'flow' }),
  maxAckPending: whole(1000, { min: -1, required: true, section: 'flow' }),
});

function isoTime(typed: string, title: string): string {
  const ms = parseTime(typed);
  if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  throw new FlowError(
    'INVALID_TIME',
    `${title}: "${typed}" is not a time; write for example 2026-01-31T12:00:00Z`,
    false,
  );
}

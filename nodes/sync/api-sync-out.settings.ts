import { narrow, streamSettings, type StreamSettings } from '../jetstream/streams/stream.settings';
import { checkPublishSubject, checkStreamName } from '../jetstream/streams/subjects';
import * as formats from '../shared/settings/formats';
import { choice, duration, flag, group, node, onlyWhen, text, textAs, whole } from '../shared/settings/kinds';
import { declare, parseFields, type Settings } from '../shared/settings/settings';

/** As the guide advises: the latest version of each record, for ever. No subjects: those of the prefix. */
export const recordStream = {
  ...streamSettings,
  maxMsgsPerSubject: whole(1, { min: -1 }),
  discard: choice(['old', 'new'], 'old'),
};

export const apiSyncOut = declare('api-sync-out', 1, {
  name: text(''),
  source: node('api-source'),
  start: choice(['beginning', 'now'], 'beginning'),
  server: node('jetstream-server', { required: true }),
  subjectPrefix: textAs('sequin-records', checked, { required: true, format: formats.plainSubject }),
  stream: textAs('SEQUIN-RECORDS', checkStreamName, { required: true, format: formats.natsName }),
  provision: flag(true),
  streamConfig: onlyWhen('provision', group(recordStream, { section: 'stream', texts: 'stream' })),
  narrow,
  events: flag(false),
  checkpoint: choice(['kv', 'context'], 'kv', { section: 'position' }),
  bucket: onlyWhen('checkpoint=kv', text('api-sync', { format: formats.bucketName, section: 'position' })),
  // It is renewed three times in its length, and an answer of the server can take a second.
  lease: duration('15s', { min: '2s', section: 'position' }),
});

export type SyncOutSettings = Settings<typeof apiSyncOut>;

/** The stream of a node with that form and subject prefix. */
export function recordStreamOf(form: Partial<StreamSettings>, prefix: string): Partial<StreamSettings> {
  const subjects = form.subjects?.length ? form.subjects : [`${prefix}.>`];
  return { ...parseFields(recordStream, {}), ...form, subjects };
}

function checked(prefix: string): string {
  checkPublishSubject(prefix);
  return prefix;
}

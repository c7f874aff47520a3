import { parseDuration } from '../shared/duration';
import { FlowError } from '../shared/errors';
import { checkStreamName, type StreamForm } from '../jetstream/stream';
import { checkPublishSubject } from '../jetstream/subjects';

/** What stands in an api-sync-out. */
export interface SyncOutForm {
  subjectPrefix?: string;
  stream?: string;
  provision?: boolean;
  streamConfig?: StreamForm;
  start?: string;
  events?: boolean;
  checkpoint?: string;
  bucket?: string;
  lease?: string;
}

/** The same, checked. */
export interface SyncOutSettings {
  prefix: string;
  stream: string;
  provision: boolean;
  form: StreamForm;
  start: 'beginning' | 'now';
  events: boolean;
  /** The name of the bucket; undefined for the node's context. */
  bucket: string | undefined;
  /** Milliseconds. */
  lease: number;
}

/** The server's answer to a write can take seconds; a shorter lease would be lost all the time. */
const SHORTEST_LEASE = 2_000;

/** Throws FlowError naming the setting that is wrong. */
export function syncOutSettings(form: SyncOutForm): SyncOutSettings {
  const prefix = form.subjectPrefix?.trim() || 'sequin-records';
  const stream = form.stream?.trim() || 'SEQUIN-RECORDS';
  checkPublishSubject(prefix);
  checkStreamName(stream);
  const lease = parseDuration(form.lease || '15s', 'Lease');
  if (lease < SHORTEST_LEASE) throw new FlowError('INVALID_LEASE', 'Lease: at least 2s', false);
  return {
    prefix,
    stream,
    provision: form.provision ?? true,
    form: form.streamConfig ?? {},
    start: form.start === 'now' ? 'now' : 'beginning',
    events: form.events === true,
    bucket: form.checkpoint === 'context' ? undefined : form.bucket?.trim() || 'api-sync',
    lease,
  };
}

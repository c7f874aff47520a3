import { parseDuration } from '../../shared/duration';
import { covers } from '../../jetstream/streams/subjects';

/** The settings of api-sync-out that can go against its purpose, as the form shows them. */
export interface SyncOutSettings {
  provision: boolean;
  streamConfig: {
    subjects: string[];
    retention: string;
    discard: string;
    maxAge: string;
    maxMsgsPerSubject: number | string;
  };
  subjectPrefix: string;
  start: string;
  checkpoint: string;
}

/** What is allowed, but leaves readers without the complete data set: names of texts under `hint`. */
export function syncOutHints(settings: SyncOutSettings): string[] {
  const { provision, streamConfig, subjectPrefix, start, checkpoint } = settings;
  const { subjects, retention, discard, maxAge, maxMsgsPerSubject } = streamConfig;
  const hints: string[] = [];
  if (provision) {
    if (subjects.length > 0 && !subjects.some((subject) => covers(subject, `${subjectPrefix}.>`)))
      hints.push('outside');
    if (retention !== 'limits') hints.push('consumed');
    if (isDuration(maxAge)) hints.push('aged');
    if (maxMsgsPerSubject !== '' && Number(maxMsgsPerSubject) !== 1) hints.push('versions');
    if (discard === 'new') hints.push('full');
  }
  if (start === 'now') hints.push('fromNow');
  if (checkpoint === 'context') hints.push('oneInstance');
  return hints;
}

function isDuration(value: string): boolean {
  try {
    return parseDuration(value) > 0;
  } catch {
    return false;
  }
}

import { formatDuration, parseDuration, parseDurations } from '../../shared/duration';
import { overlap } from '../streams/subjects';

/** The settings of jetstream-in that can contradict each other, as the form shows them. */
export interface JetstreamInSettings {
  provision: boolean;
  streamConfig: {
    subjects: string[];
    retention: string;
    maxAge: string;
    duplicateWindow: string;
    maxMsgsPerSubject: number | string;
  };
  subject: string;
  deliver: string;
  ack: string;
  ackWait: string;
  maxDeliver: number;
  backoff: string;
  processingLimit: string;
  deadLetter: string;
  prefetch: number;
  maxAckPending: number;
  batchSize: number;
}

/** Names a text under `hint` in the node's locales. */
export interface Hint {
  key: string;
  values: Record<string, string | number>;
}

/** What is allowed but hardly meant. Settings that can't be read are left to their validators. */
export function jetstreamInHints(settings: JetstreamInSettings): Hint[] {
  const hints: Hint[] = [];
  const hint = (key: string, values: Hint['values'] = {}) => hints.push({ key, values });
  const { streamConfig, ack, maxDeliver, deadLetter, prefetch, maxAckPending, batchSize } = settings;
  const subjects = settings.provision ? streamConfig.subjects : [];
  const filters = settings.subject.split(/[\s,]+/).filter((filter) => filter !== '');
  const consumed = filters.length > 0 ? filters : subjects;
  const waits = readable(() => parseDurations(settings.backoff)) ?? [];
  const ackWait = readable(() => parseDuration(settings.ackWait));
  const limit = readable(() => parseDuration(settings.processingLimit));

  const lands = subjects.length === 0 || subjects.some((subject) => overlap(subject, deadLetter));
  if (deadLetter !== '' && lands && consumed.some((filter) => overlap(filter, deadLetter)))
    hint('deadLetterConsumed', { deadLetter });
  if (subjects.length > 0) {
    const outside = filters.find((filter) => !subjects.some((subject) => overlap(subject, filter)));
    if (outside) hint('filterOutside', { filter: outside });
  }
  if (ack === 'delivery') hint('atDelivery');

  if (maxDeliver > 1 && waits.length > maxDeliver - 1)
    hint('backoffLonger', { used: maxDeliver - 1, deliveries: maxDeliver });
  if (waits.length > 0 && maxDeliver - 1 > waits.length)
    hint('backoffShorter', { last: formatDuration(waits.at(-1) ?? 0), deliveries: maxDeliver });
  if (ackWait !== undefined && ackWait < 10_000) hint('ackWaitShort', { ackWait: formatDuration(ackWait) });
  if (ack !== 'delivery' && ackWait !== undefined && limit !== undefined && limit < ackWait)
    hint('limitBelowAckWait', { limit: formatDuration(limit), ackWait: formatDuration(ackWait) });

  if (maxAckPending > 0 && prefetch > maxAckPending)
    hint('prefetchAbovePending', { prefetch, maxAckPending });
  if (batchSize > Math.min(prefetch, maxAckPending > 0 ? maxAckPending : Infinity))
    hint('batchNeverFull', { batchSize });

  if (settings.provision) {
    const maxAge = readable(() => parseDuration(streamConfig.maxAge));
    const window = readable(() => parseDuration(streamConfig.duplicateWindow));
    const retrying = waits.slice(0, Math.max(0, maxDeliver - 1)).reduce((sum, wait) => sum + wait, 0);
    if (maxAge && window && window > maxAge) hint('windowAboveAge');
    if (maxAge && retrying > maxAge)
      hint('ageBelowRetries', { maxAge: formatDuration(maxAge), retrying: formatDuration(retrying) });
    if (streamConfig.retention === 'workqueue' && settings.deliver !== 'all') hint('workqueueDeliver');
    if (Number(streamConfig.maxMsgsPerSubject) === 1 && streamConfig.retention !== 'workqueue')
      hint('onePerSubject');
  }
  if (settings.deliver === 'last_per_subject' && filters.length === 0) hint('lastPerSubjectFilter');
  return hints;
}

function readable<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

import { parseDuration, parseDurations } from '../shared/duration';
import { FlowError } from '../shared/errors';
import { parseTime } from '../shared/time';
import type { ConsumerSettings } from './consumer';
import type { DeliverFrom } from './durable';
import type { PayloadFormat } from './message';
import { parseCount } from './sizes';
import { checkStreamName, streamConfig, type StreamForm } from './stream';
import { parseSubjects } from './subjects';

export type AckMode = 'flow' | 'manual' | 'delivery';

/** The properties of jetstream-in as they stand in a flow. */
export interface ConsumerForm {
  stream: string;
  provision?: boolean;
  streamConfig?: StreamForm;
  subject?: string | string[];
  durable: string;
  deliver?: DeliverFrom;
  startSequence?: number | string;
  startTime?: string;
  ackWait?: string;
  maxDeliver?: number | string;
  backoff?: string | string[];
  maxAckPending?: number | string;
  prefetch?: number | string;
  processingLimit?: string;
  deadLetter?: string;
  format?: PayloadFormat;
  batchSize: number;
  batchWait?: string;
}

/** Fills in the defaults of the contract. Throws FlowError naming the setting that is wrong. */
export function consumerSettings(form: ConsumerForm): ConsumerSettings {
  const { stream, durable, deliver = 'all' } = form;
  checkStreamName(stream);
  if (!durable || /[\s.*>/\\]/.test(durable)) {
    throw new FlowError(
      'INVALID_DURABLE',
      `"${durable}" is not a durable name: it is needed, and may hold no blanks, dots, slashes, * or >`,
      false,
    );
  }
  const backoff = Array.isArray(form.backoff) ? form.backoff.join(',') : (form.backoff ?? '10s, 30s, 1m, 5m');
  return {
    stream,
    durable,
    provision: form.provision ? streamConfig(stream, form.streamConfig ?? {}) : undefined,
    filters: parseSubjects(form.subject),
    deliver,
    startSequence:
      deliver === 'by_start_sequence' ? atLeastOne(form.startSequence, 1, 'Start sequence') : undefined,
    startTime: deliver === 'by_start_time' ? time(form.startTime) : undefined,
    ackWait: Math.max(1, parseDuration(orElse(form.ackWait, '120s'), 'Ack wait')),
    maxDeliver: parseCount(orElse(form.maxDeliver, 5), 'Deliveries'),
    backoff: parseDurations(backoff, 'Backoff'),
    maxAckPending: parseCount(orElse(form.maxAckPending, 1000), 'Max ack pending'),
    prefetch: atLeastOne(form.prefetch, 1000, 'Prefetch'),
    processingLimit: parseDuration(orElse(form.processingLimit, '10m'), 'Processing limit'),
    deadLetter: form.deadLetter?.trim() || undefined,
    format: form.format ?? 'auto',
    batchSize: atLeastOne(form.batchSize, 1, 'Batch size'),
    batchWait: parseDuration(orElse(form.batchWait, '250ms'), 'Batch wait'),
  };
}

function orElse<T>(value: T | undefined | null, fallback: T): T {
  return value === undefined || value === null || value === '' ? fallback : value;
}

function atLeastOne(value: number | string | undefined, fallback: number, setting: string): number {
  const count = parseCount(orElse<number | string>(value, fallback), setting);
  if (count < 1) throw new FlowError('INVALID_NUMBER', `${setting}: it must be 1 or more`, false);
  return count;
}

function time(text: string | undefined): string {
  const ms = parseTime(text ?? '');
  if (Number.isNaN(ms)) {
    throw new FlowError(
      'INVALID_TIME',
      `Start time: "${text ?? ''}" is not a time; write for example 2026-01-31T12:00:00Z`,
      false,
    );
  }
  return new Date(ms).toISOString();
}

import * as formats from '../../shared/settings/formats';
import { choice, duration, flag, list, onlyWhen, open, whole } from '../../shared/settings/kinds';
import type { Parsed, StoredFields } from '../../shared/settings/settings';
import { size } from '../../shared/size';
import { parseSubjects } from './subjects';

const compression = choice(['none', 's2'], 'none');

/**
 * Of a stream to create or update. What is left open stays as the server has it; a new stream gets the server's
 * defaults.
 */
export const streamSettings = {
  subjects: list([], { format: formats.filters, read: parseSubjects }),
  retention: open(choice(['limits', 'interest', 'workqueue'], 'limits')),
  discard: open(choice(['old', 'new'], 'old')),
  maxAge: open(duration('')),
  maxBytes: open(size('')),
  maxMsgs: open(whole('', { min: -1 })),
  maxMsgsPerSubject: open(whole('', { min: -1 })),
  maxMsgSize: open(size('')),
  duplicateWindow: open(duration('')),
  storage: open(choice(['file', 'memory'], 'file')),
  replicas: open(whole(1, { min: 1, max: 5 })),
  compression: open({
    ...compression,
    /** The server's own word for it was a yes or no once. */
    parse: (stored: unknown, title: string) =>
      stored === true ? 's2' : stored === false ? 'none' : compression.parse(stored, title, () => undefined),
  }),
  denyDelete: flag(false),
  denyPurge: flag(false),
  allowRollup: flag(false),
};

/**
 * Of a node that provisions: the stream becomes exactly as the node says, also where that takes subjects, limits or
 * retention away from it.
 */
export const narrow = onlyWhen('provision', flag(false));

/** Milliseconds and bytes; undefined for what is left open. */
export type StreamSettings = Parsed<typeof streamSettings>;
/** As it stands in a flow. */
export type StoredStream = StoredFields<typeof streamSettings>;

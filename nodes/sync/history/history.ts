import type { OrgAnswer } from '../../salesforce/org/answer';
import type { OrgRequest } from '../../salesforce/org/session';
import type { HttpAnswer, LostRequest } from '../../shared/http/client';
import type { StreamAddress } from '../engine/address';
import type { Written } from '../engine/record-writer';
import type { SubjectOf } from '../engine/tokens';

/** What is read: the session with the API stays in its thread, and so does what is known of its limits. */
export interface HistorySource {
  /** For the reader in the thread, copied to it. */
  shape: object;
  /** Asks the API. `send` is how the request is sent, so that a large answer comes there. */
  ask: (method: string, path: string, request: OrgRequest, signal: AbortSignal) => Promise<OrgAnswer>;
  log: (text: string) => void;
}

/** Reads pages and publishes them without taking the memory and the time of this thread. */
export interface HistoryPages {
  /**
   * Undefined where that can't be: then the page is to be read here. Throws HISTORY_THREAD when the thread ended, and
   * whatever reading and publishing throws.
   */
  page(source: HistorySource, from: object, signal: AbortSignal): Promise<Passed | undefined>;
}

/** A history that a thread reads and publishes. */
export interface Task {
  of: SubjectOf;
  address: StreamAddress;
  /** Publish what happened as events, too. */
  events: boolean;
  /** What the reader of this API has to know. */
  shape: unknown;
}

/** Pages that the thread has published. */
export interface Passed {
  records: number;
  written: Written;
  next: object | undefined;
  wait?: number;
}

/** A request's answer without the parts of its body, which the thread keeps, or why there is none. */
export type Sent = Pick<HttpAnswer, 'status' | 'headers' | 'text'> | { lost: LostRequest };

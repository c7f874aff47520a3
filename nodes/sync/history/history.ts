import type { HttpAnswer, LostRequest } from '../../shared/http/client';
import type { ServerSettings } from '../../jetstream/server/server-settings';
import type { Position } from '../engine/provider';
import type { Written } from '../engine/record-writer';
import type { SubjectOf } from '../engine/tokens';

/** How another thread comes to write to the same stream. */
export interface StreamAddress {
  server: ServerSettings;
  stream: string;
  /** What it holds can be looked at. */
  readable: boolean;
  /** Batches are worth it. */
  atomic: boolean;
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

/** A page that the thread has published. */
export interface Passed {
  records: number;
  written: Written;
  next: Position | undefined;
  wait?: number;
}

/** A request's answer without the parts of its body, which the thread keeps, or why there is none. */
export type Sent = Pick<HttpAnswer, 'status' | 'headers' | 'text'> | { lost: LostRequest };

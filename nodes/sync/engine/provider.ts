import type { HistoryPages } from '../history/history';
import type { SourceRecord } from './record';
import type { Trouble } from './progress';
import type { Written } from './record-writer';

/** Where something stands: made and understood by the provider alone, kept as JSON. */
export type Position = object;

export interface Page {
  records: SourceRecord[];
  /** Where the next page begins; undefined after the last. */
  next: Position | undefined;
  /** Milliseconds before it makes sense to ask for the next page. */
  wait?: number;
  /** Of records that are in the stream already, beside those given: so many were read, and what became of them. */
  written?: Written & { records: number };
  /** Of the last page, where something couldn't be read and is left to the changes: from where they begin instead. */
  changesFrom?: (begin: Position) => Position;
}

export interface Changes {
  /**
   * Records as they are now, in the order in which they were read. Where no time of their own tells which of two
   * versions is newer, one that is `unread` costs a reading less: it is read after what the stream has was seen.
   */
  records: SourceRecord[];
  /** From where changes() goes on once these are safe. */
  position: Position;
  /** There is more to be had at once. */
  more: boolean;
  /** Epoch ms: every change committed before is in what was given so far, late ones left out. */
  asOf: number;
  /** Something was lost, and why, in a sentence. */
  gap?: string;
  /** What was lost, and so what has to be done. */
  lost?: Lost;
}

/**
 * `changes` (where nothing is said): everything is read again, and what is gone is looked for. `deletions`: what the
 * stream shows is compared with the API. `fields`: the records have more than was read of them, so all are read again.
 * `all`: what was read is of somewhere else; what isn't in the API now is gone.
 */
export type Lost = 'changes' | 'deletions' | 'fields' | 'all';

/**
 * One collection of an API. Every call may wait while the API is out of reach or its limit is spent, and throws
 * FlowError: with `retryable: false` the collection can't be read until somebody changes something. After an error it
 * is closed and opened anew, so that what it keeps in memory is about what is in the stream.
 */
export interface Collection {
  /** How many records there are; undefined where that can't be told cheaply. */
  count(signal: AbortSignal): Promise<number | undefined>;
  /**
   * The position from which changes() gives everything that happens from now on. With `only` it gives nothing that was
   * committed before, as far as the API lets that be told.
   */
  now(signal: AbortSignal, only?: boolean): Promise<Position>;
  /** A page of everything there is, the first without a position. A large one may be read and published by `history`. */
  page(from: Position | undefined, signal: AbortSignal, history?: HistoryPages): Promise<Page>;
  /** Waits until it makes sense to ask for changes: the next poll is due, or an event has come. */
  ready(from: Position, signal: AbortSignal): Promise<void>;
  /** What has changed since. */
  changes(from: Position, signal: AbortSignal): Promise<Changes>;
  /**
   * The records with these ids as they are now, however many, deleted ones included: one for each id, `unproven` where
   * nothing can be told of it. Without it only a record's own time tells which of two versions is newer.
   */
  read?: (ids: readonly string[], signal: AbortSignal) => Promise<SourceRecord[]>;
  /**
   * The ids of everything there is, in pages, for an API that can list them: what was there before it began and isn't
   * among them is gone. Without it every id that the stream shows is read.
   */
  ids?: (signal: AbortSignal) => AsyncIterable<string[]>;
  /** Permissions decide what can be seen of it, and change without a trace: what was out of sight can come back. */
  readonly permissioned?: boolean;
  /** Milliseconds from one comparison of all ids to the next, where changes() can't tell every deletion. */
  readonly compareEvery?: number;
  /** A record can change in a way that changes() doesn't tell: a comparison reads each that the stream shows. */
  readonly changesUnseen?: boolean;
  /** Why changes come later than they should, although they come. */
  readonly problem: Trouble | undefined;
  /**
   * Records that are left out because the API gives no id for them, since all was read or listed last. With such ones
   * nothing is gone because it isn't among the ids.
   */
  readonly unidentified?: number;
  /** API calls made for it since it was opened, where they are counted. */
  readonly apiCalls?: number;
  /** Lets go of what the collection holds, a subscription say. */
  close(): Promise<void>;
}

/** An API whose records can be had. */
export interface Provider {
  /** As in the subjects: "salesforce". */
  readonly name: string;
  /** Why everything that is asked of it waits at this moment. */
  readonly unavailable: Trouble | undefined;
  /** Called when `unavailable` has changed; returns the way to stop listening. */
  onChange(listener: () => void): () => void;
  /** Finds a collection by its name in the flow, e.g. "salesforce:contact". Throws FlowError. */
  open(collection: string, signal: AbortSignal): Promise<Collection>;
  close(): Promise<void>;
}

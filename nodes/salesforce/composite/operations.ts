import type { FlowError } from '../../shared/errors';
import type { Hold } from '../../shared/flow/delivery';
import type { TraceContext } from '../../shared/tracing/context';
import { FRESH, type Item } from '../org/repeats';

export const OPERATIONS = ['create', 'get', 'update', 'upsert', 'delete', 'tree'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What one message asks for. */
export interface WriteRequest {
  operation: Operation;
  sobject: string;
  externalIdField?: string;
  allOrNone: boolean;
  /** For get: the fields to read. */
  fields?: string[];
  /** A record, an array of records; for get and delete ids, or records with an id. */
  payload: unknown;
  /** The same message was delivered before: what it asks for may have been done already. */
  repeated?: boolean;
  /** What its API call is a part of. */
  trace?: TraceContext | undefined;
  /** Where it comes from; of each record, where they come from different messages. */
  origin?: Origin | Origin[];
  /** Messages that its source still has behind it, where that is known. */
  pending?: number;
  /** What isn't sent when it is over is not sent any more. */
  hold?: Hold | undefined;
  /** Until when, by performance.now(), a dead process may still write this: nothing newer is written before. */
  inheritedUntil?: number | undefined;
}

/** The place of a message among those of its consumer. */
export interface Origin {
  /** Its stream and its consumer. */
  consumer: string;
  sequence: number;
  /** ISO time at which the stream took it. */
  timestamp: string;
}

/** As collections write it: `statusCode`, not the `errorCode` of top-level errors. */
export interface RowError {
  statusCode: string;
  message: string;
  fields: string[];
}

export interface RowResult {
  id: string | null;
  success: boolean;
  /** For upsert. */
  created?: boolean;
  errors: RowError[];
  /** The record of the input; for get the record that was read. */
  record: unknown;
  /** For tree: the new id of each reference id in the tree. */
  references?: Record<string, string>;
  /** The message came again: these fields were left as newer messages had written them in the meantime. */
  superseded?: string[];
}

/** Rows of one endpoint may share a collection. */
export interface Endpoint {
  operation: Operation;
  sobject: string;
  externalIdField?: string;
  fields?: string[];
  /** Equal for equal endpoints. */
  name: string;
}

/**
 * What a row touches: two writes that name one key, one of them writing it, never run at the same time. Names are
 * careful: what may be one record has one name, also where Salesforce turns out to tell it apart.
 */
export interface Key {
  name: string;
  write: boolean;
  /** Written, but by a name that other records share: only those who read it have to wait. */
  shared?: true;
}

export interface Row {
  /** Position among the records of the message. */
  index: number;
  /** What goes over the wire: a record with its attributes, or an id. */
  body: unknown;
  /** Names the record that it writes, where that is known; others may have the same name. */
  key?: string;
  /** The id or external id of that record as it was given. */
  keyText?: string;
  /** The field that says which record it is, in lower case. */
  keyField?: string;
  superseded?: string[];
}

/** What is sent, answered and repeated as one: a single row, or the rows of a message that belong together. */
export interface Write extends Item<WriteMessage> {
  readonly endpoint: Endpoint;
  readonly rows: Row[];
  readonly keys: Key[];
  /** All rows or none: a collection of its own, above 200 rows (and for tree) a call of its own. */
  readonly atomic: boolean;
  /** A second write of the same leaves the org as the first did. */
  readonly repeatable: boolean;
  /** Holds a text that /composite would take for a reference: must travel outside of it. */
  readonly direct: boolean;
  /** About as many as its JSON has. */
  readonly bytes: number;
  /** It may be a row of a Bulk job. */
  bulk: boolean;
}

/** One message from its arrival until each of its rows has a result. */
export interface WriteMessage {
  readonly request: WriteRequest;
  /** Input records in order, for the results. */
  readonly records: unknown[];
  readonly results: (RowResult | undefined)[];
  /** Rows without a result. */
  open: number;
  /** The first reason why rows were given up or may have been written unknown to us. */
  failure?: FlowError;
}

export function newWrite(
  made: Pick<Write, 'message' | 'endpoint' | 'rows' | 'keys' | 'atomic' | 'repeatable' | 'bytes' | 'direct'>,
): Write {
  const { message, endpoint, rows, keys, atomic, repeatable, bytes, direct } = made;
  const { refusals, losses, notBefore, group } = FRESH;
  return {
    ...{ message, endpoint, rows, keys, atomic, repeatable, bytes, direct },
    ...{ refusals, losses, notBefore, group },
    bulk: false,
  };
}

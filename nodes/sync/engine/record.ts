import * as crypto from 'node:crypto';
import { FlowError, messageOf } from '../../shared/errors';
import { stringifyJson } from '../../shared/json';
import { parseTime } from '../../shared/time';
import { escapeToken } from '../../shared/token';
import type { SubjectOf } from './tokens';
import { say } from '../../shared/say';

/** A record as an API shows it now. */
export interface SourceRecord {
  id: string;
  /** Its fields; of a deleted one, what is still known. */
  data: Record<string, unknown>;
  /** ISO 8601 in UTC, where the API tells. */
  createdAt?: string;
  updatedAt?: string;
  deleted?: boolean;
  /** Deleted, and the API has nothing left of it: `updatedAt` is when that was noticed. */
  gone?: boolean;
  /** It can't be read, and nothing tells that it was deleted: a permission that was taken away looks the same. */
  unproven?: boolean;
  /** Only its id is known: it is read once it has been seen what the stream has of it. */
  unread?: boolean;
}

/**
 * Makes the messages of a collection's records, as the guide has them, with `provider` and `deleted`. Throws
 * INVALID_RECORD for data that JSON can't say, or says something else for than an object.
 */
export function recordBodies(of: SubjectOf): (record: SourceRecord) => string {
  const { collection, syncId, provider } = of;
  const common = JSON.stringify({ collection_id: collection, sync_id: syncId, provider });
  const beginning = `${common.slice(0, -1)},"data":`;
  // Written together from its parts: a copy of the data for each record would double the time this takes.
  return ({ id, data, createdAt = null, updatedAt = null, deleted = false }) => {
    const fields = fieldsOf(data);
    const comma = fields === '{}' ? '' : ',';
    const times = `"upstream_created_at":${JSON.stringify(createdAt)},"upstream_updated_at":${JSON.stringify(updatedAt)}`;
    return `${beginning}${fields.slice(0, -1)}${comma}"upstream_id":${JSON.stringify(id)}},${times},"deleted":${deleted}}`;
  };
}

function fieldsOf(data: Record<string, unknown>): string {
  let fields: string | undefined;
  let why = say`it says something else for them than an object`;
  try {
    fields = stringifyJson('upstream_id' in data ? { ...data, upstream_id: undefined } : data);
  } catch (error) {
    why = messageOf(error);
  }
  if (fields?.startsWith('{')) return fields;
  throw new FlowError('INVALID_RECORD', say`The data of a record can't be written as JSON: ${why}`, false);
}

/** Tells two contents of a record apart. */
export function fingerprint(body: string): string {
  return digest(body).slice(0, 16);
}

/** Quicker than a Hash object, but not in every Node 20. */
const digest = (crypto.hash as typeof crypto.hash | undefined)
  ? (body: string): string => crypto.hash('sha256', body, 'base64url')
  : (body: string): string => crypto.createHash('sha256').update(body).digest('base64url');

/**
 * From sync, collection, id and version. An API's times are too coarse to be a version: within a second a record
 * can change to and fro, so the content belongs to it, and the sequence of the message that it follows.
 */
export function messageId(
  of: SubjectOf,
  record: SourceRecord,
  print: string,
  after: number | undefined,
): string {
  const version = `${record.updatedAt ?? ''}:${print}${after === undefined ? '' : `:${after}`}`;
  return `${escapeToken(of.syncId)}:${escapeToken(of.collection)}:${escapeToken(record.id)}:${version}`;
}

/** What can be told of a record's message in a stream, whoever put it there. */
export function readBody(body: string): ReadBody {
  try {
    const { data, upstream_updated_at, deleted } = JSON.parse(body) as Record<string, unknown>;
    const id = (data as { upstream_id?: unknown } | null | undefined)?.upstream_id;
    return {
      id: typeof id === 'string' ? id : undefined,
      updatedAt: timeOf(upstream_updated_at),
      deleted: deleted === true,
    };
  } catch {
    return { id: undefined, updatedAt: undefined, deleted: false };
  }
}

export interface ReadBody {
  /** Undefined where it is no record's message. */
  id: string | undefined;
  /** Epoch ms. */
  updatedAt: number | undefined;
  deleted: boolean;
}

/** A date can't be further from 1970, in milliseconds. */
const LAST_TIME = 8.64e15;

/** Epoch ms of a time as text, undefined for what is none. */
export function timeOf(time: unknown): number | undefined {
  const ms = typeof time === 'string' ? parseTime(time) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** "2023-04-01T12:00:00Z", with milliseconds where there are any; undefined for what is no time. */
export function isoTime(time: unknown): string | undefined {
  const ms = (typeof time === 'number' ? time : timeOf(time)) ?? NaN;
  return !(Math.abs(ms) <= LAST_TIME) ? undefined : new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** Faults that tests ask for: which call or row is hit, what happens to it, how often. */
import { rowError, type RowError } from '../store/errors';

export interface FaultMatch {
  /** Part of the path with its query, or a pattern with `*`. */
  path?: string;
  method?: string;
  /** Pub/Sub topic. */
  topic?: string;
  /** A value found in any field of the record (also its Id), or fields that must all be equal. */
  record?: string | Record<string, unknown>;
}

export interface FaultAction {
  /** Answer this HTTP status instead of doing the work. */
  status?: number;
  errorCode?: string;
  message?: string;
  /** What stands before the org answers with this: a text is a page, '' is nothing, anything else JSON. */
  body?: unknown;
  /** With these headers. */
  headers?: Record<string, string>;
  /** The work is done first: a `status` is a lie then, and what `delayMs` holds back is the answer. */
  after?: boolean;
  /** Refuse the row: a status code such as UNABLE_TO_LOCK_ROW, or the whole error. */
  rowError?: string | { statusCode: string; message?: string; fields?: string[] };
  /** Cut the connection before the work, after it, or (`body`) after it and half of the answer. */
  reset?: 'before' | 'after' | 'body';
  /** Wait before the work (or after it); alone, nothing else goes wrong. */
  delayMs?: number;
  /** For the Pub/Sub side: a GrpcAction. Such faults, and those that name a topic, are for its calls alone. */
  grpc?: unknown;
  [more: string]: unknown;
}

export interface Fault {
  match?: FaultMatch;
  action: FaultAction;
  /** How many calls or rows it hits; for ever where it isn't given. */
  times?: number;
}

/** What a fault is matched against. */
export interface Occasion {
  method?: string;
  path?: string;
  topic?: string;
  /** The records of the call, for faults of whole calls that name one. */
  records?: () => readonly Readonly<Record<string, unknown>>[];
}

interface Active extends Fault {
  left: number;
}

export class Faults {
  #active: Active[] = [];

  add(...faults: Fault[]): void {
    for (const fault of faults) this.#active.push({ ...fault, left: fault.times ?? Infinity });
  }

  clear(): void {
    this.#active = [];
  }

  list(): Fault[] {
    return this.#active.map(({ left, ...fault }) => ({
      ...fault,
      times: Number.isFinite(left) ? left : undefined,
    }));
  }

  /** The first fault for this call, which counts as one time of it. Faults of rows are not for calls. */
  forCall(occasion: Occasion): FaultAction | undefined {
    return this.#take(
      (fault) =>
        fault.action.rowError === undefined &&
        isForGrpc(fault) === (occasion.method === 'GRPC') &&
        matchesCall(fault.match, occasion) &&
        (fault.match?.record === undefined ||
          (occasion.records?.() ?? []).some((record) => matchesRecord(fault.match?.record, record))),
    );
  }

  /** The refusal that a fault has for this row of this call. */
  forRow(occasion: Occasion, record: Readonly<Record<string, unknown>>): RowError | undefined {
    if (this.#active.length === 0) return undefined;
    const action = this.#take(
      (fault) =>
        fault.action.rowError !== undefined &&
        isForGrpc(fault) === (occasion.method === 'GRPC') &&
        matchesCall(fault.match, occasion) &&
        matchesRecord(fault.match?.record, record),
    );
    const error = action?.rowError;
    if (error === undefined) return undefined;
    if (typeof error === 'string')
      return rowError(error, action?.message ?? MESSAGES[error] ?? `simulated ${error}`);
    return rowError(
      error.statusCode,
      error.message ?? MESSAGES[error.statusCode] ?? `simulated ${error.statusCode}`,
      error.fields ?? [],
    );
  }

  #take(hit: (fault: Active) => boolean): FaultAction | undefined {
    const fault = this.#active.find((candidate) => candidate.left > 0 && hit(candidate));
    if (!fault) return undefined;
    fault.left--;
    if (fault.left === 0) this.#active = this.#active.filter((other) => other !== fault);
    return fault.action;
  }
}

const MESSAGES: Record<string, string> = {
  UNABLE_TO_LOCK_ROW: 'unable to obtain exclusive access to this record',
  FIELD_CUSTOM_VALIDATION_EXCEPTION: 'The record breaks a validation rule',
  CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: 'Trigger: execution of BeforeInsert',
};

function isForGrpc({ match, action }: Fault): boolean {
  return action.grpc !== undefined || match?.topic !== undefined || match?.method === 'GRPC';
}

function matchesCall(match: FaultMatch | undefined, occasion: Occasion): boolean {
  if (!match) return true;
  if (match.method !== undefined && match.method.toUpperCase() !== occasion.method?.toUpperCase())
    return false;
  if (match.topic !== undefined && match.topic !== occasion.topic) return false;
  return match.path === undefined || (occasion.path !== undefined && matchesPath(match.path, occasion.path));
}

function matchesPath(pattern: string, path: string): boolean {
  if (!pattern.includes('*')) return path.includes(pattern);
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(source).test(path);
}

function matchesRecord(match: FaultMatch['record'], record: Readonly<Record<string, unknown>>): boolean {
  if (match === undefined) return true;
  if (typeof match === 'string') return Object.values(record).includes(match);
  return Object.entries(match).every(([name, value]) => record[name] === value);
}

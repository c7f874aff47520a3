/** Faults that tests ask of a simulated service: which call is hit, what happens to it, how often. */

export interface FaultMatch {
  /** Part of the path with its query, or a pattern with `*`. */
  path?: string;
  method?: string;
  /** A value found in any field of the record (also its id), or fields that must all be equal. */
  record?: string | Record<string, unknown>;
}

export interface FaultAction {
  /** Answer this HTTP status instead of doing the work. */
  status?: number;
  errorCode?: string;
  message?: string;
  /** What stands before the service answers with this: a text is a page, '' is nothing, anything else JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  /** The work is done first: a `status` is a lie then, and what `delayMs` holds back is the answer. */
  after?: boolean;
  /** Cut the connection before the work, after it, or (`body`) after it and half of the answer. */
  reset?: 'before' | 'after' | 'body';
  /** Wait before the work (or after it); alone, nothing else goes wrong. */
  delayMs?: number;
  [more: string]: unknown;
}

export interface Fault<Match extends FaultMatch = FaultMatch, Action extends FaultAction = FaultAction> {
  match?: Match;
  action: Action;
  /** How many calls or rows it hits; for ever where it isn't given. */
  times?: number;
}

/** What a fault is matched against. */
export interface Occasion {
  method?: string;
  path?: string;
  /** The records of the call, for faults of whole calls that name one. */
  records?: () => readonly Readonly<Record<string, unknown>>[];
}

export class Faults<Match extends FaultMatch = FaultMatch, Action extends FaultAction = FaultAction> {
  #active: (Fault<Match, Action> & { left: number })[] = [];

  add(...faults: Fault<Match, Action>[]): void {
    for (const fault of faults) this.#active.push({ ...fault, left: fault.times ?? Infinity });
  }

  clear(): void {
    this.#active = [];
  }

  list(): Fault<Match, Action>[] {
    return this.#active.map(({ left, ...fault }) => ({
      ...fault,
      times: Number.isFinite(left) ? left : undefined,
    }));
  }

  /** The first fault for this call, which counts as one time of it. */
  forCall(occasion: Occasion): Action | undefined {
    return this.take(
      ({ match }) =>
        matchesCall(match, occasion) &&
        (match?.record === undefined ||
          (occasion.records?.() ?? []).some((record) => matchesRecord(match.record, record))),
    );
  }

  protected take(hit: (fault: Fault<Match, Action>) => boolean): Action | undefined {
    const fault = this.#active.find((candidate) => candidate.left > 0 && hit(candidate));
    if (!fault) return undefined;
    fault.left--;
    if (fault.left === 0) this.#active = this.#active.filter((other) => other !== fault);
    return fault.action;
  }
}

export function matchesCall(match: FaultMatch | undefined, occasion: Occasion): boolean {
  if (match?.method !== undefined && match.method.toUpperCase() !== occasion.method?.toUpperCase())
    return false;
  return match?.path === undefined || (occasion.path !== undefined && matchesPath(match.path, occasion.path));
}

function matchesPath(pattern: string, path: string): boolean {
  if (!pattern.includes('*')) return path.includes(pattern);
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(source).test(path);
}

export function matchesRecord(
  match: FaultMatch['record'],
  record: Readonly<Record<string, unknown>>,
): boolean {
  if (match === undefined) return true;
  if (typeof match === 'string') return Object.values(record).includes(match);
  return Object.entries(match).every(([name, value]) => record[name] === value);
}

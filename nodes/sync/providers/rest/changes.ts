import { parseDuration } from '../../../shared/duration';
import type { RestClient } from './client';
import type { ChangesDeclaration, CollectionDeclaration, Listing } from './declaration';
import { listPage } from './listing';
import { PassReader, type Pass } from './pass';
import { idIn, idOf } from './records';
import type { Values } from './template';
import { HeadWalk } from './walk';
import { say } from '../../../shared/say';

/** Where one list of changes stands; kept as JSON. Times are epoch ms by the API's clock. */
export interface FeedState {
  /** What was changed before has been read, what shows late left out. */
  since: number;
  /** Where the last pass that looked back came to, and passes until the next one that does. */
  deep?: number;
  shallow?: number;
  /** A pass under way. */
  pass?: Pass;
  /** For ever. */
  cursor?: string;
  head?: string;
}

export interface FeedStep {
  rows: unknown[];
  state: FeedState;
  more: boolean;
  gap?: string;
}

export interface FeedOptions {
  client: RestClient;
  of: CollectionDeclaration;
  values: Values;
  conditional: boolean;
  /** Milliseconds of the setting. */
  lookback: number;
}

/** Of two passes of which neither looks back: clocks are only known to the second. */
const OVERLAP = 10_000;
/** The last look back is so many times as long ago as it looked back: then it is time for another. */
const SHALLOW = 4;

/** What has changed in one list: a page for each step. */
export interface Feed {
  start(signal: AbortSignal): Promise<FeedState>;
  step(state: FeedState, signal: AbortSignal): Promise<FeedStep>;
}

export function feedOf(options: FeedOptions): Feed {
  const { of, client } = options;
  const { changes } = of;
  const list = changes?.list ?? of.list;
  const id = (row: unknown): string => idOf(of, row);
  if (!changes) return new FullPasses(options, list);
  switch (changes.by) {
    case 'since':
    case 'newest':
      return new TimedPasses(options, changes, list);
    case 'cursor':
      return new CursorFeed(options, changes, list);
    case 'walk': {
      const walk = new HeadWalk(client, list, options.values, changes.parents, id);
      return {
        start: async (signal) => ({ since: client.past(), head: await walk.head(signal) }),
        step: async (state, signal) => {
          const { rows, head } = await walk.step(state.head ?? '', signal);
          return { rows, state: head === undefined ? state : { ...state, head }, more: head === undefined };
        },
      };
    }
  }
}

/** Everything, again and again: whoever publishes it knows what has changed. */
class FullPasses implements Feed {
  private readonly reader: PassReader;

  constructor(
    private readonly options: FeedOptions,
    list: Listing,
  ) {
    const { client, of, values, conditional } = options;
    this.reader = new PassReader(client, {
      listing: list,
      values,
      idOf: (row) => idIn(of, row),
      conditional,
    });
  }

  start(): Promise<FeedState> {
    return Promise.resolve({ since: this.options.client.past() });
  }

  async step(state: FeedState, signal: AbortSignal): Promise<FeedStep> {
    const before = state.pass ?? this.reader.begin(0);
    const { rows, pass } = await this.reader.step(before, signal);
    return { rows, state: { since: pass ? state.since : before.began, pass }, more: pass !== undefined };
  }
}

/**
 * What has changed since, by a time of the records: in passes, each of which looks back, because a record can show
 * late with a time that has passed. As long as a pass takes one page its beginning stays, which costs no more; one of
 * many pages is followed by as many that don't look back, so that looking back doesn't multiply the calls.
 */
class TimedPasses implements Feed {
  private readonly reader: PassReader;
  private readonly lookback: number;
  private readonly keeps: number;

  constructor(
    private readonly options: FeedOptions,
    changes: ChangesDeclaration & { by: 'since' | 'newest' },
    list: Listing,
  ) {
    const { client, of, values, conditional, lookback } = options;
    this.lookback = Math.max(lookback, parseDuration(changes.lookback ?? '0s'));
    this.keeps = changes.keeps === undefined ? Infinity : parseDuration(changes.keeps);
    const newest = changes.by === 'newest' ? changes.time : undefined;
    const { events } = changes;
    const id = events ? () => '' : (row: unknown): string | undefined => idIn(of, row);
    this.reader = new PassReader(client, { listing: list, values, idOf: id, newest, conditional });
  }

  start(): Promise<FeedState> {
    return Promise.resolve({ since: this.options.client.past() });
  }

  async step(state: FeedState, signal: AbortSignal): Promise<FeedStep> {
    const { client } = this.options;
    if (client.now() - state.since > this.keeps - this.lookback)
      return {
        rows: [],
        state: await this.start(),
        more: false,
        gap: say`the sync stood still since ${new Date(state.since).toISOString()}, longer than the API remembers changes`,
      };
    const before = state.pass ?? this.begin(state);
    const { rows, pass } = await this.reader.step(before, signal);
    if (pass) return { rows, state: { ...state, pass }, more: true };
    return { rows, state: this.end(state, { ...before, pages: before.pages + 1 }, rows), more: false };
  }

  private begin(state: FeedState): Pass {
    const { since, deep = since, shallow } = state;
    const looksBack = !shallow || since - deep >= SHALLOW * this.lookback;
    const from = looksBack ? deep - this.lookback : since - OVERLAP;
    return { ...this.reader.begin(Math.max(0, from)), deep: looksBack };
  }

  private end({ since, deep = since, shallow }: FeedState, pass: Pass, rows: readonly unknown[]): FeedState {
    const stays = pass.pages <= 1 && this.keeps === Infinity;
    if (stays && pass.deep) return { since, deep };
    const seen = Math.min(this.reader.latest(rows, pass), pass.clock);
    // A clock that is wrong makes it look back farther, but skips nothing.
    const reached = Math.max(since, pass.began, seen);
    if (!pass.deep) return { since: stays ? since : reached, deep, shallow: (shallow ?? 1) - 1 };
    return { since: reached, deep: reached, shallow: pass.pages - 1 };
  }
}

/** The API knows where one stands, and says it in a cursor that lasts. */
class CursorFeed implements Feed {
  private readonly lag: number;

  constructor(
    private readonly options: FeedOptions,
    { lag = '0s' }: ChangesDeclaration & { by: 'cursor' },
    private readonly list: Listing,
  ) {
    this.lag = Math.max(parseDuration(lag), 0);
  }

  start(): Promise<FeedState> {
    return Promise.resolve({ since: this.options.client.past() - this.lag });
  }

  async step(state: FeedState, signal: AbortSignal): Promise<FeedStep> {
    const { client, values, lookback } = this.options;
    const began = client.past();
    const request = { listing: this.list, values: { ...values, since: state.since }, next: state.cursor };
    const { rows, next, cursor, restart } = await listPage(client, request, signal);
    if (restart !== undefined) {
      const since = Math.max(0, state.since - Math.max(lookback, this.lag));
      return { rows: [], state: { since }, more: true };
    }
    if (next !== undefined && next === state.cursor) return this.onOneTime(next, rows, state);
    const ended = next === undefined;
    const reached: FeedState = {
      since: ended ? Math.max(state.since, began - this.lag) : state.since,
      cursor: cursor ?? state.cursor,
    };
    return { rows, state: reached, more: !ended };
  }

  /** More records than a page holds have one time, and the cursor is that time. */
  private async onOneTime(cursor: string, rows: unknown[], before: FeedState): Promise<FeedStep> {
    const isTime = /^\d+$/.test(cursor);
    const after = String(Number(cursor) + 1);
    // A page larger than was asked for has all of that time.
    if (isTime && rows.length > (this.list.size ?? Infinity))
      return { rows, state: { ...before, cursor: after }, more: true };
    const state = await this.start();
    const beyond = isTime ? { ...state, cursor: after } : state;
    const gap = say`more records than the API gives at once were changed in one second`;
    return { rows: [], state: beyond, more: false, gap };
  }
}

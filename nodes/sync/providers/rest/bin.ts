import type { SourceRecord } from '../../engine/record';
import type { RestClient } from './client';
import { BIN_EVERY } from './cost';
import type { CollectionDeclaration, Listing } from './declaration';
import { PassReader, type Pass } from './pass';
import { timeAt } from './path';
import { idOf, recordOf } from './records';
import type { Values } from './template';

/** How far the list of what was deleted has been read; kept as JSON. */
export interface BinState {
  /** What was deleted before has been read, epoch ms. */
  since: number;
  pass?: Pass;
  /** Polls until it is read again. */
  rest: number;
  /** All of it as it was last read, where that is little: whoever takes over sees what is restored. */
  ids?: string[];
}

export interface BinStep {
  /** Deleted since the last time. */
  records: SourceRecord[];
  /** Not there any more: restored, or thrown away for good. */
  ids: string[];
  state: BinState;
  more: boolean;
}

/** Ids that a position has room for. */
const ROOM = 1_000;

/**
 * What was deleted, as an API shows it in a list of its own that knows no order: it is read to its end, as seldom as
 * it is long, and what is deleted since the last time is told by its own time.
 */
export class Bin {
  private readonly reader: PassReader;
  /** The ids of the last pass, where that was read from here. */
  private before: Set<string> | undefined;
  private current: Set<string> | undefined;

  constructor(
    private readonly client: RestClient,
    private readonly of: CollectionDeclaration,
    private readonly list: Listing & { every?: number },
    values: Values,
    private readonly lookback: number,
  ) {
    this.reader = new PassReader(client, { listing: list, values, idOf: (row) => idOf(of, row) });
  }

  start(): BinState {
    return { since: this.client.past(), rest: 0 };
  }

  isDue(state = this.start()): boolean {
    return state.pass !== undefined || state.rest <= 1;
  }

  async step(state = this.start(), signal: AbortSignal): Promise<BinStep> {
    if (!this.isDue(state))
      return { records: [], ids: [], state: { ...state, rest: state.rest - 1 }, more: false };
    const current = (state.pass && this.current) || new Set<string>();
    this.current = current;
    const before = (current.size > 0 && state.pass) || this.reader.begin(0);
    const { rows, pass } = await this.reader.step(before, signal);
    for (const row of rows) current.add(idOf(this.of, row));
    const since = state.since - this.lookback;
    const records = rows
      .filter((row) => (timeAt(row, this.of.deletedAt ?? '') ?? Infinity) >= since)
      .map((row) => ({ ...recordOf(this.of, row), deleted: true }));
    if (pass) return { records, ids: [], state: { ...state, pass }, more: true };
    const last = this.before ?? state.ids ?? [];
    const ids = [...last].filter((id) => !current.has(id));
    this.before = current;
    this.current = undefined;
    const rest = Math.max(this.list.every ?? BIN_EVERY, before.pages + 1);
    const kept = current.size <= ROOM && { ids: [...current] };
    return { records, ids, state: { since: before.began, rest, ...kept }, more: false };
  }
}

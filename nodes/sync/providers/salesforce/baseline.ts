import { fingerprint, timeOf, isoTime, type SourceRecord } from '../../engine/record';
import { stringifyJson } from '../../../shared/json';
import { PAGE, select } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

/** What a beginning found there already. */
export interface Known {
  /** When it began, epoch ms by the org's clock. */
  at: number;
  /** Fingerprints of the records, by id. */
  rows: Record<string, string>;
}

/** More than that would make positions too large. Then what was changed just before may be given once more. */
const MOST = 5_000;

/**
 * What was committed before a beginning. Times don't tell it: they are whole seconds, and a row can appear late with
 * one that has passed. So a record counts as known only as long as it is exactly what was there.
 */
export class Baseline {
  constructor(private readonly known: Known | undefined) {}

  /** Of the rows changed since `from`; undefined where they are too many. */
  static async take(
    reader: OrgReader,
    sobject: SObject,
    from: number,
    at: number,
    signal: AbortSignal,
  ): Promise<Known | undefined> {
    const { stamp } = sobject;
    const rows: Known['rows'] = {};
    let behind = '';
    let since = isoTime(Math.floor(from / 1_000) * 1_000);
    for (let count = 0; count <= MOST;) {
      const condition = `WHERE ${stamp}>=${since}${behind} ORDER BY ${stamp},Id`;
      const found = await select(
        reader,
        sobject,
        { condition, limit: PAGE, all: sobject.hasDeleted },
        signal,
      );
      for (const record of found.records) rows[record.id] = print(record);
      count += found.records.length;
      const { last } = found;
      if (!found.full || !last) return { at, rows };
      since = isoTime(last.stamp);
      behind = ` AND (${stamp}>${since} OR Id>'${last.id}')`;
    }
    return undefined;
  }

  has(record: SourceRecord): boolean {
    return this.known?.rows[record.id] === print(record);
  }

  /** Of a deletion, which the log has by the second. */
  before(time: string): boolean {
    return (
      this.known !== undefined &&
      (timeOf(isoTime(time)) ?? Infinity) < Math.floor(this.known.at / 1_000) * 1_000
    );
  }

  /** What of it is still needed by whoever looks back to that time. */
  from(time: number): Known | undefined {
    return this.known && time <= this.known.at ? this.known : undefined;
  }
}

function print({ data }: SourceRecord): string {
  return fingerprint(stringifyJson(data) ?? '');
}

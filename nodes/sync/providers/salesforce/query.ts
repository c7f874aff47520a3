import { codeOf } from '../../../shared/errors';
import { isoTime, type SourceRecord } from '../../engine/record';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';
import type { RowWidth } from './width';

export const PAGE = 2_000;
const READ = 2_000;
/** The org takes URLs of 16,384 bytes. */
const LONGEST_URL = 14_000;

interface QueryAnswer {
  totalSize: number;
  records: Record<string, unknown>[];
  done: boolean;
  nextRecordsUrl?: string;
}

export interface Selection {
  /** WHERE and ORDER BY; the order has to be one to go on from behind the last row. */
  condition: string;
  /** Rows at most; of wide rows it is fewer. */
  limit?: number;
  /** The deleted and archived ones, too. */
  all: boolean;
}

export interface Rows {
  records: SourceRecord[];
  /** Those that were still there when their page was read. */
  rows: { id: string; stamp: string }[];
  /** The last of them that stands, by its stamp, where it stood when the org was asked. */
  last: { id: string; stamp: string } | undefined;
  /** The query found as many as it may, so that there can be more behind them. */
  full: boolean;
}

/**
 * Up to 2,000 records by a condition. Where an object has too many fields for the URL of a query, their ids are
 * looked up first and the records read by those.
 */
export async function select(
  reader: OrgReader,
  sobject: SObject,
  { condition, limit = PAGE, all }: Selection,
  signal: AbortSignal,
): Promise<Rows> {
  const most = sobject.width.fit(limit);
  const limited = `${condition} LIMIT ${most}`;
  const whole = queryPath(sobject, sobject.fields, limited, all);
  const path = whole.length <= LONGEST_URL ? whole : queryPath(sobject, keyFields(sobject), limited, all);
  const asked = isoTime(Math.floor(reader.now() / 1_000) * 1_000) ?? '';
  const width = path === whole ? sobject.width : undefined;
  const { found, first, full } = await pages(reader, path, most, width, signal);
  const rows = found.map((row) => keyOf(sobject, row));
  // On the pages behind the first one a row is as it is by then: one that was changed meanwhile stood elsewhere.
  const last = rows.findLast(({ stamp }, i) => i < first || (isoTime(stamp) ?? '') < asked);
  if (path === whole) return { records: found.map((row) => sobject.record(row)), rows, last, full };
  const records = await readByIds(reader, sobject, idsOf(rows), signal);
  // What is out of sight since its id was found comes when it can be seen.
  return { records: records.filter((record) => !record.unproven), rows, last, full };
}

/** What takes the org too long, or takes us too much memory, at once. */
export function isTooMuch(error: unknown): boolean {
  return ['QUERY_TIMEOUT', 'ANSWER_TOO_LARGE', 'EXCEEDED_ID_LIMIT'].includes(codeOf(error));
}

/** Works on a list in parts, in smaller ones where one is too much. */
async function inParts<T>(
  list: readonly T[],
  most: () => number,
  work: (part: T[]) => Promise<void>,
): Promise<void> {
  let limit = Infinity;
  for (let from = 0; from < list.length;) {
    const part = list.slice(from, from + Math.min(limit, most()));
    try {
      await work(part);
      from += part.length;
    } catch (error) {
      if (!isTooMuch(error) || part.length === 1) throw error;
      limit = Math.ceil(part.length / 4);
    }
  }
}

const ID = /^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/;

/**
 * The records as they are now, one for each id that can be one of Salesforce's: in batches of 2,000 to an API call.
 * What is not found that way is looked for among the deleted. What isn't there either is gone, or out of this user's
 * sight, which makes no difference to the org: it is `unproven` where the org tells deletions elsewhere.
 */
export async function readByIds(
  reader: OrgReader,
  sobject: SObject,
  asked: readonly string[],
  signal: AbortSignal,
): Promise<SourceRecord[]> {
  // The org would refuse all of them for one that is none.
  const ids = asked.filter((id) => ID.test(id));
  const found = new Map<string, SourceRecord>();
  const path = `/composite/sobjects/${sobject.name}`;
  await inParts(
    ids,
    () => sobject.width.fit(READ),
    async (part) => {
      const body = { ids: part, fields: sobject.fields };
      const answer = await reader.ask('POST', path, signal, { body });
      const rows = (answer.body as (Record<string, unknown> | null)[]).filter((row) => row !== null);
      sobject.width.observe(rows);
      for (const row of rows) found.set(String(row.Id), sobject.record(row));
    },
  );
  const missing = ids.filter((id) => !found.has(id));
  for (const record of await readDeleted(reader, sobject, missing, signal)) found.set(record.id, record);
  const now = reader.now();
  return ids.map((id) => found.get(id) ?? sobject.gone(id, now, sobject.replicateable));
}

/** What the org still has of deleted records: only a query shows it, and a wide object's fields take several. */
async function readDeleted(
  reader: OrgReader,
  sobject: SObject,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<SourceRecord[]> {
  if (!sobject.hasDeleted || ids.length === 0) return [];
  const found = new Map<string, Record<string, unknown>>();
  for (const fields of fieldsByUrl(sobject)) {
    const space = LONGEST_URL - queryPath(sobject, fields, 'WHERE Id IN ()', true).length;
    // An id with its quotes and comma, escaped.
    const most = Math.floor(space / 27);
    await inParts(
      ids,
      () => most,
      async (part) => {
        const list = part.map((id) => `'${id.replace(/[^A-Za-z0-9]/g, '')}'`);
        const path = queryPath(sobject, fields, `WHERE Id IN (${list.join(',')})`, true);
        for (const row of (await pages(reader, path, Infinity, undefined, signal)).found)
          found.set(String(row.Id), { ...found.get(String(row.Id)), ...row });
      },
    );
  }
  return [...found.values()].map((row) => sobject.record(row));
}

/** The fields in parts that take half a URL each at most, with those that every row needs in each. */
function fieldsByUrl(sobject: SObject): string[][] {
  const keys = keyFields(sobject);
  const parts: string[][] = [[...keys]];
  for (const field of sobject.fields.filter((one) => !keys.includes(one))) {
    const part = parts.at(-1) as string[];
    if (queryPath(sobject, [...part, field], '', true).length < LONGEST_URL / 2) part.push(field);
    else parts.push([...keys, field]);
  }
  return parts;
}

interface Pages {
  found: Record<string, unknown>[];
  /** How many of them came on the first page. */
  first: number;
  /** There may be more behind them. */
  full: boolean;
}

/** A query is begun again so many times because the org has let go of its cursor: a user has but ten of them. */
const CURSORS_LOST = 3;

async function pages(
  reader: OrgReader,
  path: string,
  limit: number,
  width: RowWidth | undefined,
  signal: AbortSignal,
): Promise<Pages> {
  for (let lost = 0; ;) {
    try {
      return await readPages(reader, path, limit, width, signal);
    } catch (error) {
      if (codeOf(error) !== 'INVALID_QUERY_LOCATOR' || ++lost > CURSORS_LOST) throw error;
    }
  }
}

/**
 * The rows of a query, which may come in several pages however few they are: all up to the limit, or fewer where they
 * turn out to be wide. What is deleted before its page is read is counted in the total, but not found.
 */
async function readPages(
  reader: OrgReader,
  path: string,
  limit: number,
  width: RowWidth | undefined,
  signal: AbortSignal,
): Promise<Pages> {
  let answer = await reader.get<QueryAnswer>(path, signal);
  const { totalSize: total, records: found } = answer;
  const first = found.length;
  width?.observe(found);
  while (!answer.done && answer.nextRecordsUrl) {
    if (width && found.length >= width.fit(limit)) return { found, first, full: true };
    answer = await reader.get<QueryAnswer>(answer.nextRecordsUrl, signal);
    width?.observe(answer.records);
    found.push(...answer.records);
  }
  return { found, first, full: total >= limit };
}

export async function count(reader: OrgReader, sobject: SObject, signal: AbortSignal): Promise<number> {
  const path = queryPathOf(`SELECT COUNT() FROM ${sobject.name} ${sobject.living}`, sobject.archives);
  return (await reader.get<{ totalSize: number }>(path, signal)).totalSize;
}

export function soql(sobject: SObject, fields: readonly string[], condition: string): string {
  return `SELECT ${fields.join(',')} FROM ${sobject.name} ${condition}`.trimEnd();
}

function queryPath(sobject: SObject, fields: readonly string[], condition: string, all: boolean): string {
  return queryPathOf(soql(sobject, fields, condition), all);
}

function queryPathOf(query: string, all: boolean): string {
  return `/${all ? 'queryAll' : 'query'}?q=${encodeURIComponent(query.trimEnd())}`;
}

function keyFields(sobject: SObject): string[] {
  return ['Id', sobject.stamp, ...(sobject.hasDeleted ? ['IsDeleted'] : [])];
}

function idsOf(rows: readonly { id: string }[]): string[] {
  return rows.map(({ id }) => id);
}

function keyOf(sobject: SObject, row: Record<string, unknown>): { id: string; stamp: string } {
  return { id: String(row.Id), stamp: String(row[sobject.stamp]) };
}

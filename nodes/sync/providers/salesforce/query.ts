import type { SourceRecord } from '../../engine/record';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';

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

export interface Rows {
  records: SourceRecord[];
  /** Those that were still there when their page was read. */
  rows: { id: string; stamp: string }[];
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
  condition: string,
  { all, signal }: { all: boolean; signal: AbortSignal },
): Promise<Rows> {
  const whole = queryPath(sobject, sobject.fields, condition, all);
  const path = whole.length <= LONGEST_URL ? whole : queryPath(sobject, keyFields(sobject), condition, all);
  const { found, total } = await pages(reader, path, signal);
  const rows = found.map((row) => keyOf(sobject, row));
  const ids = rows.map(({ id }) => id);
  const records =
    path === whole ? found.map((row) => sobject.record(row)) : await readByIds(reader, sobject, ids, signal);
  return { records, rows, full: total >= PAGE };
}

const ID = /^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/;

/**
 * The records as they are now, one for each id that can be one of Salesforce's: in batches of 2,000 to an API call. What is not found that way is
 * looked for among the deleted, and of what isn't there either nothing is left.
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
  for (let from = 0; from < ids.length; from += READ) {
    const body = { ids: ids.slice(from, from + READ), fields: sobject.fields };
    const { body: rows } = await reader.ask('POST', path, signal, { body });
    for (const row of rows as (Record<string, unknown> | null)[]) {
      if (row) found.set(String(row.Id), sobject.record(row));
    }
  }
  const missing = ids.filter((id) => !found.has(id));
  for (const record of await readDeleted(reader, sobject, missing, signal)) found.set(record.id, record);
  const now = reader.now();
  return ids.map((id) => found.get(id) ?? sobject.gone(id, now));
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
    for (let from = 0; from < ids.length; from += most) {
      const list = ids.slice(from, from + most).map((id) => `'${id.replace(/[^A-Za-z0-9]/g, '')}'`);
      const path = queryPath(sobject, fields, `WHERE Id IN (${list.join(',')})`, true);
      for (const row of (await pages(reader, path, signal)).found)
        found.set(String(row.Id), { ...found.get(String(row.Id)), ...row });
    }
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

/**
 * All rows of a query, which may come in several pages however few they are. What is deleted before its page is read
 * is counted in the total, but not found.
 */
async function pages(
  reader: OrgReader,
  path: string,
  signal: AbortSignal,
): Promise<{ found: Record<string, unknown>[]; total: number }> {
  let answer = await reader.get<QueryAnswer>(path, signal);
  const { totalSize: total, records: found } = answer;
  while (!answer.done && answer.nextRecordsUrl) {
    answer = await reader.get<QueryAnswer>(answer.nextRecordsUrl, signal);
    found.push(...answer.records);
  }
  return { found, total };
}

export async function count(reader: OrgReader, sobject: SObject, signal: AbortSignal): Promise<number> {
  const path = `/query?q=${encodeURIComponent(`SELECT COUNT() FROM ${sobject.name}`)}`;
  return (await reader.get<{ totalSize: number }>(path, signal)).totalSize;
}

export function soql(sobject: SObject, fields: readonly string[], condition: string): string {
  return `SELECT ${fields.join(',')} FROM ${sobject.name} ${condition}`.trimEnd();
}

function queryPath(sobject: SObject, fields: readonly string[], condition: string, all: boolean): string {
  return `/${all ? 'queryAll' : 'query'}?q=${encodeURIComponent(soql(sobject, fields, condition))}`;
}

function keyFields(sobject: SObject): string[] {
  return ['Id', sobject.stamp, ...(sobject.hasDeleted ? ['IsDeleted'] : [])];
}

function keyOf(sobject: SObject, row: Record<string, unknown>): { id: string; stamp: string } {
  return { id: String(row.Id), stamp: String(row[sobject.stamp]) };
}

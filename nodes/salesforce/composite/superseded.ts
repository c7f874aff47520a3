import { RecentMap } from '../../shared/recent-map';
import { finish } from './results';
import type { Origin, Row, Write } from './operations';

/** Kept for very many records: small, and with texts that others keep too. */
interface Written {
  sequence: number;
  timestamp: string;
  /** Lower case, in order, with commas between; ALL for a delete. */
  fields: string;
  /** Its id or external id, as it was given: others may go by the same name. */
  text: string;
  id: string | null;
  /** The same record by an earlier message, with other fields. */
  before: Written | undefined;
}

const ALL = '*';
/** After a crash a message comes again when its ack wait is over: at 1,000 records a second these are two minutes' worth. */
const RECORDS = 100_000;
/** Different sets of fields that are remembered of one name. */
const SHAPES = 8;

/** Whether two ids, or external ids, of the records of a write are known to be one record. */
export type SameRecord = (write: Write, row: Row, text: string) => boolean;

/**
 * Which message of a consumer has last written each record of an org, and which of its fields. A message that is
 * delivered again, after an error, a crash or a redeploy, may come behind newer ones; what those have written
 * stays. Only the latest records are remembered (in some 200 bytes each), and not over a restart.
 */
export class WrittenRecords {
  private readonly consumers = new Map<string, RecentMap<string, Written>>();

  /** The message has written the row, whose record now has this id. */
  add(write: Write, row: Row, id: string | null): void {
    const origin = originOf(write, row);
    if (!origin || row.key === undefined) return;
    const { consumer, sequence, timestamp } = origin;
    let records = this.consumers.get(consumer);
    if (!records) this.consumers.set(consumer, (records = new RecentMap(RECORDS)));
    const fields = write.endpoint.operation === 'delete' ? ALL : shapeOf(row);
    const known = listOf(records.get(row.key));
    const text = row.keyText ?? '';
    const same = known.find((written) => written.fields === fields && written.text === text);
    if (same && isNewer(same, origin)) return;
    const before = known
      .filter((written) => written !== same)
      .slice(0, SHAPES - 1)
      .reduceRight<Written | undefined>((older, written) => ({ ...written, before: older }), undefined);
    records.set(row.key, { sequence, timestamp, fields, text, id, before });
  }

  /** The fields of the row (in lower case) that newer messages have written since; undefined where none has. */
  since(
    write: Write,
    row: Row,
    isSame: SameRecord = exactly,
  ): { fields: Set<string>; id: string | null } | undefined {
    const origin = originOf(write, row);
    if (!origin || row.key === undefined || row.keyField === undefined) return undefined;
    const known = listOf(this.consumers.get(origin.consumer)?.get(row.key));
    const newer = known.filter((written) => isNewer(written, origin) && isSame(write, row, written.text));
    const [latest] = newer;
    if (!latest) return undefined;
    const written = new Set(newer.flatMap(({ fields }) => fields.split(',')));
    const fields = fieldsOf(row).filter((field) => written.has(field) || written.has(ALL));
    return { fields: new Set(fields), id: latest.id };
  }
}

const exactly: SameRecord = (_write, row, text) => row.keyText === text;

function listOf(written: Written | undefined): Written[] {
  const list: Written[] = [];
  for (let next = written; next; next = next.before) list.push(next);
  return list;
}

/**
 * Takes out of the write what newer messages have written in the meantime: fields, and rows of which nothing is left,
 * which count as written. True where nothing of the write is left.
 */
export function leaveSuperseded(write: Write, written: WrittenRecords, isSame?: SameRecord): boolean {
  for (const row of [...write.rows]) {
    const since = written.since(write, row, isSame);
    if (!since) continue;
    const body = row.body as Record<string, unknown>;
    const fields = Object.keys(body).filter((field) => since.fields.has(field.toLowerCase()));
    row.body = Object.fromEntries(Object.entries(body).filter(([field]) => !fields.includes(field)));
    row.superseded = [...(row.superseded ?? []), ...fields];
    if (fieldsOf(row).length > 0) continue;
    const created = write.endpoint.operation === 'upsert' ? { created: false } : {};
    finish({ ...write, rows: [row] }, [
      { id: since.id, success: true, ...created, errors: [], record: null },
    ]);
    write.rows.splice(write.rows.indexOf(row), 1);
  }
  return write.rows.length === 0;
}

const orgs = new Map<string, WrittenRecords>();

/** Of this process: what a node has written outlives its redeploy. */
export function writtenRecords(organizationId: string): WrittenRecords {
  let records = orgs.get(organizationId);
  if (!records) orgs.set(organizationId, (records = new WrittenRecords()));
  return records;
}

function originOf({ message }: Write, { index }: Row): Origin | undefined {
  const { origin } = message.request;
  return Array.isArray(origin) ? origin[index] : origin;
}

type Place = Pick<Origin, 'sequence' | 'timestamp'>;

/** A stream that was made anew begins with 1 again, but its messages are younger. */
function isNewer(one: Place, other: Place): boolean {
  return one.sequence > other.sequence && one.timestamp >= other.timestamp;
}

/** By the names as they stand in records, which are few. */
const shapes = new RecentMap<string, string>(1_000);

function shapeOf(row: Row): string {
  const names = `${row.keyField} ${Object.keys(row.body as object).join(',')}`;
  let shape = shapes.get(names);
  if (shape === undefined) shapes.set(names, (shape = fieldsOf(row).join(',')));
  return shape;
}

/** Without what only says which record it is. */
function fieldsOf({ body, keyField }: Row): string[] {
  return Object.keys(body as object)
    .map((field) => field.toLowerCase())
    .filter((field) => field !== 'attributes' && field !== keyField)
    .sort();
}

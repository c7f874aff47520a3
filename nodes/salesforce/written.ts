import { RecentMap } from '../shared/recent';
import { finish } from './job';
import type { Origin, Row, Unit } from './operations';

interface Written {
  origin: Origin;
  /** Lower case, in order, with commas between; ALL for a delete. */
  fields: string;
  id: string | null;
}

const ALL = '*';
const RECORDS = 10_000;
/** Different sets of fields that are remembered of one record. */
const SHAPES = 8;

/**
 * Which message of a consumer has last written each record of an org, and which of its fields. A message that is
 * delivered again, after an error, a crash or a redeploy, may come behind newer ones; what those have written
 * stays. Only the latest records are remembered, and not over a restart.
 */
export class WrittenRecords {
  private readonly records = new RecentMap<string, Written[]>(RECORDS);

  /** The message has written the row, whose record now has this id. */
  add(unit: Unit, row: Row, id: string | null): void {
    const origin = originOf(unit, row);
    if (!origin || row.key === undefined) return;
    const fields = unit.lane.operation === 'delete' ? ALL : fieldsOf(row).join(',');
    const name = `${origin.consumer} ${row.key}`;
    const known = this.records.get(name) ?? [];
    const same = known.find((written) => written.fields === fields);
    if (same && isNewer(same.origin, origin)) return;
    const others = known.length === 0 ? known : known.filter((written) => written !== same);
    this.records.set(name, [{ origin, fields, id }, ...others.slice(0, SHAPES - 1)]);
  }

  /** The fields of the row (in lower case) that newer messages have written since; undefined where none has. */
  since(unit: Unit, row: Row): { fields: Set<string>; id: string | null } | undefined {
    const origin = originOf(unit, row);
    if (!origin || row.keyField === undefined) return undefined;
    const newer = (this.records.get(`${origin.consumer} ${row.key}`) ?? []).filter((written) =>
      isNewer(written.origin, origin),
    );
    const [latest] = newer;
    if (!latest) return undefined;
    const written = new Set(newer.flatMap(({ fields }) => fields.split(',')));
    const fields = fieldsOf(row).filter((field) => written.has(field) || written.has(ALL));
    return { fields: new Set(fields), id: latest.id };
  }
}

/**
 * Takes out of the unit what newer messages have written in the meantime: fields, and rows of which nothing is left,
 * which count as written. True where nothing of the unit is left.
 */
export function leaveSuperseded(unit: Unit, written: WrittenRecords): boolean {
  for (const row of [...unit.rows]) {
    const since = written.since(unit, row);
    if (!since) continue;
    const wire = row.wire as Record<string, unknown>;
    const fields = Object.keys(wire).filter((field) => since.fields.has(field.toLowerCase()));
    row.wire = Object.fromEntries(Object.entries(wire).filter(([field]) => !fields.includes(field)));
    row.superseded = [...(row.superseded ?? []), ...fields];
    if (fieldsOf(row).length > 0) continue;
    const created = unit.lane.operation === 'upsert' ? { created: false } : {};
    finish({ ...unit, rows: [row] }, [{ id: since.id, success: true, ...created, errors: [], record: null }]);
    unit.rows.splice(unit.rows.indexOf(row), 1);
  }
  return unit.rows.length === 0;
}

const orgs = new Map<string, WrittenRecords>();

/** Of this process: what a node has written outlives its redeploy. */
export function writtenRecords(organizationId: string): WrittenRecords {
  let records = orgs.get(organizationId);
  if (!records) orgs.set(organizationId, (records = new WrittenRecords()));
  return records;
}

function originOf({ job }: Unit, { index }: Row): Origin | undefined {
  const { origin } = job.request;
  return Array.isArray(origin) ? origin[index] : origin;
}

/** A stream that was made anew begins with 1 again, but its messages are younger. */
function isNewer(one: Origin, other: Origin): boolean {
  return one.sequence > other.sequence && one.timestamp >= other.timestamp;
}

/** Without what only says which record it is. */
function fieldsOf({ wire, keyField }: Row): string[] {
  return Object.keys(wire as object)
    .map((field) => field.toLowerCase())
    .filter((field) => field !== 'attributes' && field !== keyField)
    .sort();
}

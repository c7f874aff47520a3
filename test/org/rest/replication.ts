/** `/sobjects/X/updated` and `/deleted`: which records changed in a window of time. */
import { dateTimeText, parseDateTime } from '../store/dates';
import { ApiError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { type Call, type OrgState, type Reply } from '../state';
import { type Table } from '../store/table';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const OLDEST_START = 30 * DAY;
const DELETIONS_KEPT = 15 * DAY;
const MAX_IDS = 600_000;

/** Seconds of `start` and `end` are cut off, as the API's documentation says; a window within one minute is none. */
export function changes(org: OrgState, call: Call, type: SObjectType, what: 'updated' | 'deleted'): Reply {
  const now = org.store.now();
  const start = time(call, 'start');
  const end = time(call, 'end');
  if (start >= end) throw refused('startDate must be before endDate');
  if (start < now - OLDEST_START) throw refused('startDate cannot be more than 30 days ago');
  const covered = Math.min(end, Math.floor(now / MINUTE) * MINUTE, ...org.store.inFlight.values());
  const latestDateCovered = dateTimeText(covered);
  const table = org.store.table(type);
  if (what === 'updated')
    return {
      status: 200,
      body: { ids: updated(table, dateTimeText(start), dateTimeText(end)), latestDateCovered },
    };
  const earliest = Math.max(now - DELETIONS_KEPT, org.switches.deletionsKeptSince);
  const deletedRecords = table.deletions
    .filter(({ at }) => at >= Math.max(start, earliest) && at < end)
    .map(({ id, at }) => ({ id, deletedDate: dateTimeText(at) }));
  if (deletedRecords.length > MAX_IDS) throw tooMany();
  return {
    status: 200,
    body: { deletedRecords, earliestDateAvailable: dateTimeText(earliest), latestDateCovered },
  };
}

function updated(table: Table, start: string, end: string): string[] {
  const ids: string[] = [];
  for (const number of table.modifiedSince(start)) {
    if (String(table.value(number, 'SystemModstamp')) >= end) break;
    if (table.value(number, 'IsDeleted') !== true) ids.push(table.id(number));
    if (ids.length > MAX_IDS) throw tooMany();
  }
  return ids;
}

function tooMany(): ApiError {
  return new ApiError(
    400,
    'EXCEEDED_ID_LIMIT',
    `more than ${MAX_IDS} IDs; choose start and end dates that are closer together`,
  );
}

function refused(message: string): ApiError {
  return new ApiError(400, 'INVALID_REPLICATION_DATE', message);
}

function time(call: Call, name: string): number {
  const text = call.query.get(name);
  // An unescaped + in a URL arrives as a space.
  const ms = text === null ? undefined : parseDateTime(text.replace(' ', '+'));
  if (ms === undefined) throw refused(`${name} is missing or isn't a date and time`);
  return Math.floor(ms / MINUTE) * MINUTE;
}

/** `/sobjects/X/updated` and `/deleted`: which records changed in a window of time. */
import { dateTimeText, parseDateTime } from '../store/dates';
import { ApiError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { isShared } from './sharing';
import { type Call, type OrgState, type Reply } from '../state';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const OLDEST_START = 30 * DAY;
const DELETIONS_KEPT = 15 * DAY;

/** Seconds of `start` and `end` are cut off, as the API's documentation says; a window within one minute is none. */
export function changes(org: OrgState, call: Call, type: SObjectType, what: 'updated' | 'deleted'): Reply {
  const now = org.store.now();
  const start = time(call, 'start');
  const end = time(call, 'end');
  if (start >= end) throw refused('startDate must be before endDate');
  if (start < now - OLDEST_START) throw refused('startDate cannot be more than 30 days ago');
  const covered = Math.min(end, Math.floor(now / MINUTE) * MINUTE, ...org.store.inFlight.values());
  const latestDateCovered = dateTimeText(covered);
  if (what === 'updated')
    return {
      status: 200,
      body: { ids: updated(org, type, dateTimeText(start), dateTimeText(end)), latestDateCovered },
    };
  const earliest = Math.max(now - DELETIONS_KEPT, org.switches.deletionsKeptSince);
  if (org.switches.purgedDeletions === 'refused' && start < Math.floor(earliest / MINUTE) * MINUTE)
    throw refused(`startDate before org's replication enabled date: ${dateTimeText(earliest)}`);
  const deletedRecords = org.store
    .table(type)
    .deletions.filter(({ at }) => at >= Math.max(start, earliest) && at < end)
    .map(({ id, at }) => ({ id, deletedDate: dateTimeText(at) }));
  if (deletedRecords.length > org.switches.replicationIds) throw tooMany(org);
  return {
    status: 200,
    body: { deletedRecords, earliestDateAvailable: dateTimeText(earliest), latestDateCovered },
  };
}

function updated(org: OrgState, type: SObjectType, start: string, end: string): string[] {
  const table = org.store.table(type);
  const ids: string[] = [];
  for (const number of table.modifiedSince(start)) {
    if (String(table.value(number, 'SystemModstamp')) >= end) break;
    if (table.value(number, 'IsDeleted') !== true && isShared(org, type, table.id(number)))
      ids.push(table.id(number));
    if (ids.length > org.switches.replicationIds) throw tooMany(org);
  }
  return ids;
}

function tooMany({ switches }: OrgState): ApiError {
  return new ApiError(
    400,
    'EXCEEDED_ID_LIMIT',
    `more than ${switches.replicationIds} IDs; choose start and end dates that are closer together`,
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

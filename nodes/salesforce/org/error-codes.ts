/**
 * What the codes of Salesforce's errors say about who is at fault. Source: StatusCode and ExceptionCode of the SOAP API
 * guide ("Core Data Types"), which REST's errorCode and the rows of collections share.
 */

/** The org's request limits, by the day, by the user, by a policy. */
export const METERED: ReadonlySet<string> = new Set([
  'REQUEST_LIMIT_EXCEEDED',
  'TXN_SECURITY_METERING_ERROR',
  'CLIENT_REQUEST_LIMIT_EXCEEDED',
]);

/** The org has no room for new records, whatever is in them. */
export const FULL: ReadonlySet<string> = new Set(['STORAGE_LIMIT_EXCEEDED']);

/** The org has no API of this version, any more or yet. */
export const VERSION_OFF: ReadonlySet<string> = new Set(['UNSUPPORTED_API_VERSION']);

/** The user may not use the API at all. */
export const API_OFF: ReadonlySet<string> = new Set([
  'API_CURRENTLY_DISABLED',
  'API_DISABLED_FOR_ORG',
  'INVALID_OPERATION_WITH_EXPIRED_PASSWORD',
  'ORG_LOCKED',
]);

/** The org does nothing, or writes nothing, for a while. */
export const AWAY: ReadonlySet<string> = new Set([
  'SERVER_UNAVAILABLE',
  'INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE',
  'ORG_IN_MAINTENANCE',
  'FUNCTIONALITY_TEMPORARILY_UNAVAILABLE',
]);

/** Nothing is carried out as long as the org says so, of a call or of a row. */
export function holds(code: string): boolean {
  return [METERED, FULL, API_OFF, VERSION_OFF, AWAY].some((codes) => codes.has(code));
}

/** Rows that were right themselves, in a collection or call of all or none. */
export const ROLLED_BACK: ReadonlySet<string> = new Set([
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'PROCESSING_HALTED',
]);

/** They come and go with what else the org does, though some of their names look like faults of the data. */
const PASSING = new Set([
  'UNABLE_TO_LOCK_ROW',
  'REQUEST_RUNNING_TOO_LONG',
  'QUERY_TIMEOUT',
  'RECORD_IN_USE_BY_WORKFLOW',
  'TOO_MANY_APEX_REQUESTS',
  'INVALID_SESSION_ID',
  'INVALID_QUERY_LOCATOR',
]);

/** How the codes begin that name the data, the object, the field, or the user's right to it. */
const FAULTS = new RegExp(
  `^(${[
    'ALREADY_ API_ ARTICLE_ ASSIGNEE_ ATTACHMENT_ BAD_ CANNOT_ CIRCULAR_ COLLECTION_ CURRENCY_ DELETE_ DEPENDENCY_',
    'DUPLICATE EMAIL_ ENTITY_ EXCEEDED FEATURE FIELD_ FILTERED_ FUNCTIONALITY_ ID_ ILLEGAL_ IMMUTABLE_ INACTIVE_ INCORRECT_ INSUFFICIENT_',
    'INVALID JSON_ MALFORMED_ MAX MAY_NOT_ MERGE_ METHOD_ MISSING_ NOT_FOUND NO_ NUMBER_ OPERATION_ PERSON_ PICKLIST_',
    'PORTAL_ PRIVATE_ RELATED_ REQUIRED_ SELF_REFERENCE STRING_TOO_LONG TEXT_ TITLE_ TOO_MANY_ TRANSFER_ UNDELETE_',
    'UNSAFE_ UNSPECIFIED_ UNSUPPORTED VALUE_ XML_',
  ]
    .join(' ')
    .replaceAll(' ', '|')})`,
);

export function passes(code: string): boolean {
  return PASSING.has(code) || (holds(code) && !API_OFF.has(code));
}

/** True where the code is a documented error of the data; whatever isn't known is no evidence against a record. */
export function namesData(code: string): boolean {
  return FAULTS.test(code) && !passes(code) && !holds(code);
}

/** Automation of the org (triggers, flows) reports what it met in the text. */
const LOCK = /UNABLE_TO_LOCK_ROW|unable to obtain exclusive access|Record Currently Unavailable/i;
const GOVERNOR =
  /System\.LimitException|Apex CPU time limit exceeded|Too many (SOQL|DML|query|queueable|future)/i;

export const holdsLock = (message: string): boolean => LOCK.test(message);
export const holdsGovernorLimit = (message: string): boolean => GOVERNOR.test(message);

/** Codes under which that stands. */
const WRAPPERS =
  /^(CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY|CANNOT_EXECUTE_FLOW_TRIGGER|APEX_|UNKNOWN_EXCEPTION)/;
const WRAPPED = /\bfirst error: ([A-Z][A-Z_]+)/;
/** What a trigger or a flow waited for in vain. */
const IN_VAIN =
  /System\.(AsyncException|CalloutException)|Read timed out|\b(QUERY_TIMEOUT|REQUEST_RUNNING_TOO_LONG)\b/;

/** The code of what automation met, where that is none of the record's; undefined else. */
export function metBy(code: string, message: string): string | undefined {
  if (!WRAPPERS.test(code)) return undefined;
  const inner = WRAPPED.exec(message)?.[1];
  if (inner !== undefined && passes(inner)) return inner;
  return IN_VAIN.test(message) ? 'REQUEST_RUNNING_TOO_LONG' : undefined;
}

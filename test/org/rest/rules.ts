/** What is looked at for every row of a call, besides the schema: injected faults, locks, duplicate rules. */
import { isRecord, type RowRules, type Sent } from '../store/dml';
import { rowError, type RowError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { isShared } from './sharing';
import { type Call, type OrgState } from '../state';

export function rulesOf(org: OrgState, call: Call): RowRules {
  const occasion = { method: call.method, path: call.url };
  const options = duplicateOptions(call.headers);
  return {
    refuse: (type, record, id) => {
      if (org.switches.readOnly) return READ_ONLY;
      const most = org.switches.triggerRows[type.name];
      if (most !== undefined && rowsOf(call) > most) return governorLimit(type, id === undefined);
      if (id !== undefined && !isShared(org, type, id)) return unshared(id);
      if (call.blocked.has(record) || (id !== undefined && call.blocked.has(id))) return locked(id);
      const refused = org.faults.forRow(occasion, id === undefined ? record : { ...record, Id: id });
      if (refused || !org.switches.duplicateRules || id !== undefined || options.allowSave === 'true')
        return refused;
      return duplicate(org, type, record);
    },
  };
}

const READ_ONLY = rowError(
  'INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE',
  'Inserts, updates and deletes are not allowed during maintenance: the organization is in read-only mode',
);

/** Rows that one run of a trigger gets: those of the collection. */
function rowsOf({ body, query }: Call): number {
  if (isRecord(body) && Array.isArray(body.records)) return body.records.length;
  return query.get('ids')?.split(',').length ?? 1;
}

function governorLimit(type: SObjectType, inserts: boolean): RowError {
  const event = inserts ? 'BeforeInsert' : 'BeforeUpdate';
  return rowError(
    'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
    `${type.name}Trigger: System.LimitException: Too many SOQL queries: 101 (execution of ${event})`,
  );
}

function unshared(id: string): RowError {
  return rowError(
    'INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY',
    `insufficient access rights on cross-reference id: ${id.slice(0, 15)}`,
  );
}

function locked(id: string | undefined): RowError {
  return rowError(
    'UNABLE_TO_LOCK_ROW',
    `unable to obtain exclusive access to this record${id === undefined ? '' : ` or 1 records: ${id}`}`,
  );
}

/** "allowSave=true; includeRecordDetails=true" */
function duplicateOptions(headers: Readonly<Record<string, string>>): Record<string, string> {
  const parts = (headers['sforce-duplicate-rule-header'] ?? '').split(/[;,]/);
  return Object.fromEntries(
    parts.map((part) => part.split('=').map((text) => text.trim()) as [string, string]),
  );
}

/** The standard rules match people by name and e-mail, accounts by name. */
function duplicate(org: OrgState, type: SObjectType, record: Sent): RowError | undefined {
  const table = org.store.table(type);
  const key = type.fields.has('LastName') ? 'Email' : 'Name';
  const field = type.fields.get(key);
  const value = record[key];
  if (!field || !['Contact', 'Account'].includes(type.name) || typeof value !== 'string') return undefined;
  const twins = table
    .find(field, value)
    .filter((number) => key === 'Name' || table.value(number, 'LastName') === record.LastName);
  if (twins.length === 0) return undefined;
  const matchRecords = twins.map((number) => ({
    additionalInformation: [],
    fieldDiffs: [],
    matchConfidence: 100,
    record: { attributes: { type: type.name }, Id: table.id(number) },
  }));
  return {
    ...rowError('DUPLICATES_DETECTED', 'Use one of these records?'),
    duplicateResult: {
      allowSave: true,
      duplicateRule: `Standard_${type.name}_Duplicate_Rule`,
      duplicateRuleEntityType: type.name,
      errorMessage: 'Use one of these records?',
      matchResults: [
        {
          entityType: type.name,
          errors: [],
          matchEngine: 'FuzzyMatchEngine',
          matchRecords,
          rule: `Standard_${type.name}_Match_Rule_v1_1`,
          size: twins.length,
          success: true,
        },
      ],
    },
  };
}

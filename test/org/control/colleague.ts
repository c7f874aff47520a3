/** What a user of the org does by hand, beside the API: the changes that a sync has to see. */
import {
  create,
  failed,
  remove,
  removeWithChildren,
  update,
  type RowRules,
  type SaveResult,
  type Sent,
} from '../store/dml';
import { ApiError, rowError } from '../store/errors';
import { type SObjectType } from '../store/schema';
import { type OrgState } from '../state';
import { type Transaction } from '../store/store';
import { type Row } from '../store/table';

export interface Colleague {
  org: OrgState;
  /** Another user than the API's. */
  userId: string;
}

const NO_RULES: RowRules = { refuse: () => undefined };

export function allRecords(org: OrgState, type: SObjectType, deletedToo = false): Row[] {
  const table = org.store.table(type);
  const rows: Row[] = [];
  for (const number of table.numbers()) {
    const row = table.row(number);
    if (row && (deletedToo || row.IsDeleted !== true)) rows.push(row);
  }
  return rows;
}

type Work = (tx: Transaction) => SaveResult;

/** Does the work in one transaction; nothing is written, and an error thrown, unless all of it is right. */
function act({ org, userId }: Colleague, works: readonly Work[], at?: number): SaveResult[] {
  const tx = org.store.begin(
    { user: userId, origin: 'com/salesforce/api/soap/65.0;client=SfdcInternalAPI/' },
    at,
  );
  const results = works.map((work) => work(tx));
  const error = results.flatMap((result) => (result.success ? [] : result.errors))[0];
  if (error) {
    tx.rollback();
    throw new ApiError(400, error.statusCode, error.message, error.fields);
  }
  tx.commit();
  return results;
}

/** Creates records, or updates those with an Id. */
export function write(by: Colleague, type: SObjectType, records: readonly Sent[]): SaveResult[] {
  return act(by, works(type, records));
}

function works(type: SObjectType, records: readonly Sent[]): Work[] {
  return records.map((record) => (tx) => {
    const id = record.Id ?? record.id;
    return id === undefined ? create(tx, type, record, NO_RULES) : update(tx, type, id, record, NO_RULES);
  });
}

/** The same in a transaction that begins now and commits `ms` later: its rows appear with a SystemModstamp of the past. */
export function writeLate(
  by: Colleague,
  type: SObjectType,
  records: readonly Sent[],
  ms: number,
): Promise<SaveResult[]> {
  const { store } = by.org;
  const began = store.now();
  const transaction = {};
  store.inFlight.set(transaction, began);
  return new Promise((resolve, reject) => {
    setTimeout(() => {
      store.inFlight.delete(transaction);
      try {
        resolve(act(by, works(type, records), began));
      } catch (thrown) {
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }, ms);
  });
}

/** `hard`: for good, as Bulk's hardDelete or an emptied recycle bin does. */
export function removeRecords(
  by: Colleague,
  type: SObjectType,
  ids: readonly string[],
  hard: boolean,
): SaveResult[] {
  return act(
    by,
    ids.map((id) => (tx) => (hard ? purge(tx, type, id) : remove(tx, id, NO_RULES))),
  );
}

function purge(tx: Transaction, type: SObjectType, id: string): SaveResult {
  const found = tx.store.find(id);
  if (!found || found.type.name !== type.name)
    return failed(rowError('INVALID_CROSS_REFERENCE_KEY', `there is no ${type.name} ${id}`));
  if (found.table.value(found.number, 'IsDeleted') !== true) removeWithChildren(tx, type, found.number);
  tx.purge(type, found.number);
  return { id, success: true, errors: [] };
}

export function undelete(by: Colleague, type: SObjectType, ids: readonly string[]): SaveResult[] {
  const restore =
    (id: string) =>
    (tx: Transaction): SaveResult => {
      const found = tx.store.find(id);
      if (!found || found.type.name !== type.name || found.table.value(found.number, 'IsDeleted') !== true) {
        return failed(rowError('UNDELETE_FAILED', `Entity is not in the recycle bin: ${id}`));
      }
      tx.undelete(type, found.number);
      return { id, success: true, errors: [] };
    };
  return act(by, ids.map(restore));
}

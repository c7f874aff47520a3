/** What is looked at for every row of a call, besides the schema: injected faults, locks, duplicate rules. */
import { type RowRules } from './dml';
import { type Call, type OrgState } from './state';

export function rulesOf(org: OrgState, call: Call): RowRules {
  const occasion = { method: call.method, path: call.url };
  return { refuse: (_type, record) => org.faults.forRow(occasion, record) };
}

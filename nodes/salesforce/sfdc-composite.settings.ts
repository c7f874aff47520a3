import * as formats from '../shared/settings/formats';
import {
  choice,
  duration,
  fieldMap,
  flag,
  group,
  list,
  node,
  open,
  text,
  whole,
} from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';
import { CALL_RECORDS } from './composite/limits';
import { OPERATIONS } from './composite/operations';

export const sfdcComposite = declare('sfdc-composite', 1, {
  name: text(''),
  org: node('sfdc-org', { required: true }),
  operation: choice(OPERATIONS, 'upsert', {
    msg: 'operation',
    code: 'INVALID_OPERATION',
  }),
  sobject: text('', { format: formats.apiName, msg: 'sobject' }),
  externalIdField: open(text('', { format: formats.apiName, msg: 'externalIdField' })),
  fields: list('', { format: formats.apiNames, msg: 'fields' }),
  allOrNone: flag(false, { msg: 'allOrNone' }),
  payload: fieldMap(),
  onOutage: choice(['hold', 'fail'], 'hold'),
  batch: group(
    {
      records: whole(CALL_RECORDS, { min: 1, max: CALL_RECORDS, required: true }),
      maxRequests: whole(4, { min: 1, max: 25, required: true }),
      linger: duration('0ms'),
      coalesce: flag(false),
      bulkFrom: whole(20_000, { min: 0, max: 100_000 }),
    },
    { section: 'batch' },
  ),
  allowDuplicateSave: flag(false, { section: 'rules' }),
  autoAssign: flag(true, { section: 'rules' }),
});

import { checkPayload, payloadRows, readPayload } from '../shared/editor/field-map';
import { formOf, mark, numberOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { apiName, apiNames, duration, validator, whole, type Verdict } from '../shared/editor/validators';
import { type PayloadConfig } from '../shared/payload';

interface Batch {
  records: number | string;
  maxRequests: number | string;
  linger: string;
  coalesce: boolean;
}

const label = (property: string) => nodeText('sfdc-composite', `label.${property}`);

const BATCH = {
  records: validator(whole(1, 1000)),
  maxRequests: validator(whole(1, 25)),
  linger: validator(duration),
};

interface Properties {
  name: string;
  org: string;
  operation: string;
  sobject: string;
  externalIdField: string;
  allOrNone: boolean;
  fields: string;
  payload: PayloadConfig;
  allowDuplicateSave: boolean;
  autoAssign: boolean;
  batch: Batch;
  onOutage: string;
}

RED.nodes.registerType<Properties>('sfdc-composite', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'sfdc composite',
  color: '#8db9e8',
  icon: 'sfdc-composite.svg',
  defaults: {
    name: { value: '' },
    org: { value: '', type: 'sfdc-org', required: true, label: label('org') },
    operation: { value: 'upsert' },
    sobject: { value: '', label: label('sobject'), validate: validator(apiName) },
    externalIdField: { value: '', label: label('externalIdField'), validate: validator(apiName) },
    allOrNone: { value: false },
    fields: { value: '', label: label('fields'), validate: validator(apiNames) },
    payload: { value: { mode: 'event' }, validate: checkPayload },
    allowDuplicateSave: { value: false },
    autoAssign: { value: true },
    batch: {
      value: { records: 1000, maxRequests: 4, linger: '0ms', coalesce: false },
      validate: checkBatch,
    },
    onOutage: { value: 'hold' },
  },
  inputs: 1,
  outputs: 2,
  label() {
    return this.name || `${setting(this, 'operation')} ${this.sobject ?? ''}`.trim();
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels: 'records',
  outputLabels(index) {
    return this._(index === 0 ? 'output.results' : 'output.failed');
  },
  oneditprepare() {
    const form = openForm(this);
    const lookUp = (action: string) => async () => {
      const org = configNode('sfdc-org', form.text('org'));
      if (!org) throw new Error(text('chooseOrg'));
      const sobject = form.text('sobject');
      if (action !== 'sobjects' && sobject === '')
        throw new Error(text('chooseFirst', { field: label('sobject') }));
      return lookup<Choice[]>(org, action, { sobject });
    };
    picker(form.input('sobject'), { choices: lookUp('sobjects') });
    picker(form.input('externalIdField'), { choices: lookUp('external-id-fields') });
    picker(form.input('fields'), { choices: lookUp('fields'), several: true });
    payloadRows(form, setting(this, 'payload'), lookUp('fields'), 'LastName');
    showBatch(this, form, setting(this, 'batch'));
    showHints(form, () => hints(form).map((key) => this._(`hint.${key}`)));
  },
  oneditsave() {
    const form = formOf(this);
    this.payload = readPayload(form);
    this.batch = readBatch(form);
  },
});

function showBatch(node: EditorNode, form: Form, batch: Batch): void {
  const input = (name: keyof Batch) => form.input(`batch-${name}`);
  input('coalesce').prop('checked', batch.coalesce);
  for (const name of ['records', 'maxRequests', 'linger'] as const) {
    const verify = () => mark(input(name), BATCH[name].call(node, input(name).val()));
    input(name).val(batch[name]).on('change input', verify);
    verify();
  }
  form.watch(() => {
    const { records, maxRequests, linger, coalesce } = readBatch(form);
    const parts = [
      node._('summary.batch', { records, maxRequests }),
      linger,
      coalesce ? node._('summary.coalesce') : '',
    ];
    $('#jetforce-summary-batch').text(parts.filter((part) => part !== '' && part !== '0ms').join(' · '));
  });
}

function readBatch(form: Form): Batch {
  return {
    records: numberOf(form.text('batch-records')),
    maxRequests: numberOf(form.text('batch-maxRequests')),
    linger: form.text('batch-linger') || '0ms',
    coalesce: form.value('batch-coalesce') === true,
  };
}

function checkBatch(this: EditorNode, batch: Batch | undefined, _opt?: object): Verdict {
  const verdicts = (['records', 'maxRequests', 'linger'] as const).map((name) =>
    BATCH[name].call(this, batch?.[name], { label: label(name) }),
  );
  return verdicts.find((verdict) => verdict !== true) ?? true;
}

/** What is allowed, because a message can bring it, but hardly meant. */
function hints(form: Form): string[] {
  const operation = form.text('operation');
  const found: string[] = [];
  if (form.text('sobject') === '') found.push('sobjectFromMsg');
  if (operation === 'upsert' && form.text('externalIdField') === '') found.push('externalIdFromMsg');
  if (operation === 'get' && form.text('fields') === '') found.push('fieldsFromMsg');
  if (operation === 'create') found.push('createRepeats');
  if (form.text('onOutage') === 'fail') found.push('outageFails');
  return found;
}

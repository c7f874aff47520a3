import { payloadRows, readPayload } from '../shared/editor/field-map';
import {
  formOf,
  mark,
  numberOf,
  openForm,
  setting,
  showHints,
  suggest,
  type Form,
} from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate, sentence } from '../shared/editor/settings';
import { nodeText, text } from '../shared/editor/text';
import { isBehindSource } from '../shared/editor/wiring';
import { faultOf } from '../shared/settings/settings';
import { sfdcComposite } from './sfdc-composite.settings';

const { fields, default: batchDefault } = sfdcComposite.settings.batch;
type Batch = typeof batchDefault;

const label = (property: string) => nodeText('sfdc-composite', `label.${property}`);

RED.nodes.registerType('sfdc-composite', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('sfdc-composite', 'salesforce records'),
  color: '#8db9e8',
  icon: 'sfdc-composite.svg',
  defaults: { ...defaultsOf(sfdcComposite) },
  inputs: 1,
  outputs: 2,
  label() {
    return this.name || `${setting(this, 'operation')} ${this.sobject ?? ''}`.trim();
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels() {
    return this._('port.records');
  },
  outputLabels(index) {
    return this._(index === 0 ? 'output.results' : 'output.failed');
  },
  oneditprepare() {
    const form = openForm(this);
    const lookUp =
      (action: string, use = 'read') =>
      async () => {
        const org = configNode('sfdc-org', form.text('org'));
        if (!org) throw new Error(text('chooseOrg'));
        const sobject = form.text('sobject');
        if (action !== 'sobjects' && sobject === '')
          throw new Error(text('chooseFirst', { field: label('sobject') }));
        return lookup<Choice[]>(org, action, { sobject, use });
      };
    picker(form.input('sobject'), { choices: lookUp('sobjects') });
    picker(form.input('externalIdField'), { choices: lookUp('external-id-fields') });
    picker(form.input('fields'), { choices: lookUp('fields'), several: true });
    payloadRows(
      form,
      setting(this, 'payload'),
      () => lookUp('fields', useOf(form.text('operation')))(),
      'LastName',
    );
    showBatch(this, form, { ...batchDefault, ...setting(this, 'batch') });
    const creates = () => ['create', 'tree'].includes(form.text('operation'));
    showHints(form, () => [
      ...hints(form).map((key) => this._(`hint.${key}`)),
      ...(creates() && isBehindSource(this) ? [text('hint_createTwice')] : []),
    ]);
  },
  oneditsave() {
    const form = formOf(this);
    this.payload = readPayload(form);
    this.batch = readBatch(form);
  },
});
keepUpToDate(sfdcComposite);

function showBatch(node: EditorNode, form: Form, batch: Batch): void {
  const input = (name: keyof Batch) => form.input(`batch-${name}`);
  input('coalesce').prop('checked', batch.coalesce);
  for (const name of ['records', 'maxRequests', 'linger', 'bulkFrom'] as const) {
    const verify = () => {
      const fault = faultOf(fields[name], input(name).val(), () => undefined);
      mark(input(name), fault === undefined || sentence('sfdc-composite', fault));
    };
    suggest(input(name), fields[name].default);
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
    $('#jetforce-summary-batch').text(
      parts.filter((part) => part !== '' && part !== fields.linger.default).join(' · '),
    );
  });
}

function readBatch(form: Form): Batch {
  return {
    records: numberOf(form.text('batch-records')),
    maxRequests: numberOf(form.text('batch-maxRequests')),
    linger: form.text('batch-linger') || fields.linger.default,
    coalesce: form.value('batch-coalesce') === true,
    bulkFrom: numberOf(form.text('batch-bulkFrom')),
  };
}

/** What the fields of the map are for. */
function useOf(operation: string): string {
  if (operation === 'tree') return 'create';
  return ['create', 'update', 'upsert'].includes(operation) ? operation : 'read';
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

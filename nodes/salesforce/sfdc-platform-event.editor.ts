import { checkPayload, payloadRows, readPayload } from '../shared/editor/field-map';
import { formOf, openForm, saveNumbers, setting, showHints } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { validator, whole } from '../shared/editor/validators';
import { type PayloadConfig } from '../shared/payload';

interface Properties {
  name: string;
  org: string;
  topic: string;
  payload: PayloadConfig;
  maxRequests: number | string;
  onOutage: string;
}

const label = (property: string) => nodeText('sfdc-platform-event', `label.${property}`);

RED.nodes.registerType<Properties>('sfdc-platform-event', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'sfdc platform event',
  color: '#8db9e8',
  icon: 'sfdc-platform-event.svg',
  align: 'right',
  defaults: {
    name: { value: '' },
    org: { value: '', type: 'sfdc-org', required: true, label: label('org') },
    topic: {
      value: '',
      required: true,
      label: label('topic'),
      validate: validator(
        (value) => /^\/\w+\/\w+$/.test(value) || nodeText('sfdc-platform-event', 'wrong.topic'),
      ),
    },
    payload: { value: { mode: 'event' }, validate: checkPayload },
    maxRequests: { value: 1, required: true, label: label('maxRequests'), validate: validator(whole(1, 25)) },
    onOutage: { value: 'hold' },
  },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || this.topic || 'sfdc-platform-event';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels: 'events',
  outputLabels: 'published',
  oneditprepare() {
    const form = openForm(this);
    const lookUp = (action: string) => async () => {
      const org = configNode('sfdc-org', form.text('org'));
      if (!org) throw new Error(text('chooseOrg'));
      const topic = form.text('topic');
      if (action === 'event-fields' && topic === '')
        throw new Error(text('chooseFirst', { field: label('topic') }));
      return lookup<Choice[]>(org, action, { topic, use: 'publish' });
    };
    picker(form.input('topic'), { choices: lookUp('topics') });
    payloadRows(form, setting(this, 'payload'), lookUp('event-fields'), 'Status__c');
    showHints(form, () => (form.text('onOutage') === 'fail' ? [this._('hint.outageFails')] : []));
  },
  oneditsave() {
    const form = formOf(this);
    this.payload = readPayload(form);
    saveNumbers(this, form, ['maxRequests']);
  },
});

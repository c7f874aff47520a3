import { payloadRows, readPayload } from '../shared/editor/field-map';
import { formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { nodeText, text } from '../shared/editor/text';
import { sfdcPlatformEvent } from './sfdc-platform-event.settings';

const LABEL = 'salesforce event out';

const label = (property: string) => nodeText('sfdc-platform-event', `label.${property}`);

RED.nodes.registerType('sfdc-platform-event', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('sfdc-platform-event', LABEL),
  color: '#8db9e8',
  icon: 'sfdc-platform-event.svg',
  defaults: { ...defaultsOf(sfdcPlatformEvent) },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || String(this.topic ?? '').replace(/^\/event\//, '') || LABEL;
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels() {
    return this._('port.events');
  },
  outputLabels() {
    return this._('port.published');
  },
  oneditprepare() {
    const form = openForm(this);
    const lookUp = async (action: string) => {
      const org = configNode('sfdc-org', form.text('org'));
      if (!org) throw new Error(text('chooseOrg'));
      const topic = form.text('topic');
      if (action === 'topic-fields' && topic === '')
        throw new Error(text('chooseFirst', { field: label('topic') }));
      return lookup<Choice[]>(org, action, { topic, use: 'publish' });
    };
    picker(form.input('topic'), { choices: () => lookUp('topics') });
    payloadRows(form, setting(this, 'payload'), () => lookUp('topic-fields'), 'Order_ID__c');
    showHints(form, () => hints(form).map((key) => this._(`hint.${key}`)));
  },
  oneditsave() {
    const form = formOf(this);
    this.payload = readPayload(form);
    saveNumbers(this, form, sfdcPlatformEvent);
  },
});
keepUpToDate(sfdcPlatformEvent);

/** What is allowed, but has a price. */
function hints(form: Form): string[] {
  const found: string[] = [];
  if (form.text('onOutage') === 'fail') found.push('outageFails');
  return found;
}

import { formOf, openForm, showHints } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { text } from '../shared/editor/text';
import { sourceHints } from '../shared/editor/wiring';
import { sfdcEventIn } from './sfdc-event-in.settings';

const LABEL = 'salesforce event in';

RED.nodes.registerType('sfdc-event-in', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('sfdc-event-in', LABEL),
  color: '#8db9e8',
  icon: 'sfdc-event-in.svg',
  defaults: { ...defaultsOf(sfdcEventIn) },
  inputs: 0,
  outputs: 1,
  label() {
    return this.name || String(this.topic ?? '').replace(/^\/\w+\//, '') || LABEL;
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels() {
    return this._('port.event');
  },
  oneditsave() {
    saveNumbers(this, formOf(this), sfdcEventIn);
  },
  oneditprepare() {
    const form = openForm(this);
    picker(form.input('topic'), {
      choices: () => {
        const org = configNode('sfdc-org', form.text('org'));
        if (!org) throw new Error(text('chooseOrg'));
        return lookup<Choice[]>(org, 'topics');
      },
    });
    showHints(form, () => [
      ...(form.text('ack') === 'delivery' ? [this._('hint.atDelivery')] : []),
      ...sourceHints(this, { ack: form.text('ack'), deadLetter: form.text('deadLetter') }).map(
        ({ key, values }) => text(`hint_${key}`, values),
      ),
    ]);
  },
});
keepUpToDate(sfdcEventIn);

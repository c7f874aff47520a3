import { formOf, openForm, setting, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { text } from '../shared/editor/text';
import { headerList, readHeaders } from './publish/headers.editor';
import { jetstreamOut } from './jetstream-out.settings';

const LABEL = 'nats jetstream out';

RED.nodes.registerType('jetstream-out', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('jetstream-out', LABEL),
  color: '#7fc4b4',
  icon: 'jetstream-out.svg',
  align: 'right',
  defaults: { ...defaultsOf(jetstreamOut) },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || this.subject || LABEL;
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels() {
    return this._('port.stored');
  },
  oneditprepare() {
    const form = openForm(this);
    headerList(form.root.find('.jetforce-headers'), setting(this, 'headers'));
    picker(form.input('subject'), {
      choices: async () => {
        const server = configNode('jetstream-server', form.text('server'));
        if (!server) throw new Error(text('chooseServer'));
        return lookup<Choice[]>(server, 'subjects');
      },
    });
    preview(form);
  },
  oneditsave() {
    const form = formOf(this);
    this.headers = readHeaders(form.root.find('.jetforce-headers'));
    saveNumbers(this, form, jetstreamOut);
  },
});
keepUpToDate(jetstreamOut);

/** The subject with its templates set off, so that a dot too many is seen. */
function preview(form: Form): void {
  const shown = $('#jetforce-subject-preview');
  form.watch(() => {
    const parts = form.text('subject').split(/(\{\{[^{}]*\}\})/);
    shown.empty().prop('hidden', parts.length === 1);
    shown.append(`${text('preview')}: `);
    for (const part of parts) {
      const name = /^\{\{\s*(.*?)\s*\}\}$/.exec(part)?.[1];
      shown.append(name === undefined ? document.createTextNode(part) : $('<var>').text(name));
    }
  });
}

import { formOf, openForm, saveNumbers, setting, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { subject, template, validator, whole } from '../shared/editor/validators';
import { checkHeaders, headerList, readHeaders, type Header } from './headers.editor';

const label = (property: string) => nodeText('jetstream-out', `label.${property}`);

RED.nodes.registerType('jetstream-out', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'jetstream out',
  color: '#7fc4b4',
  icon: 'jetstream-out.svg',
  align: 'right',
  defaults: {
    name: { value: '' },
    server: { value: '', type: 'jetstream-server', required: true, label: label('server') },
    subject: { value: '', required: true, label: label('subject'), validate: validator(subject) },
    msgId: { value: '', label: label('msgId'), validate: validator(template) },
    headers: { value: [] as Header[], validate: checkHeaders },
    window: { value: 256, required: true, label: label('window'), validate: validator(whole(1)) },
  },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || this.subject || 'jetstream-out';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels: 'stored',
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
    saveNumbers(this, form, ['window']);
  },
});

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

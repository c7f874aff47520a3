import { openForm, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { configWhen, currentValue, natsName, requiredWhen, topic, validator } from '../shared/editor/validators';

const label = (property: string) => nodeText('sfdc-event-in', `label.${property}`);
const inBucket = (node: EditorNode) =>
  currentValue(node, 'replay') !== 'latest' &&
  currentValue(node, 'replay') !== 'earliest' &&
  currentValue(node, 'checkpoint') === 'kv';

interface Properties {
  name: string;
  org: string;
  topic: string;
  replay: string;
  ack: string;
  checkpoint: string;
  server: string;
  bucket: string;
}

RED.nodes.registerType<Properties>('sfdc-event-in', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'sfdc event in',
  color: '#8db9e8',
  icon: 'sfdc-event-in.svg',
  defaults: {
    name: { value: '' },
    org: { value: '', type: 'sfdc-org', required: true, label: label('org') },
    topic: { value: '', required: true, label: label('topic'), validate: validator(topic) },
    replay: { value: 'stored' },
    ack: { value: 'flow' },
    checkpoint: { value: 'context' },
    server: { value: '', type: 'jetstream-server', label: label('server'), validate: configWhen(inBucket) },
    bucket: {
      value: 'salesforce-replay',
      label: label('bucket'),
      validate: requiredWhen(inBucket, natsName),
    },
  },
  inputs: 0,
  outputs: 1,
  label() {
    return this.name || String(this.topic ?? '').replace(/^\/\w+\//, '') || 'sfdc-event-in';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels: 'event',
  oneditprepare() {
    const form = openForm(this);
    picker(form.input('topic'), {
      choices: () => {
        const org = configNode('sfdc-org', form.text('org'));
        if (!org) throw new Error(text('chooseOrg'));
        return lookup<Choice[]>(org, 'topics');
      },
    });
    showHints(form, () => hints(form).map((key) => this._(`hint.${key}`)));
  },
});

/** What is allowed, but loses or repeats events. */
function hints(form: Form): string[] {
  const found: string[] = [];
  if (form.text('replay') === 'latest') found.push('latestMisses');
  if (form.text('replay') === 'earliest') found.push('earliestRepeats');
  if (form.text('ack') === 'delivery') found.push('atDelivery');
  return found;
}

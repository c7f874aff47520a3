import { openForm, showHints } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { bucketName, configWhen, currentValue, topic, validator } from '../shared/editor/validators';

const label = (property: string) => nodeText('sfdc-event-in', `label.${property}`);
const inBucket = (node: EditorNode) =>
  !['latest', 'earliest'].includes(String(currentValue(node, 'replay'))) &&
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
      validate: validator(bucketName),
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
    showHints(form, () => (form.text('ack') === 'delivery' ? [this._('hint.atDelivery')] : []));
  },
});

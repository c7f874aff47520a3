import { openForm, setting } from '../shared/editor/form';
import { nodeText } from '../shared/editor/text';
import { duration, validator } from '../shared/editor/validators';

RED.nodes.registerType('jetstream-ack', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'jetstream ack',
  color: '#7fc4b4',
  icon: 'jetstream-ack.svg',
  defaults: {
    name: { value: '' },
    action: { value: 'ack' },
    delay: { value: '', label: nodeText('jetstream-ack', 'label.delay'), validate: validator(duration) },
  },
  inputs: 1,
  outputs: 1,
  label() {
    if (this.name) return this.name;
    const label = this._(`short.${setting(this, 'action')}`);
    return this.action === 'nak' && this.delay ? `${label} ${this.delay}` : label;
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    openForm(this);
  },
});

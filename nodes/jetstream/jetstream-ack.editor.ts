import { openForm, setting } from '../shared/editor/form';
import { paletteLabel } from '../shared/editor/palette';
import { defaultsOf, keepUpToDate } from '../shared/editor/settings';
import { jetstreamAck } from './jetstream-ack.settings';

RED.nodes.registerType('jetstream-ack', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('jetstream-ack', 'nats jetstream ack'),
  color: '#7fc4b4',
  icon: 'jetstream-ack.svg',
  defaults: { ...defaultsOf(jetstreamAck) },
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
keepUpToDate(jetstreamAck);

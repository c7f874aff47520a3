import { openForm } from '../shared/editor/form';
import { secretText } from '../shared/editor/secret';
import { testConnection } from '../shared/editor/test-connection';
import { nodeText } from '../shared/editor/text';
import {
  natsName,
  currentValue,
  requiredWhen,
  servers,
  subject,
  validator,
} from '../shared/editor/validators';

const label = (property: string) => nodeText('jetstream-server', `label.${property}`);
const authIs = (auth: string) => (node: EditorNode) => currentValue(node, 'auth') === auth;

RED.nodes.registerType('jetstream-server', {
  category: 'config',
  defaults: {
    name: { value: '' },
    servers: {
      value: 'nats://localhost:4222',
      required: true,
      label: label('servers'),
      validate: validator(servers),
    },
    auth: { value: 'none' },
    user: { value: '', label: label('user'), validate: requiredWhen(authIs('userpass')) },
    credentialsPath: { value: '', label: label('credentialsPath'), validate: requiredWhen(authIs('file')) },
    tls: { value: '', type: 'tls-config', required: false, label: label('tls') },
    tlsFirst: { value: false },
    inboxPrefix: { value: '', label: label('inboxPrefix'), validate: validator(subject) },
    domain: { value: '', label: label('domain'), validate: validator(natsName) },
  },
  credentials: {
    password: { type: 'password' },
    token: { type: 'password' },
    nkeySeed: { type: 'password' },
    jwt: { type: 'password' },
    creds: { type: 'password' },
  },
  label() {
    return this.name || this.servers || 'jetstream-server';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    const form = openForm(this);
    secretText(form.input('creds'));
    testConnection(this, form);
  },
});

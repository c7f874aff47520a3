import { formOf, openForm, saveNumbers, showHints } from '../shared/editor/form';
import { secretText } from '../shared/editor/secret';
import { testConnection } from '../shared/editor/test-connection';
import { nodeText } from '../shared/editor/text';
import {
  apiVersion,
  currentValue,
  endpoint,
  requiredWhen,
  url,
  validator,
  whole,
} from '../shared/editor/validators';

const label = (property: string) => nodeText('sfdc-org', `label.${property}`);
const authIs =
  (...auth: unknown[]) =>
  (node: EditorNode) =>
    auth.includes(currentValue(node, 'auth'));

RED.nodes.registerType('sfdc-org', {
  category: 'config',
  defaults: {
    name: { value: '' },
    auth: { value: 'client-credentials' },
    loginUrl: {
      value: 'https://login.salesforce.com',
      label: label('loginUrl'),
      validate: requiredWhen(authIs('client-credentials', 'jwt', 'refresh-token', 'password'), url),
    },
    username: { value: '', label: label('username'), validate: requiredWhen(authIs('jwt', 'password')) },
    apiVersion: {
      value: '65.0',
      required: true,
      label: label('apiVersion'),
      validate: validator(apiVersion),
    },
    pubsubEndpoint: {
      value: 'api.pubsub.salesforce.com:7443',
      required: true,
      label: label('pubsubEndpoint'),
      validate: validator(endpoint),
    },
    apiBudget: { value: 80, required: true, label: label('apiBudget'), validate: validator(whole(1, 100)) },
    credentialsPath: { value: '', label: label('credentialsPath'), validate: requiredWhen(authIs('file')) },
  },
  credentials: {
    clientId: { type: 'password' },
    clientSecret: { type: 'password' },
    password: { type: 'password' },
    securityToken: { type: 'password' },
    refreshToken: { type: 'password' },
    privateKey: { type: 'password' },
  },
  label() {
    return (
      this.name || this.username || String(this.loginUrl ?? '').replace(/^https?:\/\//, '') || 'sfdc-org'
    );
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    const form = openForm(this);
    secretText(form.input('privateKey'));
    testConnection(this, form);
    showHints(form, () => {
      const auth = form.text('auth');
      const shared = /^https:\/\/(login|test)\.salesforce\.com/.test(form.text('loginUrl'));
      if (auth === 'password') return [this._('hint.passwordBlocked')];
      return auth === 'client-credentials' && shared ? [this._('hint.myDomain')] : [];
    });
  },
  oneditsave() {
    saveNumbers(this, formOf(this), ['apiBudget']);
  },
});

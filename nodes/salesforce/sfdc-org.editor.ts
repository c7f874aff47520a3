import { credentialsFor } from '../shared/editor/credentials';
import { formOf, openForm, showHints } from '../shared/editor/form';
import { secretText } from '../shared/editor/secret';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { testConnection } from '../shared/editor/test-connection';
import { sfdcOrg } from './sfdc-org.settings';

RED.nodes.registerType('sfdc-org', {
  category: 'config',
  defaults: { ...defaultsOf(sfdcOrg) },
  credentials: credentialsFor(sfdcOrg),
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
    saveNumbers(this, formOf(this), sfdcOrg);
  },
});
keepUpToDate(sfdcOrg);

import { openForm } from '../shared/editor/form';
import { secretText } from '../shared/editor/secret';
import { defaultsOf, keepUpToDate } from '../shared/editor/settings';
import { testConnection } from '../shared/editor/test-connection';
import { credentialsOf } from '../shared/settings/settings';
import { jetstreamServer } from './jetstream-server.settings';

RED.nodes.registerType('jetstream-server', {
  category: 'config',
  defaults: { ...defaultsOf(jetstreamServer) },
  credentials: { ...credentialsOf(jetstreamServer) },
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
keepUpToDate(jetstreamServer);

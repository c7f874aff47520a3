import { openForm, showHints } from '../shared/editor/form';
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
    return this.name || withoutLogin(this.servers) || 'jetstream-server';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    const form = openForm(this);
    secretText(form.input('creds'));
    testConnection(this, form);
    showHints(form, () => (hasLogin(form.text('servers')) ? [this._('hint.loginInUrl')] : []));
  },
});
keepUpToDate(jetstreamServer);

function hasLogin(servers: string): boolean {
  return servers !== withoutLogin(servers);
}

/** It is no secret there, but needn't be on every screen. */
function withoutLogin(servers: string): string {
  return servers.replace(/(^|[\s,])(\w+:\/\/)?[^\s,]*@/g, '$1$2');
}

import * as formats from '../shared/settings/formats';
import { choice, credential, flag, node, open, text } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

export const jetstreamServer = declare('jetstream-server', 1, {
  name: text(''),
  // Left out or empty it is no server: a variable that isn't set must not lead to another one.
  servers: open(text('nats://localhost:4222', { required: true, format: formats.servers, address: true })),
  auth: choice(['none', 'userpass', 'token', 'nkey', 'jwt', 'creds', 'file'], 'none'),
  user: text('', { required: 'auth=userpass' }),
  password: credential({ required: 'auth=userpass' }),
  token: credential({ required: 'auth=token' }),
  jwt: credential({ required: 'auth=jwt' }),
  nkeySeed: credential({ required: 'auth=nkey|jwt' }),
  creds: credential({ required: 'auth=creds credentialsPath=' }),
  credentialsPath: text('', { required: 'auth=file' }),
  tls: node('tls-config'),
  tlsFirst: flag(false, { section: 'advanced' }),
  inboxPrefix: open(text('', { format: formats.plainSubject, section: 'advanced' })),
  domain: open(text('', { format: formats.natsName, section: 'advanced' })),
});

import { FlowError } from '../shared/errors';
import * as formats from '../shared/settings/formats';
import { choice, credential, percent, text, textAs } from '../shared/settings/kinds';
import { declare } from '../shared/settings/settings';

const BY_FORM = 'auth=client-credentials|jwt|refresh-token|password';

export const sfdcOrg = declare('sfdc-org', 1, {
  name: text(''),
  auth: choice(['client-credentials', 'jwt', 'refresh-token', 'password', 'file'], 'client-credentials', {
    code: 'INVALID_CREDENTIALS',
    noun: 'a way to log in',
  }),
  loginUrl: text('https://login.salesforce.com', {
    required: BY_FORM,
    format: formats.url,
    address: true,
  }),
  clientId: credential(),
  clientSecret: credential(),
  username: text('', { required: 'auth=jwt|password' }),
  password: credential(),
  securityToken: credential(),
  refreshToken: credential(),
  privateKey: credential(),
  credentialsPath: text('', { required: 'auth=file' }),
  apiBudget: percent(80, { required: true }),
  apiVersion: textAs('65.0', readVersion, {
    required: true,
    format: formats.apiVersion,
    section: 'advanced',
  }),
  pubsubEndpoint: text('api.pubsub.salesforce.com:7443', {
    required: true,
    format: formats.endpoint,
    address: true,
    section: 'advanced',
  }),
});

function readVersion(typed: string): string {
  const match = /^v?(\d+)(\.0)?$/.exec(typed);
  if (match) return `${match[1]}.0`;
  throw new FlowError(
    'INVALID_API_VERSION',
    `"${typed}" is not an API version; write for example 65.0`,
    false,
  );
}

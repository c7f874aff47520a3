/** `/services/oauth2/*`: the ways to log in, and who the session belongs to. */
import { createHmac } from 'node:crypto';
import { type Session } from './sessions';
import { type OrgState, type Reply } from './state';

function refused(error: string, error_description: string, status = 400): Reply {
  return { status, body: { error, error_description } };
}

function granted(org: OrgState, session: Session): Reply {
  const id = `${org.url}/id/${org.orgId}/${session.userId}`;
  const issued_at = String(Date.now());
  const signature = createHmac('sha256', org.clientSecret)
    .update(id + issued_at)
    .digest('base64');
  const body = {
    access_token: session.token,
    instance_url: org.url,
    id,
    token_type: 'Bearer',
    issued_at,
    signature,
    scope: 'api refresh_token',
  };
  return { status: 200, body };
}

export function token(org: OrgState, form: URLSearchParams, host: string): Reply {
  const clientId = form.get('client_id') ?? '';
  switch (form.get('grant_type')) {
    case 'password':
      return clientRefusal(org, form) ?? password(org, form);
    case 'client_credentials':
      if (org.switches.myDomainOnly && /^localhost(:|$)/.test(host))
        return refused('invalid_grant', 'request not supported on this domain');
      return clientRefusal(org, form, true) ?? granted(org, org.sessions.create(org.userId, clientId));
    default:
      return refused('unsupported_grant_type', 'grant type not supported');
  }
}

function clientRefusal(org: OrgState, form: URLSearchParams, secretRequired = false): Reply | undefined {
  if (form.get('client_id') !== org.clientId)
    return refused('invalid_client_id', 'client identifier invalid');
  const secret = form.get('client_secret');
  if (secret === null ? secretRequired : secret !== org.clientSecret) {
    return secretRequired
      ? refused('invalid_client', 'invalid client credentials')
      : refused('invalid_client', 'invalid client credentials');
  }
  return undefined;
}

function password(org: OrgState, form: URLSearchParams): Reply {
  const right =
    form.get('username') === org.username && form.get('password') === org.password + org.securityToken;
  if (!org.switches.passwordFlow || !right) return refused('invalid_grant', 'authentication failure');
  return granted(org, org.sessions.create(org.userId, org.clientId));
}

export function userinfo(org: OrgState, session: Session): Reply {
  const user = org.store.find(session.userId);
  const name = user?.table.row(user.number);
  const body = {
    sub: `${org.url}/id/${org.orgId}/${session.userId}`,
    user_id: session.userId,
    organization_id: org.orgId,
    preferred_username: name?.Username ?? org.username,
    name: name?.Name ?? '',
    email: name?.Email ?? '',
    email_verified: true,
    zoneinfo: 'Europe/Berlin',
    user_type: 'STANDARD',
    language: 'en_US',
    locale: 'en_US',
    urls: {
      rest: `${org.url}/services/data/v{version}/`,
      sobjects: `${org.url}/services/data/v{version}/sobjects/`,
      query: `${org.url}/services/data/v{version}/query/`,
    },
    active: true,
    updated_at: new Date().toISOString(),
  };
  return { status: 200, body };
}

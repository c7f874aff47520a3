import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OrgConfig, OrgSecrets } from '../../../nodes/salesforce/org/credentials';
import { refreshTokens } from '../../../nodes/shared/http/refresh-tokens';
import { OrgSession, type SessionOptions } from '../../../nodes/salesforce/org/session';
import { jsforceOver } from '../../../nodes/salesforce/org/jsforce';
import { startOrg, type Org } from '../../org/org';
import { until } from '../../support/until';
import { QUICK } from '../rig';

let org: Org;
const sessions: OrgSession[] = [];
beforeEach(async () => (org = await startOrg({ securityToken: 'TOKEN' })));
afterEach(async () => {
  for (const session of sessions.splice(0)) session.close();
  await org.close();
});

function open(
  config: Partial<OrgConfig>,
  secrets: OrgSecrets = {},
  more: Partial<SessionOptions> = {},
): OrgSession {
  const session = new OrgSession({
    config: { auth: 'client-credentials', loginUrl: org.url, ...config },
    secrets: { clientId: org.clientId, clientSecret: org.clientSecret, ...secrets },
    pauses: { ...QUICK },
    ...more,
  });
  sessions.push(session);
  return session;
}

const refusal = async (session: OrgSession) =>
  session.login().then(
    () => assert.fail('logged in'),
    (error: { reason: string; code: string; message: string }) => error,
  );
const logins = () => org.requests().filter(({ path }) => path.includes('/oauth2/token')).length;

describe('logging in', () => {
  const file = (content: object) => {
    const path = join(mkdtempSync(join(tmpdir(), 'jetforce-credentials-')), 'credentials.json');
    writeFileSync(path, JSON.stringify(content));
    return path;
  };

  test('by client credentials; the ids of org and user are known', async () => {
    const session = open({});
    await session.login();
    assert.equal(session.organizationId, org.orgId);
    assert.equal(session.userId, org.userId);
    assert.equal(session.instanceUrl, org.url);
  });

  test('by username, password and security token', async () => {
    await open(
      { auth: 'password', username: org.username },
      { password: org.password, securityToken: 'TOKEN' },
    ).login();
  });

  test('by JWT', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    org.app.publicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await open({ auth: 'jwt', username: org.username }, { privateKey: pem }).login();
    await open({ auth: 'jwt', username: org.username }, { privateKey: pem.replaceAll('\n', '\\n') }).login();
    assert.match(
      (await refusal(open({ auth: 'jwt', username: 'x@y.z' }, { privateKey: pem }))).message,
      /pre-authorize the user/,
    );
    assert.match(
      (await refusal(open({ auth: 'jwt', username: org.username }, { privateKey: 'abc' }))).message,
      /no RSA key in PEM form/,
    );
  });

  test('by a file as the mission has it, or with other secrets in it', async () => {
    const { username, clientId: client_id, clientSecret: client_secret, url: login_url } = org;
    const credentials = { client_id, client_secret, login_url };
    const none = { clientId: '', clientSecret: '' };
    await open(
      {
        auth: 'file',
        loginUrl: '',
        credentialsPath: file({ ...credentials, username, password: `${org.password}TOKEN` }),
      },
      none,
    ).login();
    await open({ auth: 'file', loginUrl: '', credentialsPath: file(credentials) }, none).login();
    await open(
      {
        auth: 'file',
        loginUrl: '',
        credentialsPath: file({ ...credentials, refresh_token: org.app.issueRefreshToken(org.userId) }),
      },
      none,
    ).login();
    assert.match(
      (await refusal(open({ auth: 'file', credentialsPath: '/no/such/file' }))).message,
      /\/no\/such\/file can't be read/,
    );
  });

  test('by refresh token; one that the org replaces is kept for whoever logs in next', async () => {
    org.switches.rotateRefreshTokens = true;
    const refreshToken = org.app.issueRefreshToken(org.userId);
    const folder = mkdtempSync(join(tmpdir(), 'jetforce-tokens-'));
    const tokens = refreshTokens(folder, assert.fail);
    const login = (token: string) =>
      open({ auth: 'refresh-token' }, { refreshToken: token }, { refreshTokens: tokens });
    const session = login(refreshToken);
    await session.login();
    org.expireSessions();
    await session.get('/limits');
    await login(refreshToken).login();
    await login(org.app.issueRefreshToken(org.userId)).login();
  });
});

describe('refusals say what to do', () => {
  test('the password flow is blocked', async () => {
    org.switches.passwordFlow = false;
    const { reason, code, message } = await refusal(
      open({ auth: 'password', username: org.username }, { password: `${org.password}TOKEN` }),
    );
    assert.deepEqual([reason, code], ['login', 'invalid_grant']);
    assert.match(message, /Allow OAuth Username-Password Flows/);
    assert.ok(!message.includes(org.password));
  });

  test('client credentials at another host than My Domain', async () => {
    org.switches.myDomainOnly = true;
    assert.match(
      (await refusal(open({ loginUrl: org.url.replace('127.0.0.1', 'localhost') }))).message,
      /My Domain only/,
    );
  });

  test('no user to run as', async () => {
    org.switches.clientCredentialsUser = false;
    assert.match((await refusal(open({}))).message, /choose a Run As user/);
  });

  test('too many logins', async () => {
    org.switches.loginsPerHour = 0;
    assert.match((await refusal(open({}))).message, /3,600 an hour/);
  });

  test('a refresh token that is used up', async () => {
    assert.match(
      (await refusal(open({ auth: 'refresh-token' }, { refreshToken: 'old' }))).message,
      /authorize the app again/,
    );
  });

  test('the address of the user interface instead of the login', async () => {
    const { message } = await refusal(open({ loginUrl: 'https://acme.lightning.force.com' }));
    assert.match(message, /use https:\/\/acme\.my\.salesforce\.com/);
  });

  test('a host that answers no login', async () => {
    const page = createServer((_req, res) => res.end('<html>hello</html>'));
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    const { code } = await refusal(
      open({ loginUrl: `http://127.0.0.1:${(page.address() as AddressInfo).port}` }),
    );
    page.close();
    assert.equal(code, 'HTTP_200');
  });
});

describe('one session', () => {
  test('is logged in once, whoever asks, and again once when it ends', async () => {
    const session = open({});
    await Promise.all(Array.from({ length: 20 }, () => session.get('/limits')));
    assert.equal(logins(), 1);
    org.expireSessions();
    await Promise.all(Array.from({ length: 20 }, () => session.get('/limits')));
    assert.equal(logins(), 2);
  });

  test('an org that always answers 401 gets one more login and one more request', async () => {
    const session = open({});
    await session.login();
    org.faults.add({ match: { path: '/services/data' }, action: { status: 401 } });
    await assert.rejects(session.get('/limits'), { reason: 'login', code: 'INVALID_SESSION_ID' });
    assert.equal(logins(), 2);
    assert.equal(org.requests().length, 4);
  });

  test('is the same through jsforce, which must not log in by itself', async () => {
    const session = open({});
    await session.login();
    org.expireSessions();
    const { sobjects } = await (await jsforceOver(session)).describeGlobal();
    assert.ok(sobjects.length > 0);
    org.faults.add({ match: { path: '/services/data' }, action: { status: 401 } });
    const connection = await jsforceOver(session);
    assert.equal(connection.accessToken, undefined, 'it has no token to lose');
    await assert.rejects(connection.describeGlobal(), { code: 'INVALID_SESSION_ID' });
    assert.equal(logins(), 3);
  });

  test('a request waits for its answer as long as the session is told, and no longer', async () => {
    const session = open({}, {}, { timeout: 200 });
    org.faults.add({ match: { path: '/limits' }, action: { delayMs: 5_000 }, times: 1 });
    await assert.rejects(session.get('/limits'), { reason: 'unreachable', sent: true });
    await session.get('/limits');
  });

  test('a hold lasts until a probe gets through', async () => {
    const session = open({});
    org.faults.add({ match: { path: '/limits' }, action: { status: 503 }, times: 3 });
    session.availability.begin(session.budgetOutage());
    const reasons = new Set<string>();
    session.onChange(() => session.availability.current && reasons.add(session.availability.current.reason));
    await until(() => session.availability.current === undefined, { what: 'the end of the hold' });
    assert.deepEqual([...reasons], ['budget', 'unreachable'], 'the reason is always the last one');
    assert.equal(org.requests().filter(({ path }) => path.endsWith('/limits')).length, 4);
  });
});

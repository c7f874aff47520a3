import { afterEach, describe, test } from 'node:test';
import '../../../nodes/shared/language';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGrant, type OrgConfig, type OrgSecrets } from '../../../nodes/salesforce/org/credentials';
import { sfdcOrg } from '../../../nodes/salesforce/sfdc-org.settings';
import { parseSettings } from '../../../nodes/shared/settings/settings';
import { temporaryFolder } from '../../support/cleanup';

const loginUrl = 'https://acme.my.salesforce.com';
const secrets: OrgSecrets = {
  clientId: ' client ',
  clientSecret: 'secret',
  password: 'pass',
  securityToken: ' TOKEN ',
  refreshToken: 'refresh',
  privateKey: 'a\\nb',
};
const read = (config: Partial<OrgConfig>, given: OrgSecrets = secrets) =>
  readGrant(
    parseSettings(sfdcOrg, { auth: 'client-credentials', loginUrl, username: 'me@x.y', ...config, ...given }),
  );

test('each flow has what it needs, without blanks around it', async () => {
  const base = { loginUrl, clientId: 'client' };
  assert.deepEqual(await read({}), { ...base, flow: 'client-credentials', clientSecret: 'secret' });
  assert.deepEqual(await read({ auth: 'password' }), {
    ...base,
    flow: 'password',
    clientSecret: 'secret',
    username: 'me@x.y',
    password: 'passTOKEN',
  });
  assert.equal(
    ((await read({ auth: 'password' }, { ...secrets, securityToken: undefined })) as { password: string })
      .password,
    'pass',
  );
  assert.deepEqual(await read({ auth: 'jwt' }), {
    ...base,
    flow: 'jwt',
    username: 'me@x.y',
    privateKey: 'a\nb',
  });
  const refresh = { ...base, flow: 'refresh-token', refreshToken: 'refresh' };
  assert.deepEqual(await read({ auth: 'refresh-token' }), { ...refresh, clientSecret: 'secret' });
  for (const clientSecret of ['', ' ', undefined])
    assert.deepEqual(await read({ auth: 'refresh-token' }, { ...secrets, clientSecret }), {
      ...refresh,
      clientSecret: undefined,
    });
});

test('what is missing is named, and where', async () => {
  const needs: [OrgConfig['auth'], string[]][] = [
    ['client-credentials', ['clientId', 'clientSecret']],
    ['password', ['clientId', 'clientSecret', 'password']],
    ['jwt', ['clientId', 'privateKey']],
    ['refresh-token', ['clientId', 'refreshToken']],
  ];
  for (const [auth, names] of needs)
    for (const name of names)
      for (const value of [undefined, ' ']) {
        const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
        const label = words[0]!.toUpperCase() + words.slice(1);
        await assert.rejects(read({ auth }, { ...secrets, [name]: value }), {
          code: 'NO_CREDENTIALS',
          retryable: true,
          message: `The ${auth} login needs "${label}" in the org`,
        });
      }
  for (const auth of ['password', 'jwt'] as const)
    await assert.rejects(read({ auth, username: undefined }), { message: /needs "Username" in the org/ });
  assert.throws(() => read({ auth: 'kerberos' as 'jwt' }), { code: 'INVALID_CREDENTIALS' });
});

test('the login URL is https, or leads to this machine; a host alone will do', async () => {
  const url = async (text: string | undefined) => (await read({ loginUrl: text })).loginUrl;
  for (const [text, expected] of [
    [undefined, 'https://login.salesforce.com'],
    [' ', 'https://login.salesforce.com'],
    ['test.salesforce.com', 'https://test.salesforce.com'],
    [' https://acme.my.salesforce.com// ', 'https://acme.my.salesforce.com'],
    ['https://acme.my.site.com/partners/', 'https://acme.my.site.com/partners'],
    ['http://localhost:80', 'http://localhost'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['http://[::1]:1', 'http://[::1]:1'],
  ] as const)
    assert.equal(await url(text), expected);
  for (const wrong of [
    'http://acme.my.salesforce.com',
    'http://127.0.0.1.evil.com',
    'http://localhost.evil',
    'ftp://127.0.0.1',
    'a b',
  ])
    await assert.rejects(url(wrong), { code: 'INVALID_CREDENTIALS', message: /is not an https URL/ });
  await assert.rejects(url('https://acme.lightning.force.com/x'), {
    message: /use https:\/\/acme\.my\.salesforce\.com$/,
  });
});

describe('a credentials file', () => {
  let folder: ReturnType<typeof temporaryFolder> | undefined;
  afterEach(() => folder?.remove());
  const file = (content: unknown) => {
    folder = temporaryFolder('credentials');
    const path = join(folder.path, 'org.json');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const from = (content: unknown, config = {}) =>
    read({ auth: 'file', credentialsPath: file(content), ...config }, {});
  const client = { client_id: 'c', client_secret: 's' };

  test('says by its contents which flow it is', async () => {
    const flow = async (more: object) => (await from({ ...client, ...more })).flow;
    assert.equal(await flow({}), 'client-credentials');
    assert.equal(await flow({ username: 'u', password: 'p' }), 'password');
    assert.equal(await flow({ refresh_token: 'r', username: 'u' }), 'refresh-token');
    assert.equal(await flow({ private_key: 'k', username: 'u', refresh_token: 'r' }), 'jwt');
    await assert.rejects(flow({ username: 'u' }), {
      message: /^The password login needs "Password" in .*org\.json$/,
    });
    await assert.rejects(flow({ password: 'p' }), { message: /needs "Username" in / });
    await assert.rejects(flow({ client_id: 7 }), { message: /needs "Client id" in / });
  });

  test('has its own login URL, or that of the settings', async () => {
    assert.equal(
      (await from({ ...client, login_url: 'other.my.salesforce.com' })).loginUrl,
      'https://other.my.salesforce.com',
    );
    assert.equal((await from(client)).loginUrl, loginUrl);
    assert.equal((await from({ ...client, login_url: '' })).loginUrl, loginUrl);
  });

  test('has its security token behind the password', async () => {
    const grant = await from({ ...client, username: 'u', password: 'p', security_token: 'T' });
    assert.ok(grant.flow === 'password' && grant.password === 'pT');
  });

  test('that can not be read says so, and shows nothing of it', async () => {
    await assert.rejects(read({ auth: 'file', credentialsPath: ' ' }), {
      message: /no path of a credentials file is set/,
    });
    await assert.rejects(read({ auth: 'file' }), { message: /no path of a credentials file is set/ });
    await assert.rejects(read({ auth: 'file', credentialsPath: '/no/such' }), {
      message: /\/no\/such can't be read: ENOENT/,
    });
    await assert.rejects(from('{"client_secret": "geheim"'), (error: Error) => {
      assert.match(error.message, /org\.json is not valid JSON$/);
      assert.ok(!error.message.includes('geheim'));
      return true;
    });
  });
});

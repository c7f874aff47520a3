import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connect } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { jsApi } from '../../../nodes/jetstream/server/api';
import { splitLogin, type ServerSettings } from '../../../nodes/jetstream/server/server-settings';
import { testConnection } from '../../../nodes/jetstream/streams/lookups';
import { codeOf, messageOf } from '../../../nodes/shared/errors';
import { startNats } from '../../support/nats';
import { until } from '../../support/until';

const PASSWORD = 's3cr3tPW';

/** Opens a connection for one user and keeps what it says. */
function open(settings: Partial<ServerSettings> & { servers: string }) {
  const said: string[] = [];
  const states: string[] = [];
  const connection = new Connection({ auth: 'none', ...settings }, (level, text) =>
    said.push(`${level} ${text}`),
  );
  const close = connection.use({ state: (state) => states.push(state.phase) });
  const reason = () => (connection.state.phase === 'disconnected' ? connection.state.reason : undefined);
  return { connection, said, states, close, reason };
}

describe('a login in the URL of a server', () => {
  const parsed = (servers: string, more: Partial<ServerSettings> = {}) =>
    splitLogin({ auth: 'none', servers, ...more });

  test('is the login, and no part of the address', () => {
    for (const [servers, login, address] of [
      ['nats://u:p%40ss@h:4222', { auth: 'userpass', user: 'u', password: 'p@ss' }, 'nats://h:4222'],
      ['tls://u:p@ss@h', { auth: 'userpass', user: 'u', password: 'p@ss' }, 'tls://h'],
      ['t0ken@h:1', { auth: 'token', token: 't0ken' }, 'h:1'],
      [
        'nats://u:100%@a,nats://u:100%@b',
        { auth: 'userpass', user: 'u', password: '100%' },
        'nats://a,nats://b',
      ],
      ['nats://u:a/b@h', { auth: 'userpass', user: 'u', password: 'a/b' }, 'nats://h'],
      ['nats://a, b:2', { auth: 'none' }, 'nats://a, b:2'],
    ] as const) {
      const { settings } = parsed(servers);
      assert.deepEqual(settings, { ...settings, ...login, servers: address }, servers);
    }
  });

  test('gives way to the login of the form, and is struck all the same', () => {
    const { settings, secrets } = parsed(`nats://u:${PASSWORD}@h`, { auth: 'token', token: 'other' });
    assert.deepEqual([settings.auth, settings.token, settings.servers], ['token', 'other', 'nats://h']);
    assert.equal(secrets.strike(`said ${PASSWORD}`), 'said ***');
  });

  test('has to be one for all servers', () => {
    assert.throws(
      () => parsed('nats://u:first1@a,nats://u:second2@b'),
      (error) => {
        assert.equal(codeOf(error), 'BAD_CREDENTIALS');
        assert.doesNotMatch(messageOf(error), /first1|second2/);
        return true;
      },
    );
  });

  test('is used, and shows nowhere: right or wrong', async () => {
    const nats = await startNats({ config: `authorization { user: crm, password: ${PASSWORD} }` });
    const servers = nats.url.replace('//', `//crm:${PASSWORD}@`);
    const checks = await testConnection({ auth: 'none', servers });
    assert.match(String(checks[0]?.values['server']), /^127/);
    const right = open({ servers });
    await until(() => right.connection.open);
    await right.close();
    const wrong = open({ servers: servers.replace(PASSWORD, `${PASSWORD}-wrong`) });
    await until(() => wrong.reason()?.code === 'AUTHORIZATION');
    assert.match(wrong.said.join('\n'), /127\.0\.0\.1:\d+ refused the login/);
    assert.doesNotMatch(
      [JSON.stringify(checks), ...right.said, ...wrong.said].join('\n'),
      new RegExp(PASSWORD),
    );
    await wrong.close();
    await nats.stop();
  });
});

describe('what a server echoes of a login is struck', () => {
  /** Takes any login and answers each line with an error that quotes it. */
  async function echoing(speak: (socket: Socket, login: string) => void): Promise<Server> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(
        'INFO {"server_id":"x","version":"2.12.0","proto":1,"max_payload":1048576,"headers":true}\r\n',
      );
      socket.on('data', (data) => {
        const login = /CONNECT (.*)\r\n/.exec(String(data))?.[1];
        if (login) speak(socket, login);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }
  for (const [auth, secrets] of [
    ['userpass', { user: 'u', password: PASSWORD }],
    ['token', { token: PASSWORD }],
  ] as const)
    test(`of ${auth}: in the error that ends a connection`, async () => {
      const server = await echoing((socket, login) =>
        socket.end(`-ERR 'Authorization Violation ${login.replaceAll("'", '')}'\r\n`),
      );
      const { said, reason, close } = open({
        servers: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        auth,
        ...secrets,
      });
      const failed = await until(reason);
      assert.doesNotMatch(
        [...said, failed.message, failed.stack, JSON.stringify(failed)].join('\n'),
        /s3cr3t/,
      );
      assert.doesNotMatch(messageOf(failed.cause), /s3cr3t/);
      await close();
      server.close();
    });

  test('in an answer of the JetStream API', async () => {
    const nats = await startNats({ jetstream: false, config: `authorization { token: ${PASSWORD} }` });
    const peer = await connect({ servers: nats.url, token: PASSWORD });
    peer.subscribe('$JS.API.STREAM.INFO.x', {
      callback: (_error, msg) =>
        void msg.respond(
          JSON.stringify({ error: { code: 500, err_code: 1, description: `no ${PASSWORD}` } }),
        ),
    });
    await peer.flush();
    const { connection, close } = open({ servers: nats.url, auth: 'token', token: PASSWORD });
    const nc = await until(() => connection.open);
    await assert.rejects(jsApi(nc, undefined, 'STREAM.INFO.x'), {
      message: /"no \*\*\*"/,
      description: 'no ***',
    });
    await close();
    await peer.close();
    await nats.stop();
  });
});

describe('floods', () => {
  test('a login that is refused after a reconnect is said once a connection, and tried with growing pauses', async () => {
    const nats = await startNats({ config: 'authorization { user: u, password: before }' });
    const one = open({ servers: nats.url, auth: 'userpass', user: 'u', password: 'before' });
    const others = [1, 2, 3].map(() => one.connection.use({}));
    await until(() => one.connection.open);
    const file = join(nats.dir, 'nats.conf');
    writeFileSync(file, execFileSync('cat', [file], { encoding: 'utf8' }).replace('before', 'afterwards'));
    const from = nats.log.length;
    await nats.restart();
    await until(() => one.reason()?.code === 'AUTHORIZATION', { timeout: 20_000 });
    const logins = () => nats.log.slice(from).filter((line) => /authentication error/i.test(line)).length;
    const before = logins();
    await until(() => logins() >= before + 3, { timeout: 30_000 });
    assert.deepEqual(
      one.said.map((line) => /is lost|refused the login/.exec(line)?.[0]),
      ['is lost', 'refused the login'],
    );
    assert.equal(one.reason()?.code, 'AUTHORIZATION', 'each attempt ends without another cause');
    await Promise.all([one.close(), ...others.map((close) => close())]);
    await nats.stop();
  });
});

describe('the inbox', () => {
  const restricted = (allowed: string[], publish = ['sequin-records.>']) =>
    startNats({
      config: `accounts: { APP: { jetstream: enabled, users: [
        { user: admin, password: admin },
        { user: app, password: app, permissions: { publish: ${JSON.stringify(publish)}, subscribe: ${JSON.stringify(allowed)} } }
      ] } }`,
    });
  const app = { auth: 'userpass', user: 'app', password: 'app' } as const;

  test("of the guide's user may not be read: the right that is missing is named", async () => {
    const nats = await restricted(['sequin-records.>']);
    const { said, reason, close } = open({ servers: nats.url, ...app });
    const { code, message } = await until(reason);
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, /may not subscribe to "_INBOX\.>"/);
    assert.equal(said.length, 1);
    await assert.rejects(testConnection({ servers: nats.url, ...app }), { message });
    await close();
    await nats.stop();
  });

  test('inside the subjects of a stream is refused, where the user may ask', async () => {
    const nats = await restricted(['sequin-records.>'], ['sequin-records.>', '$JS.API.STREAM.NAMES']);
    const admin = await connect({ servers: nats.url, user: 'admin', pass: 'admin' });
    await (await admin.jetstreamManager()).streams.add({ name: 'RECORDS', subjects: ['sequin-records.>'] });
    const { reason, close } = open({ servers: nats.url, ...app, inboxPrefix: 'sequin-records._INBOX' });
    const { code, message } = await until(reason);
    assert.equal(code, 'INBOX_IN_STREAM');
    assert.match(message, /"sequin-records\._INBOX" is inside the subjects of the stream "RECORDS"/);
    await close();
    await admin.close();
    await nats.stop();
  });

  test('of its own is taken, where it is outside', async () => {
    const nats = await restricted(['_INBOX_app.>'], ['sequin-records.>', '$JS.API.STREAM.NAMES']);
    const { connection, close } = open({ servers: nats.url, ...app, inboxPrefix: '_INBOX_app' });
    await until(() => connection.open);
    await close();
    await nats.stop();
  });
});

for (const [what, says] of [
  ['nothing', ''],
  ['who it is, and no more', 'INFO {"server_id":"x","version":"2.12.0","proto":1,"max_payload":1048576}\r\n'],
] as const)
  test(`a server that says ${what} is given up in time`, async () => {
    const server = createServer(
      (socket) =>
        void socket
          .on('error', () => undefined)
          .resume()
          .write(says),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { reason, close } = open({ servers: `127.0.0.1:${(server.address() as AddressInfo).port}` });
    assert.equal((await until(reason)).code, 'TIMEOUT');
    await close();
    server.close();
  });

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { connect } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import type { TlsOptions } from '../../../nodes/jetstream/server/nats';
import type { ServerSettings } from '../../../nodes/jetstream/server/server-settings';
import { testConnection } from '../../../nodes/jetstream/streams/lookups';
import { codeOf, messageOf } from '../../../nodes/shared/errors';
import { makeAuthority, type Authority, type KeyPair } from '../../support/certificates';
import { temporaryFolder } from '../../support/cleanup';
import { startNats, type Nats, type NatsOptions } from '../../support/nats';
import { until } from '../../support/until';

type Given = Partial<ServerSettings> & { servers: string };

/** What Test connection says, as "CODE: sentence". */
async function tested(settings: Given): Promise<string> {
  try {
    await testConnection({ auth: 'none', ...settings });
    return 'connected';
  } catch (error) {
    return `${codeOf(error)}: ${messageOf(error)}`;
  }
}

/** What the nodes are told, as "CODE: sentence", each once. */
function open(settings: Given) {
  const said: string[] = [];
  const connection = new Connection({ auth: 'none', ...settings });
  const close = connection.use({
    state: (state) => {
      const text =
        state.phase === 'disconnected' ? `${state.reason.code}: ${state.reason.message}` : state.phase;
      if (!said.includes(text)) said.push(text);
    },
  });
  return { connection, said, close };
}

async function statusOf(settings: Given): Promise<string> {
  const { connection, close } = open(settings);
  await until(() => connection.state.phase === 'disconnected');
  const { state } = connection;
  await close();
  return state.phase === 'disconnected' ? `${state.reason.code}: ${state.reason.message}` : state.phase;
}

describe('TLS: Test connection and the status say what to do', () => {
  const folder = temporaryFolder('dialing');
  const running: Nats[] = [];
  let authority: Authority;
  let other: Authority;
  before(async () => {
    authority = await makeAuthority();
    other = await makeAuthority();
  });
  after(async () => {
    await Promise.all(running.map((nats) => nats.stop()));
    folder.remove();
  });
  let files = 0;
  const path = (pem: string): string => {
    const file = join(folder.path, `${files++}.pem`);
    writeFileSync(file, pem);
    return file;
  };
  const start = async (pair: KeyPair, more: Partial<NatsOptions['tls']> = {}): Promise<string> => {
    const tls = { cert: path(pair.cert), key: path(pair.key), ca: path(authority.ca), ...more };
    const nats = await startNats({ tls });
    running.push(nats);
    return nats.url;
  };
  const both = async (settings: Given, expected: RegExp) => {
    assert.match(await tested(settings), expected);
    assert.match(await statusOf(settings), expected);
  };

  test('a certificate of an authority that is not trusted, with and without TLS asked for', async () => {
    const servers = await start(await authority.server());
    const expected = /^TLS: The certificate of \S+ comes from an authority that is not trusted here/;
    await both({ servers, tls: { ca: other.ca } }, expected);
    await both({ servers }, expected);
    await both({ servers: servers.replace('nats:', 'tls:') }, expected);
  });

  test('one that is made out to another name names that', async () => {
    const servers = await start(await authority.server({ names: ['nats.example.com', '192.0.2.7'] }));
    await both(
      { servers, tls: { ca: authority.ca } },
      /^TLS: .* is made out to another name \(DNS:nats\.example\.com, IP Address:192\.0\.2\.7\)/,
    );
    assert.equal(
      await tested({ servers, tls: { ca: authority.ca, servername: 'nats.example.com' } as TlsOptions }),
      'connected',
    );
  });

  test('one for the IP address by which the server is named is right, and one for localhost on this machine', async () => {
    for (const names of [['127.0.0.1'], ['localhost']]) {
      const servers = await start(await authority.server({ names }));
      assert.equal(await tested({ servers, tls: { ca: authority.ca } }), 'connected', names[0]);
    }
  });

  test('one that has expired, or is not valid yet', async () => {
    const past = { validFrom: new Date('2020-01-01'), validTo: new Date('2021-01-01') };
    const future = { validFrom: new Date('2090-01-01'), validTo: new Date('2091-01-01') };
    const tls = { ca: authority.ca };
    await both(
      { servers: await start(await authority.server(past)), tls },
      /^TLS: .* has expired: renew it on the server/,
    );
    await both(
      { servers: await start(await authority.server(future)), tls },
      /^TLS: .* is not valid yet: check the clock/,
    );
  });

  test('a client certificate that is missing, or of another authority, is named at once', async () => {
    const servers = await start(await authority.server(), { verify: true });
    const started = open({ servers, tls: { ca: authority.ca } });
    // The reason may be lost, where the server closes the connection before it is read: never the time-out's.
    await until(() => started.said.some((text) => /^TLS: .* wants a valid client certificate/.test(text)));
    await started.close();
    assert.doesNotMatch(started.said.join('\n'), /TIMEOUT/);
    const stranger = await other.client('app');
    const refused = open({ servers, tls: { ca: authority.ca, ...stranger } });
    await until(() => refused.said.some((text) => /^TLS: .* does not trust the client cert/.test(text)));
    await refused.close();
  });

  test('a key that is not of the certificate, or is no key', async () => {
    const servers = await start(await authority.server(), { verify: true });
    const mine = await authority.client('app');
    const { key } = await authority.client('another');
    for (const wrong of [key, 'nonsense'])
      await both(
        { servers, tls: { ca: authority.ca, cert: mine.cert, key: wrong } },
        /^TLS: The certificate and key of the TLS configuration .* are unusable/,
      );
  });

  test('TLS first at a server that is not set so, and the reverse', async () => {
    const tls = { ca: authority.ca };
    const usual = await start(await authority.server());
    await both({ servers: usual, tls, tlsFirst: true }, /^TLS: .* does not begin with TLS: switch "TLS/);
    const first = await start(await authority.server(), { handshakeFirst: true });
    assert.match(await tested({ servers: first, tls }), /^CONNECTION_ENDED: .* it may want TLS first/);
  });

  test('a certificate that expires while the server is away is told when it is back', async () => {
    const pair = await authority.server();
    const cert = path(pair.cert);
    const nats = await startNats({ tls: { cert, key: path(pair.key) } });
    running.push(nats);
    const { connection, said, close } = open({ servers: nats.url, tls: { ca: authority.ca } });
    await until(() => connection.open);
    const expired = await authority.server({ validTo: new Date('2021-01-01') });
    await nats.kill();
    writeFileSync(cert, `${expired.cert}\n`);
    writeFileSync(join(folder.path, `${files - 1}.pem`), expired.key);
    await nats.restart();
    await until(() => said.some((text) => /^TLS: .* has expired/.test(text)));
    await close();
  });
});

describe('an address', () => {
  test('of WebSocket, or that is none, is said so', async () => {
    for (const servers of ['ws://127.0.0.1:80', 'nats://127.0.0.1:4222,wss://u:p4ssw0rd@127.0.0.1'])
      assert.match(
        await tested({ servers }),
        /^BAD_SERVER: wss?:\/\/127\S+ is an address for NATS over WebS/,
      );
    for (const servers of ['nats://127.0.0.1:abc', 'nats://h:99999', 'nats://a:4222;nats://b:4222'])
      assert.match(await tested({ servers }), /^BAD_SERVER: ".*" is no address of a NATS server/);
  });

  test('behind which something else answers', async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      socket.end('SSH-2.0-OpenSSH\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    assert.match(
      await tested({ servers: `nats://127.0.0.1:${port}` }),
      /: What answers at .* is no nats-ser/,
    );
    server.close();
  });

  test('of a server that is full', async () => {
    const nats = await startNats({ config: 'max_connections: 1' });
    const nc = await connect({ servers: nats.url });
    const { connection, said, close } = open({ servers: nats.url });
    await until(() => said.some((text) => /^TOO_MANY_CONNECTIONS: .* takes no more/.test(text)));
    await nc.close();
    await until(() => connection.open);
    await close();
    await nats.stop();
  });

  test('IPv6, with and without a login', async (t) => {
    const nats = await startNats({ config: 'listen: "[::1]:-1"' }).catch(() => undefined);
    const port = nats?.log.map((line) => /client connections on \[::1\]:(\d+)/.exec(line)?.[1]).find(Boolean);
    if (!nats || !port) return t.skip('no IPv6 here');
    for (const host of [`nats://[::1]:${port}`, `[::1]:${port}`, `nats://u:p@[::1]:${port}`])
      assert.equal(await tested({ servers: host }), 'connected', host);
    await nats.stop();
  });
});

describe('a server that comes back', () => {
  test('is found also when the clock was set back by hours meanwhile', async () => {
    const nats = await startNats();
    const { connection, said, close } = open({ servers: nats.url });
    await until(() => connection.open);
    const right = Date.now;
    const clock = mock.method(Date, 'now', () => right() - 3 * 3_600_000);
    try {
      await nats.restart();
      await until(() => said.some((text) => text.startsWith('DISCONNECTED')) && connection.open);
    } finally {
      clock.mock.restore();
    }
    await close();
    await nats.stop();
  });

  test('after it hung has no connections left of the attempts meanwhile', async () => {
    const nats = await startNats();
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const idle = sockets();
    nats.suspend();

    await assert.rejects(testConnection({ auth: 'none', servers: nats.url }), { code: 'TIMEOUT' });
    await until(() => sockets() === idle);
    nats.resume();
    await nats.stop();
  });
});

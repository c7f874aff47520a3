import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { HttpClient } from '../../../nodes/salesforce/org/http';
import { proxyFor, TunnelAgent } from '../../../nodes/shared/http/proxy';
import { startOrg } from '../../org/org';
import { until } from '../../support/until';

const quick = { interval: 1, timeout: 2_000 };

describe('a tunnel', () => {
  let server: Server;
  let proxy: URL;
  let sockets: Set<Duplex>;
  beforeEach(async () => {
    sockets = new Set();
    server = createServer().on('connection', (socket: Duplex) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    delete process.env.https_proxy;
  });
  /** What the proxy does with a CONNECT. */
  const onConnect = (react: (socket: Duplex) => void) =>
    server.on('connect', (_request, socket) => {
      socket.resume().on('end', () => socket.end());
      react(socket);
    });
  const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

  test('https goes through the proxy of the environment, and its tunnel is kept', async (t) => {
    const org = await startOrg({ tls: true });
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), org.ca ?? '']);
    const client = new HttpClient();
    const tunnels: string[] = [];
    server.on('connect', (request, socket) => {
      tunnels.push(`${request.url} ${request.headers['proxy-authorization']}`);
      if (request.headers['proxy-authorization'] === undefined)
        return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      const { hostname, port } = new URL(`http://${request.url}`);
      const target = connect(Number(port), hostname, () =>
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n'),
      );
      target.on('error', () => socket.destroy()).pipe(socket);
      socket.on('error', () => target.destroy()).pipe(target);
    });
    t.after(async () => {
      client.close();
      await org.close();
    });
    process.env.https_proxy = `http://me:se%20cret@${proxy.host}`;
    for (let i = 0; i < 3; i++)
      assert.equal(
        (await client.send({ url: `${org.url}/services/data/`, method: 'GET', timeout: 5_000 })).status,
        200,
      );
    assert.deepEqual(tunnels, [
      `${new URL(org.url).host} Basic ${Buffer.from('me:se cret').toString('base64')}`,
    ]);
    process.env.https_proxy = `http://${proxy.host}`;
    await assert.rejects(client.send({ url: `${org.url}/x`, method: 'GET', timeout: 5_000 }), {
      sent: false,
      message: /the proxy 127\.0\.0\.1:\d+ refuses the tunnel to .* with 407/,
    });
  });

  const stalls: [string, (socket: Duplex) => void][] = [
    ['never answers', () => undefined],
    ['lets through what never answers the TLS handshake', (socket) => socket.write(established)],
  ];
  for (const [what, react] of stalls) {
    test(`through a proxy that ${what}: a request has its answer or its failure in time`, async () => {
      onConnect(react);
      process.env.https_proxy = proxy.href;
      const client = new HttpClient();
      await assert.rejects(client.send({ method: 'GET', url: 'https://org.example/', timeout: 50 }), {
        sent: false,
        message: /no answer within 0\.05 s/,
      });
      client.close();
      await until(() => sockets.size === 0, quick);
    });

    test(`through a proxy that ${what}: closing fails the request, and leaves no connection`, async () => {
      onConnect(react);
      process.env.https_proxy = proxy.href;
      const client = new HttpClient();
      const lost = assert.rejects(
        client.send({ method: 'GET', url: 'https://org.example/', timeout: 60_000 }),
        {
          sent: false,
          message: /the session was closed/,
        },
      );
      await until(() => sockets.size === 1, quick);
      client.close();
      await lost;
      await until(() => sockets.size === 0, quick);
    });

    test(`through a proxy that ${what} is given up after its time, with nobody waiting either`, async () => {
      onConnect(react);
      const agent = new TunnelAgent(proxy, {}, 50);
      const error = await new Promise<Error | null>((resolve) =>
        agent.createConnection({ host: 'org.example', port: 443 }, resolve),
      );
      assert.match(
        error?.message ?? '',
        /127\.0\.0\.1:\d+ (can't be used: the proxy .*)?has opened no tunnel to org\.example:443 within 0\.05 s/,
      );
      await until(() => sockets.size === 0, quick);
      agent.destroy();
    });
  }

  test('through a proxy that hangs up fails', async () => {
    for (const react of [
      (socket: Duplex) => socket.destroy(),
      (socket: Duplex) => socket.end(established),
      (socket: Duplex) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'),
      (socket: Duplex) => socket.end(`${established}this is no TLS`),
    ]) {
      server.removeAllListeners('connect');
      onConnect(react);
      process.env.https_proxy = proxy.href;
      const client = new HttpClient();
      await assert.rejects(client.send({ method: 'GET', url: 'https://org.example/', timeout: 5_000 }), {
        reason: 'unreachable',
        sent: false,
      });
      client.close();
      await until(() => sockets.size === 0, quick);
    }
  });
});

test('no_proxy names hosts, domains and all', () => {
  const env = {
    HTTPS_PROXY: 'proxy.corp:3128',
    no_proxy: 'localhost, .corp.example,login.salesforce.com:443',
  };
  assert.equal(proxyFor('acme.my.salesforce.com', env)?.href, 'http://proxy.corp:3128/');
  for (const host of ['localhost', 'a.corp.example', 'login.salesforce.com'])
    assert.equal(proxyFor(host, env), undefined);
  assert.equal(proxyFor('acme.my.salesforce.com', { ...env, no_proxy: '*' }), undefined);
  assert.equal(proxyFor('acme.my.salesforce.com', {}), undefined);
});

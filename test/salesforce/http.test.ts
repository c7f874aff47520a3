import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import tls from 'node:tls';
import { connect } from 'node:net';
import { HttpClient } from '../../nodes/salesforce/http';
import { proxyFor } from '../../nodes/salesforce/proxy';
import { startOrg } from '../org/org';

let server: Server;
let connections = 0;
let answer: RequestListener;
const client = new HttpClient();
const send = (more: object = {}) =>
  client.send({ method: 'POST', url: url(), timeout: 5_000, body: 'ä', ...more });
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/path`;

beforeEach(async () => {
  connections = 0;
  server = createServer((req, res) => answer(req, res)).on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  client.close();
  server.closeAllConnections();
  server.close();
});

test('requests share a connection, which is kept', async () => {
  answer = (_req, res) => res.end('ok');
  for (let i = 0; i < 5; i++) assert.deepEqual((await send()).text, 'ok');
  assert.equal(connections, 1);
});

test('an answer may be compressed, and every status is an answer', async () => {
  answer = (req, res) => {
    assert.equal(req.headers['content-length'], '2');
    res.writeHead(503, { 'content-encoding': 'gzip' }).end(gzipSync('“später”'));
  };
  const { status, text } = await send();
  assert.deepEqual([status, text], [503, '“später”']);
});

test('what never left is known from what may have arrived', async () => {
  answer = (req) => req.socket.resetAndDestroy();
  await assert.rejects(send(), { sent: true, reason: 'unreachable', retryable: true });
  answer = (_req, res) => {
    res.writeHead(200, { 'content-length': '100' }).write('half');
    setTimeout(() => res.destroy(), 20);
  };
  await assert.rejects(send(), { sent: true });
  await assert.rejects(send({ url: 'http://127.0.0.1:9' }), { sent: false, code: 'ECONNREFUSED' });
  await assert.rejects(send({ url: 'http://no-such-host.invalid' }), { sent: false });
  await assert.rejects(send({ url: url().replace('http', 'https') }), { sent: false }, 'no TLS, no request');
});

test('an answer that does not come in time is lost', async () => {
  answer = () => undefined;
  await assert.rejects(send({ timeout: 50 }), { sent: true, message: /no answer within 0\.05 s/ });
});

test('an answer that breaks its encoding is lost', async () => {
  answer = (_req, res) => res.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip');
  await assert.rejects(send(), { sent: true });
});

test('https goes through the proxy of the environment, and its tunnel is kept', async (t) => {
  const org = await startOrg({ tls: true });
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), org.ca ?? '']);
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
    delete process.env.https_proxy;
    await org.close();
  });
  const proxy = new URL(url());
  process.env.https_proxy = `http://me:se%20cret@${proxy.host}`;
  for (let i = 0; i < 3; i++)
    assert.equal(
      (await send({ url: `${org.url}/services/data/`, method: 'GET', body: undefined })).status,
      200,
    );
  assert.deepEqual(tunnels, [
    `${new URL(org.url).host} Basic ${Buffer.from('me:se cret').toString('base64')}`,
  ]);
  process.env.https_proxy = `http://${proxy.host}`;
  await assert.rejects(send({ url: `${org.url}/x` }), {
    sent: false,
    message: /the proxy 127\.0\.0\.1:\d+ refuses the tunnel to .* with 407/,
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

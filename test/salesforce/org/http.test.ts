import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import http, { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { HttpClient } from '../../../nodes/salesforce/org/http';
import { until } from '../../support/until';

let server: Server;
let connections = 0;
let answer: RequestListener;
let client: HttpClient;
const send = (more: object = {}) =>
  client.send({ method: 'POST', url: url(), timeout: 5_000, body: 'ä', ...more });
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/path`;

beforeEach(async () => {
  connections = 0;
  client = new HttpClient();
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

test('an answer that trickles is lost when its time is over', async () => {
  answer = (_req, res) => {
    const drip = setInterval(() => res.write('x'), 5);
    res.on('close', () => clearInterval(drip));
  };
  await assert.rejects(send({ timeout: 100 }), { sent: true, message: /no answer within 0\.1 s/ });
  await until(() => connections === 1, { interval: 1 });
});

test('an answer beyond the limit is lost, compressed or not, before it is all in memory', async () => {
  client.close();
  client = new HttpClient(10_000);
  const large = { sent: true, code: 'ANSWER_TOO_LARGE', message: /larger than 10000 bytes/ };
  let written = 0;
  answer = (_req, res) => {
    const pour = () => {
      while (!res.destroyed && res.write('x'.repeat(5_000))) written += 5_000;
      if (!res.destroyed) res.once('drain', pour);
    };
    pour();
  };
  await assert.rejects(send(), large);
  assert.ok(written < 100_000_000);
  answer = (_req, res) =>
    res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1_000_000)));
  await assert.rejects(send(), large);
  answer = (_req, res) => res.end('x'.repeat(10_000));
  assert.equal((await send()).text.length, 10_000);
});

test('what is given up is told at once, whatever it was waiting for', async () => {
  answer = () => undefined;
  const lost = assert.rejects(send(), { sent: true, message: /the session was closed/ });
  await until(() => connections === 1, { interval: 1 });
  client.close();
  await lost;
  await assert.rejects(send(), { code: 'CLOSED', sent: false, retryable: true });
  assert.equal(connections, 1, 'nothing is sent afterwards');
});

test('an answer in time leaves no timer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let destroyed = false;
  answer = (req, res) => {
    req.socket.on('close', () => (destroyed = true));
    res.end('ok');
  };
  await send();
  t.mock.timers.tick(60_000);
  await send();
  assert.equal(destroyed, false);
});

test('idle connections are closed before the org does it', async () => {
  const { agents } = client as unknown as { agents: Map<string, { options: { timeout: number } }> };
  answer = (_req, res) => res.end('ok');
  await send();
  assert.deepEqual(
    [...agents.values()].map(({ options }) => options.timeout),
    [15_000],
  );
});

for (const [code, words] of [
  ['EAI_AGAIN', /The host h:1 is unknown; check the login URL and this machine's DNS/],
  ['ENOTFOUND', /The host h:1 is unknown/],
  ['ECONNREFUSED', /h:1 refuses connections; check the URL and its port/],
  ['EHOSTUNREACH', /h:1 can't be reached from here \(EHOSTUNREACH\)/],
  ['ENETUNREACH', /can't be reached from here/],
  ['ETIMEDOUT', /can't be reached from here/],
  ['EPROTO', /doesn't speak TLS on this port/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /doesn't speak TLS on this port/],
  ['CERT_HAS_EXPIRED', /The TLS certificate of h:1 is refused \(said so\); .* NODE_EXTRA_CA_CERTS/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /TLS certificate/],
  ['SELF_SIGNED_CERT_IN_CHAIN', /TLS certificate/],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /TLS certificate/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /TLS certificate/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /TLS certificate/],
  ['EPIPE', /The request to h:1 was lost: said so/],
] as const)
  test(`${code} is told in words`, async (t) => {
    t.mock.method(http, 'request', () => {
      const outgoing = new EventEmitter() as EventEmitter & { end: () => void; destroy: () => void };
      outgoing.end = () =>
        setImmediate(() => outgoing.emit('error', Object.assign(new Error('said so'), { code })));
      outgoing.destroy = () => undefined;
      return outgoing;
    });
    await assert.rejects(client.send({ method: 'GET', url: 'http://h:1/x', timeout: 1_000 }), {
      code,
      reason: 'unreachable',
      sent: false,
      message: words,
    });
  });

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { HttpClient, type HttpRequest } from '../../../nodes/shared/http/client';
import { until } from '../../support/until';

const TYPE = { 'content-type': 'text/csv; charset=UTF-8' };

/** A server that answers so, and a client of it. */
async function start(t: TestContext, answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new HttpClient({
    lost: ({ message }) => new Error(message),
    address: 'the URL',
    other: 'the API',
    largest: 1_000,
  });
  t.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const letGo = new AbortController();
  const ask = (path = '', more: Partial<HttpRequest> = {}) =>
    client.send({
      ...{ method: 'GET', headers: { accept: 'text/csv' }, timeout: 20_000, parts: letGo.signal },
      url: url + path,
      ...more,
    });
  return { client, letGo, ask };
}

async function all(parts: AsyncIterator<string> | undefined): Promise<string> {
  let text = '';
  for (let part = await parts?.next(); part && !part.done; part = await parts?.next()) text += part.value;
  return text;
}

test('an answer in parts may be larger than any other, packed or not, and comes as it was said', async (t) => {
  const text = 'grüße 😀\n'.repeat(20_000);
  const { ask } = await start(t, ({ url }, outgoing) => {
    const packed = url === '/packed';
    outgoing.writeHead(200, { ...TYPE, ...(packed && { 'content-encoding': 'gzip' }) });
    outgoing.end(packed ? gzipSync(text) : text);
  });
  assert.equal(await all((await ask()).parts), text);
  assert.equal(await all((await ask('packed')).parts), text);
});

test('it is read from the network no sooner than it is taken', async (t) => {
  const part = Buffer.alloc(1_048_576, 'x');
  let sent = 0;
  let stuck = false;
  const { ask } = await start(t, (_, outgoing) => {
    outgoing.writeHead(200, TYPE);
    const more = (): void => {
      while (sent < 200) {
        sent++;
        if (outgoing.write(part)) continue;
        stuck = true;
        outgoing.once('drain', () => {
          stuck = false;
          more();
        });
        return;
      }
      outgoing.end();
    };
    more();
  });
  const { parts } = await ask();
  await parts?.next();
  // What the sockets on both sides hold is a few megabytes.
  let before = -1;
  const still = (): boolean => {
    const same = stuck && sent === before;
    before = sent;
    return same;
  };
  await until(still, { interval: 200, what: 'it to stand still' });
  assert.ok(sent < 100, String(sent));
  const rest = await all(parts);
  assert.ok(rest.length > 190 * part.length);
});

test('an answer of another type, or another status, is none of it', async (t) => {
  const { ask } = await start(t, ({ url }, outgoing) => {
    outgoing.writeHead(
      url === '/portal' ? 200 : 404,
      url === '/portal' ? { 'content-type': 'text/html' } : TYPE,
    );
    outgoing.end('a page');
  });
  for (const path of ['portal', 'missing']) {
    const { text, parts } = await ask(path);
    assert.equal(text, 'a page');
    assert.equal(parts, undefined);
  }
});

test('where it breaks off, stands still or is let go of, whoever takes it is told', async (t) => {
  const { ask, letGo, client } = await start(t, ({ url }, outgoing) => {
    outgoing.writeHead(200, { ...TYPE, 'content-length': 100 });
    outgoing.write('half', () => void (url === '/breaks' && outgoing.destroy()));
  });
  await assert.rejects(all((await ask('breaks')).parts), /aborted/);
  await assert.rejects(all((await ask('still', { timeout: 100 })).parts), /nothing came for 0.1 s/);
  const one = (await ask('open')).parts;
  assert.equal((await one?.next())?.value, 'half');
  const waits = assert.rejects(all(one), /aborted/);
  letGo.abort();
  await waits;
  await assert.rejects(ask('open'), /nobody wants it/);
  const other = (await ask('open', { parts: new AbortController().signal })).parts;
  const ends = assert.rejects(all(other), /aborted/);
  client.close();
  await ends;
});

test('whoever lets go of an answer that is there, and not read to its end, breaks nothing', async (t) => {
  const { ask, letGo, client } = await start(t, (_, outgoing) => {
    outgoing.writeHead(200, TYPE).end('one\ntwo\n');
  });
  const thrown: unknown[] = [];
  const listen = (error: unknown): void => void thrown.push(error);
  process.on('uncaughtException', listen);
  t.after(() => process.off('uncaughtException', listen));
  const { parts } = await ask();
  await parts?.next();
  letGo.abort();
  const other = await ask('', { parts: new AbortController().signal });
  await other.parts?.next();
  client.close();
  // What was thrown would have been by then.
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  assert.deepEqual(thrown, []);
});

test('a byte order mark is no part of it', async (t) => {
  const { ask } = await start(t, (_, outgoing) => outgoing.writeHead(200, TYPE).end('\ufeff"Id"\n'));
  assert.equal(await all((await ask()).parts), '"Id"\n');
});

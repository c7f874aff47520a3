import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: unknown;
  at: number;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  /** Text as it is, all else as JSON. */
  body?: unknown;
}

export interface AnsweringApi {
  baseUrl: string;
  seen: Seen[];
}

/** A small API on a socket of its own. */
export async function answeringApi(
  t: TestContext,
  answer: (request: Seen, count: number) => Reply,
): Promise<AnsweringApi> {
  const seen: Seen[] = [];
  const server = createServer((incoming, outgoing) => {
    let text = '';
    incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
    incoming.on('end', () => {
      const { pathname, searchParams } = new URL(incoming.url ?? '', 'http://localhost');
      const json = incoming.headers['content-type'] === 'application/json';
      const request: Seen = {
        method: incoming.method ?? '',
        path: decodeURIComponent(pathname),
        query: searchParams,
        headers: incoming.headers,
        body: json ? (JSON.parse(text) as unknown) : Object.fromEntries(new URLSearchParams(text)),
        at: performance.now(),
      };
      seen.push(request);
      const { status = 200, headers = {}, body = {} } = answer(request, seen.length);
      outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
      outgoing.end(status === 304 ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

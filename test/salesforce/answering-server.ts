import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from '../support/until';

/** A request that waits until the test answers it. */
export interface Asked {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  answer(status: number, body?: unknown, headers?: Record<string, string>): void;
  /** Cuts the connection. */
  cut(): void;
}

export interface AnsweringServer {
  url: string;
  /** Every request there was, logins aside. */
  asked: Asked[];
  /** Every request for a token; the nth is answered with the token `T<n>` unless `login` says otherwise. */
  logins: Asked[];
  login: (asked: Asked, count: number) => void;
  token: (accessToken: string) => object;
  /** The nth request, counted from 0, when it is there. */
  request(index: number): Promise<Asked>;
  connections: () => number;
  close(): void;
}

/** A server over real sockets that answers requests when, and as, a test wants it. */
export async function startServer(): Promise<AnsweringServer> {
  let connections = 0;
  const http = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('error', () => undefined);
    request.on('end', () => {
      const one: Asked = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body,
        answer: (status, answer, headers = {}) => {
          response.writeHead(status, headers);
          response.end(
            typeof answer === 'string' || Buffer.isBuffer(answer) ? answer : JSON.stringify(answer),
          );
        },
        cut: () => request.socket.resetAndDestroy(),
      };
      if (one.path.endsWith('/oauth2/token')) server.login(one, server.logins.push(one));
      else server.asked.push(one);
    });
  });
  http.on('connection', (socket) => {
    connections++;
    socket.on('close', () => connections--).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: AnsweringServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked: [],
    logins: [],
    token: (accessToken) => ({
      access_token: accessToken,
      instance_url: server.url,
      id: 'https://login.salesforce.com/id/00D0/0050',
    }),
    login: (asked, count) => asked.answer(200, server.token(`T${count}`)),
    request: (index) =>
      until(() => server.asked[index], { interval: 1, timeout: 2_000, what: `request ${index}` }),
    connections: () => connections,
    close: () => {
      http.closeAllConnections();
      http.close();
    },
  };
  return server;
}

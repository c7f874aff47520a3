/** HTTP as simulated services speak it: a request read whole, its answer, and the faults in between. */
import { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type FaultAction, type Occasion } from './faults';
import { type Ledger, type LedgerEntry } from './ledger';

export interface Request {
  method: string;
  /** Path and query as sent. */
  url: string;
  /** Decoded parts of the path. */
  path: string[];
  query: URLSearchParams;
  /** Names in lower case. */
  headers: Record<string, string>;
  text: string;
}

export interface Reply {
  status: number;
  /** JSON, a page where it is a string, a file where it is a buffer. */
  body?: unknown;
  headers?: Record<string, string>;
}

export async function readRequest(incoming: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = incoming.url ?? '/';
  // Slashes that begin a path twice don't make its first part a host.
  const { pathname, searchParams } = new URL(url.replace(/^\/+/, '/'), 'http://simulated');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers))
    headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
  const path = pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  return {
    method: incoming.method ?? 'GET',
    url,
    path,
    query: searchParams,
    headers,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function send(outgoing: ServerResponse, reply: Reply): void {
  if (reply.body === undefined) {
    outgoing.writeHead(reply.status, reply.headers).end();
    return;
  }
  const { type, bytes } = bodyOf(reply);
  outgoing
    .writeHead(reply.status, { 'Content-Type': type, 'Content-Length': bytes.length, ...reply.headers })
    .end(bytes);
}

/** An answer's body as bytes, with what they are. */
export function bodyOf({ body = '' }: Reply): { type: string; bytes: Buffer } {
  if (Buffer.isBuffer(body)) return { type: 'application/octet-stream', bytes: body };
  return typeof body === 'string'
    ? { type: 'text/html;charset=UTF-8', bytes: Buffer.from(body) }
    : { type: 'application/json;charset=UTF-8', bytes: Buffer.from(JSON.stringify(body)) };
}

export interface Service {
  readonly ledger: Ledger;
  readonly faults: { forCall(occasion: Occasion): FaultAction | undefined };
  /** The service's clock, which tests may set: clients that poll go by it. */
  now(): number;
  /** What it answers to a fault's status. */
  refusal(action: FaultAction, status: number, request: Request): Reply;
  /** Records of a request, for the faults that name one. */
  recordsOf?(request: Request): readonly Readonly<Record<string, unknown>>[];
  work(request: Request, entry: LedgerEntry): Promise<Reply>;
  /** What a fault leaves of an answer. */
  spoilt?(action: FaultAction, reply: Reply): Reply;
  /** The answer as it goes over the wire, for instance packed. */
  packed?(request: Request, reply: Reply): Promise<Reply>;
}

/** Does a call and answers it, noted in the ledger, with the faults that are for it. */
export async function serve(service: Service, request: Request, outgoing: ServerResponse): Promise<void> {
  outgoing.setHeader('Date', new Date(service.now()).toUTCString());
  const { entry, close } = service.ledger.open(request.method, request.url);
  // Whatever ends the exchange closes its entry, also a client that hangs up.
  outgoing.once('close', () => close(outgoing.headersSent ? outgoing.statusCode : 0));
  const fault = service.faults.forCall({
    method: request.method,
    path: request.url,
    records: () => service.recordsOf?.(request) ?? [],
  });
  const delay = async (): Promise<unknown> => fault?.delayMs !== undefined && wait(fault.delayMs);
  if (!fault?.after) await delay();
  if (fault?.reset === 'before') return cut(outgoing);
  const broken = fault?.status === undefined ? undefined : service.refusal(fault, fault.status, request);
  const worked = broken && !fault?.after ? broken : await service.work(request, entry);
  const reply = fault && service.spoilt ? service.spoilt(fault, worked) : worked;
  if (fault?.after) await delay();
  if (fault?.reset === 'after') return cut(outgoing);
  if (fault?.reset === 'body') return cutBody(outgoing, reply);
  const answer = broken ?? reply;
  send(outgoing, service.packed ? await service.packed(request, answer) : answer);
}

function cut(outgoing: ServerResponse): void {
  outgoing.socket?.resetAndDestroy();
}

/** Half of the answer, then the end of the connection. */
function cutBody(outgoing: ServerResponse, reply: Reply): void {
  const { type, bytes } = bodyOf(reply);
  outgoing.writeHead(reply.status, {
    'Content-Type': type,
    ...reply.headers,
    'Content-Length': bytes.length,
  });
  outgoing.write(bytes.subarray(0, bytes.length >> 1), () => outgoing.destroy());
}

/** Listens on loopback, on a free port where it is 0; gives the port. */
export function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { json, text } from './hostile';
import { random, type Random } from './random';

/** What stands before the org: it passes on, or, once it has a seed, answers as nobody should. */
export interface Front {
  url: string;
  /** Equal seeds spoil the same answers in the same way; without one everything is passed on. */
  spoil(seed: string | undefined): void;
  /** What the org has granted, which nobody may see; a hostile grant is made of what everything else is made of. */
  secrets(): string[];
  close(): Promise<void>;
}

interface Answer {
  status: number;
  type: string;
  body: Buffer;
}

const STATUSES = [
  200, 201, 204, 300, 301, 302, 307, 400, 401, 403, 404, 407, 413, 425, 429, 500, 502, 503, 504,
];

export async function startFront(target: string): Promise<Front> {
  let chance: Random | undefined;
  const secrets = new Set<string>();
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const asked = await bodyOf(incoming);
    if (chance?.chance(0.1)) return void incoming.socket.destroy();
    const answer = await pass(target, incoming, asked);
    const own = answer.body.toString('utf8').replaceAll(target, front.url);
    for (const [, token] of own.matchAll(/"(?:access|refresh)_token":"([^"]+)"/g))
      if (token) secrets.add(token);
    const echo = [incoming.url, JSON.stringify(incoming.headers), asked.toString('utf8')].join('\n');
    if (!chance || chance.chance(0.3)) send(outgoing, { ...answer, body: Buffer.from(own) });
    else spoiled(chance, outgoing, { ...answer, body: Buffer.from(own) }, echo);
  };
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => undefined);
    outgoing.on('error', () => undefined);
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const front: Front = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spoil: (seed) => void (chance = seed === undefined ? undefined : random(seed)),
    secrets: () => [...secrets],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return front;
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function pass(target: string, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const own = { ...headers, host: new URL(target).host, 'accept-encoding': 'identity' };
    const outgoing = request(target + (url ?? ''), { method, headers: own, agent: false }, (response) => {
      bodyOf(response).then((answer) => {
        const type = response.headers['content-type'] ?? 'application/json';
        resolve({ status: response.statusCode ?? 500, type, body: answer });
      }, reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function send(
  outgoing: ServerResponse,
  { status, type, body }: Answer,
  more: Record<string, string> = {},
): void {
  outgoing.writeHead(status, { 'content-type': type, 'content-length': body.length, ...more }).end(body);
}

function spoiled(r: Random, outgoing: ServerResponse, answer: Answer, echo: string): void {
  const asJson = (status: number, body: unknown): void =>
    send(outgoing, { status, type: 'application/json', body: Buffer.from(JSON.stringify(body) ?? '') });
  switch (r.below(13)) {
    case 0:
      return send(outgoing, { ...answer, status: r.pick(STATUSES) }, { location: 'http://127.0.0.1:1/' });
    case 1:
      return send(outgoing, {
        status: r.pick(STATUSES),
        type: 'text/html',
        body: Buffer.from(`<html>${text(r)}${echo}`),
      });
    case 2:
      return send(outgoing, { ...answer, body: answer.body.subarray(0, r.below(answer.body.length + 1)) });
    case 3:
      return asJson(r.pick([answer.status, ...STATUSES]), json(r));
    case 4:
      return asJson(r.pick([400, 403, 500]), [{ errorCode: json(r, 1), message: echo, fields: json(r, 1) }]);
    case 5:
      return asJson(r.pick([400, 401]), { error: r.pick([text(r), json(r)]), error_description: echo });
    case 6: {
      const levels = r.pick([150, 300, 5_000, 100_000]);
      return send(outgoing, { ...answer, body: Buffer.from('['.repeat(levels) + ']'.repeat(levels)) });
    }
    case 7:
      outgoing.writeHead(answer.status, { 'content-length': answer.body.length + 10 });
      outgoing.write(answer.body);
      return void setTimeout(() => outgoing.destroy(), 20);
    case 8:
      return send(outgoing, answer, { 'content-encoding': 'gzip' });
    case 9:
      return send(
        outgoing,
        { ...answer, body: gzipSync(Buffer.alloc(r.pick([1, 20, 200]) * 1_000_000)) },
        { 'content-encoding': 'gzip' },
      );
    case 10:
      return send(outgoing, answer, {
        'sforce-limit-info': text(r).replace(/[^\x20-\x7e]/g, ''),
        'sforce-locator': 'x'.repeat(r.below(9_000)),
      });
    default:
      return send(outgoing, {
        ...answer,
        body: Buffer.from(withOddPart(r, answer.body.toString('utf8'), echo)),
      });
  }
}

/** One part of a JSON text is something else. */
function withOddPart(r: Random, body: string, echo: string): string {
  let whole: unknown;
  try {
    whole = JSON.parse(body);
  } catch {
    return text(r);
  }
  const places: [object, string][] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    for (const [name, inner] of Object.entries(part)) {
      places.push([part, name]);
      visit(inner);
    }
  };
  visit(whole);
  if (places.length === 0) return JSON.stringify(json(r)) ?? '';
  for (let left = 1 + r.below(3); left > 0; left--) {
    const [part, name] = r.pick(places);
    const odd = r.chance(0.3) ? { statusCode: json(r, 1), message: echo, fields: json(r, 1) } : json(r, 2);
    Object.defineProperty(part, name, { value: odd, enumerable: true, writable: true, configurable: true });
  }
  return JSON.stringify(whole);
}

import http from 'node:http';
import https from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { onAbort } from '../async/signals';
import { codeOf, messageOf } from '../errors';
import { isGzip, textOf, tooLarge } from './text';
import { proxyFor, TunnelAgent } from './proxy';
import { say } from '../say';

export interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** Milliseconds for the whole exchange; of an answer in parts, until it begins, and for each part that is waited for. */
  timeout: number;
  /** A 2xx answer of the type that `accept` names comes in parts, however large it is. Aborting lets go of it. */
  parts?: AbortSignal;
}

/** Why no answer came, in words. */
export interface LostRequest {
  /** Undefined where the failure has none of its own. */
  code: string | undefined;
  message: string;
  /** True when the request may have been carried out although its answer never came. */
  sent: boolean;
  cause?: unknown;
}

export interface HttpOptions {
  /** The error to throw for it. */
  lost: (lost: LostRequest) => Error;
  /** What the host's name comes from, as the user knows it: "the login URL". */
  address: string;
  /** Whom the requests go to: "the org". */
  other: string;
  /** Bytes of an answer, as it came and unpacked. */
  largest?: number;
}

export interface HttpAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  /** Instead of the text, where it was asked for so: read from the network no sooner than from here. Throws where it breaks off. */
  parts?: AsyncIterator<string>;
}

/** Idle connections are closed by us before the other side (or a firewall) does it under a request being sent. */
const IDLE_MS = 15_000;
/** Those of the APIs are far below. */
const LARGEST = 128 * 1_048_576;

/**
 * Requests to one API, over connections that are kept. Every answer with a status is an answer, a redirect too;
 * everything else throws what `lost` makes of it, which knows whether the request may have got through.
 */
export class HttpClient {
  private readonly agents = new Map<string, http.Agent>();
  /** Gives up each request that has no answer yet. */
  private readonly underWay = new Set<(why: string) => void>();
  private closed = false;

  private readonly largest: number;

  constructor(private readonly options: HttpOptions) {
    this.largest = options.largest ?? LARGEST;
  }

  send(request: HttpRequest): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.closed) throw this.sessionClosed();
      let sent = false;
      const end = () => {
        clearTimeout(timer);
        this.underWay.delete(giveUp);
        unwanted();
      };
      const fail = (error: unknown) => {
        end();
        reject(this.options.lost(explainFailure(error, request.url, sent, this.options.address)));
      };
      // A request that still waits for its connection tells of no error before it has one.
      // Destroyed with an error, a connection whose answer is complete would tell it when nobody listens any more.
      const giveUp = (why: string) => {
        fail(new Error(why));
        outgoing.destroy();
      };
      const url = new URL(request.url);
      const secure = url.protocol === 'https:';
      const body = request.body === undefined ? undefined : Buffer.from(request.body, 'utf8');
      const outgoing = (secure ? https : http).request(url, {
        agent: this.agentFor(url),
        method: request.method,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'gzip',
          ...(body && { 'content-length': body.length }),
          ...request.headers,
        },
      });
      const timer = setTimeout(giveUp, request.timeout, say`no answer within ${request.timeout / 1_000} s`);
      this.underWay.add(giveUp);
      const { parts } = request;
      const unwanted = parts ? onAbort(parts, () => giveUp(say`nobody wants it any more`)) : () => undefined;
      if (parts?.aborted) giveUp(say`nobody wants it any more`);
      outgoing.on('socket', (socket) => {
        if (!socket.connecting) sent = true;
        else socket.once(secure ? 'secureConnect' : 'connect', () => (sent = true));
      });
      outgoing.on('error', fail);
      outgoing.on('response', (response) => {
        const { statusCode: status = 0, headers } = response;
        if (parts && status >= 200 && status < 300 && isOfType(headers, request.headers?.accept)) {
          clearTimeout(timer);
          response.once('close', end);
          return resolve({ status, headers, text: '', parts: partsOf(response, request.timeout) });
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= this.largest) return void chunks.push(chunk);
          fail(tooLarge(this.largest));
          outgoing.destroy();
        });
        response.on('error', fail);
        response.on('end', () => {
          end();
          textOf(Buffer.concat(chunks), headers, this.largest).then(
            (text) => resolve({ status, headers, text }),
            // What says that nothing was done says so by its status, in whatever it is packed.
            (error: unknown) =>
              isLost(status, error) ? fail(error) : resolve({ status, headers, text: '' }),
          );
        });
      });
      outgoing.end(body);
    });
  }

  /** Ends every connection; requests under way fail, and so does whatever is asked afterwards. */
  close(): void {
    this.closed = true;
    for (const giveUp of this.underWay) giveUp(say`the session was closed`);
    for (const agent of this.agents.values()) agent.destroy();
  }

  private sessionClosed(): Error {
    const message = say`The session with ${this.options.other} was closed`;
    return this.options.lost({ code: 'CLOSED', message, sent: false });
  }

  private agentFor(url: URL): http.Agent {
    const options = { keepAlive: true, timeout: IDLE_MS, scheduling: 'lifo' as const };
    const proxy = url.protocol === 'https:' ? proxyFor(url.hostname) : undefined;
    const name = proxy?.href ?? url.protocol;
    let agent = this.agents.get(name);
    if (!agent) {
      if (proxy) agent = new TunnelAgent(proxy, options);
      else agent = url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
      this.agents.set(name, agent);
    }
    return agent;
  }
}

function isOfType(headers: http.IncomingHttpHeaders, type: string | undefined): boolean {
  return type !== undefined && (headers['content-type'] ?? '').toLowerCase().startsWith(type);
}

function partsOf(response: http.IncomingMessage, timeout: number): AsyncGenerator<string, void, undefined> {
  // What breaks it is told to whoever reads on.
  response.on('error', () => undefined);
  const zipped = isGzip(response.headers['content-encoding']);
  const text: Readable = zipped ? pipeline(response, createGunzip(), () => undefined) : response;
  text.setEncoding('utf8');
  return read(text, timeout);
}

async function* read(text: Readable, timeout: number): AsyncGenerator<string, void, undefined> {
  const late = () =>
    setTimeout(() => text.destroy(new Error(say`nothing came for ${timeout / 1_000} s`)), timeout);
  let timer = late();
  let begun = false;
  try {
    for await (const part of text) {
      clearTimeout(timer);
      // A byte order mark is no text.
      yield begun ? (part as string) : (part as string).replace(/^\ufeff/, '');
      begun = true;
      timer = late();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** What an answer that can't be read says, is missed where it tells of something that was done, or may have been. */
function isLost(status: number, error: unknown): boolean {
  return status < 300 || status >= 500 || codeOf(error) === 'ANSWER_TOO_LARGE';
}

/** Says in words why no answer came, and what to look at. */
function explainFailure(error: unknown, url: string, sent: boolean, address: string): LostRequest {
  const { host } = new URL(url);
  const code = codeOf(error, '') || undefined;
  const sentence = (message: string): LostRequest => ({ code, message, sent, cause: error });
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return sentence(say`The host ${host} is unknown; check ${address} and this machine's DNS`);
    case 'ECONNREFUSED':
      return sentence(
        say`${host} refuses connections; check the URL and its port, and any firewall or proxy`,
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return sentence(
        say`${host} can't be reached from here (${code}); check the network, firewall and proxy`,
      );
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return sentence(
        say`${host} doesn't speak TLS on this port; check the URL (https or http) and its port`,
      );
    case 'CERT_HAS_EXPIRED':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return sentence(
        say`The TLS certificate of ${host} is refused (${messageOf(error)}); check the URL, or add the certificate authority of your proxy with NODE_EXTRA_CA_CERTS`,
      );
    default:
      return sentence(say`The request to ${host} was lost: ${messageOf(error)}`);
  }
}

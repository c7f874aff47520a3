import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { say } from '../say';

/**
 * The proxy that the environment names for https URLs of this host, as in the rest of Node-RED: https_proxy (or
 * all_proxy), unless no_proxy lists the host, a domain above it, or `*`.
 */
export function proxyFor(host: string, env: NodeJS.ProcessEnv = process.env): URL | undefined {
  const value = (name: string) => env[name] || env[name.toUpperCase()];
  const proxy = value('https_proxy') ?? value('all_proxy');
  if (!proxy) return undefined;
  const excluded = (value('no_proxy') ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const matches = (entry: string) => {
    const name = entry.replace(/^\*?\.?/, '').replace(/:\d+$/, '');
    return entry === '*' || host === name || host.endsWith(`.${name}`);
  };
  if (excluded.some(matches)) return undefined;
  const url = /^\w+:\/\//.test(proxy) ? proxy : `http://${proxy}`;
  return URL.canParse(url) ? new URL(url) : undefined;
}

/** For the proxy's answer and the TLS handshake behind it. Who waits for the tunnel may be gone by then. */
const TUNNEL_MS = 30_000;

/** Keeps TLS connections that go through a proxy's CONNECT tunnel. */
export class TunnelAgent extends https.Agent {
  /** Gives up each tunnel that is being opened. */
  private readonly opening = new Set<(why: string) => void>();

  constructor(
    private readonly proxy: URL,
    options: https.AgentOptions,
    private readonly limit = TUNNEL_MS,
  ) {
    super(options);
  }

  override createConnection(
    options: https.RequestOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const target = `${options.host}:${options.port ?? 443}`;
    const giveUp = (why: string) => stage.destroy(new Error(why));
    const end = (error: Error | null, socket?: Duplex) => {
      clearTimeout(timer);
      this.opening.delete(giveUp);
      // Node takes an error alone, its types don't.
      callback(error, socket as Duplex);
    };
    const slow = say`the proxy ${this.proxy.host} has opened no tunnel to ${target} within ${this.limit / 1_000} s`;
    const timer = setTimeout(giveUp, this.limit, slow);
    this.opening.add(giveUp);
    let stage: { destroy: (error: Error) => unknown } = this.connect(target, end, (tunnel) => {
      const secure = tls.connect({ ...(options as tls.ConnectionOptions), socket: tunnel });
      stage = secure;
      secure.once('error', end);
      secure.once('secureConnect', () => {
        secure.off('error', end);
        end(null, secure);
      });
    });
    return undefined;
  }

  override destroy(): void {
    for (const giveUp of this.opening) giveUp(say`the connection was closed`);
    super.destroy();
  }

  private connect(
    target: string,
    fail: (error: Error) => void,
    opened: (tunnel: Socket) => void,
  ): http.ClientRequest {
    const { protocol, username, password, host } = this.proxy;
    const login = `${decode(username)}:${decode(password)}`;
    const request = (protocol === 'https:' ? https : http).request({
      host: this.proxy.hostname,
      port: this.proxy.port || (protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      headers: {
        host: target,
        ...(username && { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` }),
      },
    });
    request.once('connect', (response, socket: Socket) => {
      if (response.statusCode === 200) return opened(socket);
      socket.destroy();
      fail(new Error(say`the proxy ${host} refuses the tunnel to ${target} with ${response.statusCode}`));
    });
    request.once('error', (error) => fail(new Error(say`the proxy ${host} can't be used: ${error.message}`)));
    request.end();
    return request;
  }
}

/** A password may hold a percent sign that encodes nothing. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

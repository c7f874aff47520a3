import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';

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

/** Keeps TLS connections that go through a proxy's CONNECT tunnel. */
export class TunnelAgent extends https.Agent {
  constructor(
    private readonly proxy: URL,
    options: https.AgentOptions,
  ) {
    super(options);
  }

  override createConnection(
    options: https.RequestOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const target = `${options.host}:${options.port ?? 443}`;
    // Node takes an error alone, its types don't.
    const fail = (error: Error) => callback(error, undefined as unknown as Duplex);
    this.tunnel(target, (error, tunnel) => {
      if (!tunnel) return fail(error ?? new Error('no tunnel'));
      const secure = tls.connect({ ...(options as tls.ConnectionOptions), socket: tunnel });
      secure.once('error', fail);
      secure.once('secureConnect', () => {
        secure.off('error', fail);
        callback(null, secure);
      });
    });
    return undefined;
  }

  private tunnel(target: string, done: (error: Error | undefined, tunnel?: Socket) => void): void {
    const { protocol, username, password, host } = this.proxy;
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
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
      if (response.statusCode === 200) return done(undefined, socket);
      socket.destroy();
      done(new Error(`the proxy ${host} refuses the tunnel to ${target} with ${response.statusCode}`));
    });
    request.once('error', (error) => done(new Error(`the proxy ${host} can't be used: ${error.message}`)));
    request.end();
  }
}

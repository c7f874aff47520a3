import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** A status beside the client's own: why an attempt to connect has failed. */
export interface DialFailed {
  type: 'dial-failed';
  data: unknown;
}

/** What dials within the client (2.29), which it doesn't export. */
interface Protocol {
  lastError?: unknown;
  /** Set while a connection is being made: ends the attempt. */
  connectError?: (error: unknown) => void;
  transport?: { socket?: Socket };
  dial: (this: Protocol, server: object) => Promise<void>;
  disconnected: (this: Protocol, error?: unknown) => Promise<void>;
  selectServer: (this: Protocol) => { lastConnect: number } | undefined;
  dispatchStatus(status: DialFailed): void;
}

/**
 * Mends how the client makes a connection:
 * - an attempt that the server ends (a client certificate it refuses, no room for more) fails at once with the reason,
 *   where the client waits for its time-out and names that;
 * - each attempt that fails is told as a status; of most of them the client says nothing after the first connection;
 * - one that is given up leaves no socket open;
 * - it dials also after the clock was set back, where the client waits until it is as late again.
 */
export function mendDialing(protocol: Protocol): void {
  const { dial, disconnected, selectServer } = protocol;
  const saidBefore = new WeakMap<Protocol, unknown>();

  protocol.dial = async function (server) {
    saidBefore.set(this, this.lastError);
    try {
      await dial.call(this, server);
    } catch (error) {
      this.transport?.socket?.destroy();
      this.dispatchStatus({ type: 'dial-failed', data: error });
      throw error;
    }
  };

  protocol.disconnected = async function (error) {
    if (!this.connectError) return disconnected.call(this, error);
    const said = this.lastError === saidBefore.get(this) ? undefined : this.lastError;
    this.connectError(said ?? error ?? Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
  };

  protocol.selectServer = function () {
    const server = selectServer.call(this);
    if (server && server.lastConnect > Date.now()) server.lastConnect = 0;
    return server;
  };
}

interface TlsSettings {
  checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
}

interface Transport {
  tlsName: string;
  socket?: Socket;
  options: { tls?: TlsSettings | null };
  startTLS: (this: Transport) => Promise<Socket>;
}

/**
 * A server that is named by its IP address has to have a certificate for that; the client (2.29) asks for one for
 * "localhost", wherever the server is.
 */
export function mendIdentity(transport: Transport): void {
  const { startTLS } = transport;
  transport.startTLS = function () {
    const address = this.socket?.remoteAddress;
    if (!this.tlsName && address)
      this.options = { ...this.options, tls: { ...certifies(address), ...this.options.tls } };
    return startTLS.call(this);
  };
}

function certifies(address: string): TlsSettings {
  return {
    // `host` is another one where the settings have a server name.
    checkServerIdentity: (host, certificate) => {
      if (host !== 'localhost') return checkServerIdentity(host, certificate);
      const wrong = checkServerIdentity(address, certificate);
      return wrong && isLoopback(address) ? checkServerIdentity('localhost', certificate) : wrong;
    },
  };
}

function isLoopback(address: string): boolean {
  return isIP(address) === 6 ? /^(::1|::ffff:127\..*)$/i.test(address) : address.startsWith('127.');
}

import { pause } from '../../shared/async/pause';
import { FlowError } from '../../shared/errors';
import { explainConnectFailure, permissionDenied } from './errors';
import type { NatsConnection, Status } from './nats';
import { connectionOptions, type ServerSettings } from './server-settings';

export type ConnectionState =
  { phase: 'idle' | 'connecting' | 'connected' } | { phase: 'disconnected'; reason: FlowError };

export interface ConnectionListener {
  state?(state: ConnectionState): void;
  /** The server refused a publish or a subscription: it says so without a request to hang it on. */
  refused?(error: FlowError, subject: string): void;
}

const LONGEST_WAIT = 5_000;

/**
 * One connection to a NATS system, shared by the nodes that use it: opened for the first, closed with the
 * last, and tried for ever in between.
 */
export class Connection {
  state: ConnectionState = { phase: 'idle' };
  private nc: NatsConnection | undefined;
  private users = 0;
  private running: Promise<void> | undefined;
  private stop = new AbortController();
  private readonly listeners = new Set<ConnectionListener>();
  private waiting: { resolve(nc: NatsConnection): void; reject(error: unknown): void }[] = [];

  constructor(readonly settings: ServerSettings) {}

  /** The open connection, or undefined while there is none. */
  get open(): NatsConnection | undefined {
    return this.state.phase === 'connected' ? this.nc : undefined;
  }

  /** Counts a user in; the returned function counts it out and resolves when the last one's connection is closed. */
  use(listener: ConnectionListener): () => Promise<void> {
    this.listeners.add(listener);
    if (this.users++ === 0) {
      const before = this.running;
      const { signal } = (this.stop = new AbortController());
      this.running = Promise.resolve(before).then(() => this.run(signal));
    }
    let over = false;
    return async () => {
      if (over) return;
      over = true;
      this.listeners.delete(listener);
      if (--this.users > 0) return;
      this.stop.abort();
      await this.running;
    };
  }

  /** Resolves with the connection as soon as there is one; rejects when `signal` aborts. */
  ready(signal: AbortSignal): Promise<NatsConnection> {
    if (this.open) return Promise.resolve(this.open);
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const aborted = (): void => {
        this.waiting = this.waiting.filter((other) => other !== waiter);
        reject(closedError());
      };
      if (signal.aborted) return aborted();
      signal.addEventListener('abort', aborted, { once: true });
      this.waiting.push({
        resolve: (nc) => {
          signal.removeEventListener('abort', aborted);
          resolve(nc);
        },
        reject,
      });
    });
  }

  private async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      if (this.state.phase !== 'disconnected') this.enter({ phase: 'connecting' });
      try {
        const nats = await import('./nats.js');
        const nc = await nats.connect(connectionOptions(this.settings, nats));
        attempt = 0;
        await this.serve(nc, signal);
      } catch (error) {
        this.enter({ phase: 'disconnected', reason: explainConnectFailure(error, this.settings.servers) });
      }
      if (!signal.aborted)
        await pause(Math.min(LONGEST_WAIT, 250 * 2 ** attempt) * (0.5 + Math.random() / 2), signal);
    }
    this.enter({ phase: 'idle' });
  }

  /** Until the connection is closed for good: by us, or by the client after an error it can't mend. */
  private async serve(nc: NatsConnection, signal: AbortSignal): Promise<void> {
    const closed = nc.closed();
    this.nc = nc;
    const close = (): void => void nc.close().catch(() => undefined);
    if (signal.aborted) close();
    else signal.addEventListener('abort', close, { once: true });
    this.connected(nc);
    void this.watch(nc);
    const error = await closed;
    signal.removeEventListener('abort', close);
    this.nc = undefined;
    if (!signal.aborted)
      throw error ?? new FlowError('CONNECTION_CLOSED', `${this.settings.servers} closed the connection`);
  }

  private connected(nc: NatsConnection): void {
    this.enter({ phase: 'connected' });
    const waiting = this.waiting;
    this.waiting = [];
    for (const waiter of waiting) waiter.resolve(nc);
  }

  private async watch(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (this.nc !== nc) return;
      this.heard(nc, status);
    }
  }

  private heard(nc: NatsConnection, status: Status): void {
    const { servers } = this.settings;
    switch (String(status.type)) {
      case 'disconnect':
        this.enter({
          phase: 'disconnected',
          reason: new FlowError(
            'DISCONNECTED',
            `The connection to ${servers} is lost; trying again until it is back`,
          ),
        });
        break;
      case 'reconnect':
        this.connected(nc);
        break;
      case 'error': {
        if (status.permissionContext) {
          const { operation, subject } = status.permissionContext;
          for (const listener of this.listeners)
            listener.refused?.(permissionDenied(operation, subject), subject);
        } else if (this.state.phase === 'disconnected') {
          this.enter({
            phase: 'disconnected',
            reason: explainConnectFailure({ code: status.data }, servers),
          });
        }
        break;
      }
    }
  }

  private enter(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.listeners) listener.state?.(state);
  }
}

export function closedError(): FlowError {
  return new FlowError('CLOSED', 'The node was stopped; the message is delivered again when it is back');
}

import { now } from '../../shared/async/clock';
import { pause } from '../../shared/async/pause';
import { onAbort } from '../../shared/async/signals';
import { FlowError } from '../../shared/errors';
import { explainConnectFailure, permissionDenied } from './errors';
import type { NatsConnection, Status } from './nats';
import { openNats } from './open';
import type { Secrets } from '../../shared/secrets';
import { splitLogin, type ServerSettings } from './server-settings';
import { say } from '../../shared/say';

export type ConnectionState =
  { phase: 'idle' | 'connecting' | 'connected' } | { phase: 'disconnected'; reason: FlowError };

export interface ConnectionListener {
  state?(state: ConnectionState): void;
  /** The server refused a publish or a subscription: it says so without a request to hang it on. */
  refused?(error: FlowError, subject: string): void;
}

/** First and longest pause between attempts. A login that was refused is refused again, and fills the server's log. */
const PAUSES = { unreachable: [250, 5_000], refused: [1_000, 60_000] } as const;
const UNREACHABLE = new Set(['CONNECTION_REFUSED', 'CONNECTION_ENDED', 'TIMEOUT']);
const ENDS = new Set(['TLS', 'TOO_MANY_CONNECTIONS']);
const REFUSED = new Set([
  'AUTHORIZATION',
  'BAD_CREDENTIALS',
  'BAD_SERVER',
  'PERMISSION_DENIED',
  'INBOX_IN_STREAM',
]);
/** A connection that comes and goes is told of so often. */
const TOLD_AGAIN = 60_000;
const MOST_TOLD = 20;

/**
 * One connection to a NATS system, shared by the nodes that use it: opened for the first, closed with the
 * last, and tried for ever in between.
 */
export class Connection {
  state: ConnectionState = { phase: 'idle' };
  /** Epoch ms of the first failure since there was a connection; undefined while there is one. */
  downSince: number | undefined;
  private nc: NatsConnection | undefined;
  /** Why this side closes the connection that is open. */
  private endedBy: FlowError | undefined;
  private users = 0;
  private running: Promise<void> | undefined;
  private stop = new AbortController();
  private readonly listeners = new Set<ConnectionListener>();
  private waiting: { resolve(nc: NatsConnection): void; reject(error: unknown): void }[] = [];
  /** Without a login in the servers' URLs. */
  readonly settings: ServerSettings;
  /** To be struck from whatever is said of this connection. */
  readonly secrets: Secrets;
  /** When a cause was told last, and which were told since the connection was lost. */
  private readonly toldAt = new Map<string, number>();
  private readonly told = new Set<string>();

  constructor(
    settings: ServerSettings,
    /** Told once of each cause why there is no connection, and when it is back: nodes need not. */
    private readonly log: (level: 'info' | 'error', text: string) => void = () => undefined,
  ) {
    ({ settings: this.settings, secrets: this.secrets } = splitLogin(settings));
  }

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

  /** Hears what happens to the connection without keeping it open, until the returned function is called. */
  listen(listener: ConnectionListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
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
      const forget = onAbort(signal, aborted);
      this.waiting.push({
        resolve: (nc) => {
          forget();
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
        const nc = await openNats(this.settings, this.secrets);
        attempt = 0;
        await this.serve(nc, signal);
      } catch (error) {
        this.lost(error);
      }
      if (signal.aborted) break;
      const { code } = this.state.phase === 'disconnected' ? this.state.reason : { code: '' };
      const [first, longest] = PAUSES[REFUSED.has(code) ? 'refused' : 'unreachable'];
      await pause(Math.min(longest, first * 2 ** attempt) * (0.5 + Math.random() / 2), signal);
    }
    this.downSince = undefined;
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
    const { endedBy } = this;
    this.endedBy = undefined;
    if (!signal.aborted)
      throw (
        endedBy ??
        error ??
        new FlowError('CONNECTION_CLOSED', say`${this.settings.servers} closed the connection`)
      );
  }

  private connected(nc: NatsConnection): void {
    if (this.told.size > 0) this.log('info', say`Connected to ${this.settings.servers} again`);
    this.told.clear();
    this.downSince = undefined;
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
      case 'dial-failed':
        this.dialFailed(status.data);
        break;
      case 'disconnect':
        // Each attempt that fails ends in one more of these, behind the reason.
        if (this.state.phase === 'disconnected') break;
        this.lost(
          new FlowError(
            'DISCONNECTED',
            say`The connection to ${servers} is lost; trying again until it is back`,
          ),
        );
        break;
      case 'reconnect':
        this.connected(nc);
        break;
      case 'error': {
        if (status.permissionContext) {
          const { operation, subject } = status.permissionContext;
          const inbox = this.settings.inboxPrefix || '_INBOX';
          // The client has dropped the subscription, on which answers to many are waited for: all begin anew.
          if (operation === 'subscription' && subject.startsWith(`${inbox}.`)) {
            this.endedBy ??= permissionDenied(operation, `${inbox}.>`);
            void nc.close().catch(() => undefined);
            break;
          }
          const error = this.secrets.inError(permissionDenied(operation, withoutNumbers(subject)));
          for (const listener of this.listeners) listener.refused?.(error, subject);
        } else if (this.state.phase === 'disconnected') {
          this.lost({ code: status.data });
        }
        break;
      }
    }
  }

  /** A server that can't be reached for a while says no more than that the connection is lost; anything else does. */
  private dialFailed(error: unknown): void {
    if (this.state.phase !== 'disconnected') return;
    const { code } = explainConnectFailure(error, this.settings.servers);
    const before = this.state.reason.code;
    if (code !== before && !(before === 'DISCONNECTED' && UNREACHABLE.has(code))) this.lost(error);
  }

  private lost(error: unknown): void {
    const reason = this.secrets.inError(explainConnectFailure(error, this.settings.servers));
    // A server that refuses a certificate ends the connection, and its reason does not always arrive before that.
    if (
      reason.code === 'CONNECTION_ENDED' &&
      this.state.phase === 'disconnected' &&
      ENDS.has(this.state.reason.code)
    )
      return;
    this.tell(reason);
    this.downSince ??= Date.now();
    this.enter({ phase: 'disconnected', reason });
  }

  private tell({ message }: FlowError): void {
    const at = now();
    if (this.told.has(message) || at - (this.toldAt.get(message) ?? -Infinity) < TOLD_AGAIN) return;
    // Words of the server's that are never the same twice.
    if (this.told.size >= MOST_TOLD) return;
    if (this.toldAt.size >= MOST_TOLD) this.toldAt.clear();
    this.told.add(message);
    this.toldAt.set(message, at);
    this.log('error', message);
  }

  private enter(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.listeners) listener.state?.(state);
  }
}

export function closedError(): FlowError {
  return new FlowError('CLOSED', say`The node was stopped; the message is delivered again when it is back`);
}

/** The right that an acknowledgement needs, instead of the subject of one of thousands. */
function withoutNumbers(subject: string): string {
  const tokens = subject.split('.');
  // With a domain and an account in front of stream and durable there are eleven at least.
  return subject.startsWith('$JS.ACK.')
    ? [...tokens.slice(0, tokens.length >= 11 ? 6 : 4), '>'].join('.')
    : subject;
}

import { apiPrefix } from '../server/api';
import type { Msg, NatsConnection, Subscription } from '../server/nats';
import { unlessClosed } from '../server/unless-closed';

/** What the server said instead of a message. `gone`: the consumer or its stream is not there (any more). */
export type PullProblem = { kind: 'gone' | 'silent' | 'refused'; text: string };

export interface PullOptions {
  nc: NatsConnection;
  inbox: string;
  domain: string | undefined;
  stream: string;
  durable: string;
  /** The most messages that may be asked for and in flight together. */
  capacity: number;
  /** How many requests the durable lets wait (max_waiting): newer servers drop those beyond it without a word. */
  maxRequests?: number | undefined;
  /** How many of them are in flight at this moment. */
  inFlight: () => number;
  onMessage: (msg: Msg) => void;
  onProblem: (problem: PullProblem) => void;
  /** The server answers this consumer, for the first time since the start or a reset. */
  onAlive: () => void;
}

interface Request {
  remaining: number;
  /** By performance.now(): after it the server has forgotten the request, whatever it did. */
  deadline: number;
}

const EXPIRES = 5_000;
const HEARTBEAT = 1_000;
const GRACE = 2_000;
const RETRY = 500;
const GATHER = 20;
/** A connection that has lasted so long is sound. */
const SETTLED = 10_000;

/**
 * Asks a durable for messages, never for more than there is room for, and notices by the server's heartbeats
 * when the requests were lost. It stands in the place of the client's own consume(), which stops for good
 * after a hung server and keeps messages waiting in a buffer while their ack wait runs.
 */
export class Pull {
  private readonly requests = new Map<string, Request>();
  private readonly subscription: Subscription;
  private readonly timer: NodeJS.Timeout;
  private soon: NodeJS.Timeout | undefined;
  private asked = 0;
  private serial = 0;
  private lastHeard = performance.now();
  private silences = 0;
  /** The server has answered since the last (re)start. */
  private served = false;
  private largestBatch = Number.MAX_SAFE_INTEGER;
  /** As long as a request may wait, and as many of them, by what the durable allows. */
  private expires = EXPIRES;
  private mostRequests: number;
  /** The most that may be under way: less for a while after a connection that did not last. */
  private burst: number;
  private connectedAt = performance.now();
  private notBefore = -Infinity;
  private stopped = false;

  constructor(private readonly options: PullOptions) {
    this.burst = options.capacity;
    this.mostRequests = options.maxRequests ?? Infinity;
    this.subscription = options.nc.subscribe(`${options.inbox}.*`, {
      callback: (error, msg) => {
        // Whatever is thrown here would end the client's reader.
        if (!error) this.heard(msg);
      },
    });
    this.timer = setInterval(() => this.look(), HEARTBEAT / 2);
    this.request();
  }

  /** Room has come up: asks at once if it is a quarter of all, else a little later, so that requests stay few. */
  ask(): void {
    const { capacity, inFlight } = this.options;
    if (capacity - inFlight() - this.asked >= capacity / 4) this.request();
    else this.soon ??= setTimeout(() => this.request(), GATHER);
  }

  private request(): void {
    clearTimeout(this.soon);
    this.soon = undefined;
    const { nc, domain, stream, durable, inbox, capacity, inFlight } = this.options;
    if (this.stopped || nc.isClosed() || performance.now() < this.notBefore) return;
    if (this.requests.size >= this.mostRequests) return;
    const batch = Math.min(capacity - inFlight() - this.asked, this.largestBatch, this.burst - this.asked);
    if (batch < 1) return;
    const id = String(++this.serial);
    this.requests.set(id, { remaining: batch, deadline: performance.now() + this.expires + GRACE });
    this.asked += batch;
    // A heartbeat of more than half the time is refused.
    const heartbeat = Math.min(HEARTBEAT, this.expires / 2);
    const body = {
      batch,
      expires: Math.floor(this.expires * 1e6),
      idle_heartbeat: Math.floor(heartbeat * 1e6),
    };
    nc.publish(`${apiPrefix(domain)}.CONSUMER.MSG.NEXT.${stream}.${durable}`, JSON.stringify(body), {
      reply: `${inbox}.${id}`,
    });
  }

  /**
   * After a reconnect: what was asked for may be lost. A connection that breaks again and again may be cut off
   * by the server because it sends more than is read (large messages, a slow line): ask for less at a time.
   */
  reset(): void {
    const now = performance.now();
    if (now - this.connectedAt < SETTLED) this.burst = Math.max(1, Math.floor(this.burst / 4));
    this.connectedAt = now;
    this.requests.clear();
    this.asked = 0;
    this.served = false;
    this.lastHeard = performance.now();
    this.request();
  }

  /** Resolves when nothing more can arrive; what the server had already sent is still handed out. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    clearTimeout(this.soon);
    const draining = this.subscription.drain().catch(() => undefined);
    await unlessClosed(this.options.nc, draining);
  }

  private heard(msg: Msg): void {
    this.lastHeard = performance.now();
    // A message has the ack subject as its reply; what has none (or no such one) is the server speaking.
    if (msg.reply?.startsWith('$JS.ACK.')) {
      this.alive();
      this.countOff();
      this.options.onMessage(msg);
      // However little may be under way at a time: how much is in the flow is another matter.
      if (this.asked === 0 && this.burst < this.options.capacity) this.request();
    } else {
      this.status(msg);
    }
  }

  private alive(): void {
    this.silences = 0;
    if (this.served) return;
    this.served = true;
    this.options.onAlive();
  }

  /** Requests are served in order. */
  private countOff(): void {
    for (const [id, request] of this.requests) {
      this.asked--;
      if (--request.remaining === 0) this.requests.delete(id);
      return;
    }
  }

  private drop(id: string): void {
    const request = this.requests.get(id);
    if (!request) return;
    this.asked -= request.remaining;
    this.requests.delete(id);
  }

  private status(msg: Msg): void {
    const code = msg.headers?.code ?? 0;
    const text = msg.headers?.description ?? '';
    if (code === 100) return this.alive(); // heartbeat
    this.drop(msg.subject.slice(msg.subject.lastIndexOf('.') + 1));
    if (code === 404 || code === 408) return this.ask(); // expired
    if (code === 503) return this.later('gone', 'nothing answers for this consumer');
    const limit = /Exceeded MaxRequestBatch of (\d+)/i.exec(text)?.[1];
    if (limit) {
      this.largestBatch = Number(limit);
      return this.ask();
    }
    const longest = millisecondsOf(/Exceeded MaxRequestExpires of (\S+)/i.exec(text)?.[1]);
    if (longest > 0) {
      if (longest >= this.expires) return this.later(undefined, text); // One from before it was known.
      this.expires = longest;
      return this.ask();
    }
    if (/Exceeded MaxWaiting/i.test(text)) {
      this.mostRequests = Math.max(1, this.requests.size);
      // With none of ours waiting, those of others are.
      if (this.requests.size > 0) return this.later(undefined, text);
      const why = 'the durable takes no more waiting requests (max_waiting)';
      return this.later('refused', `${why}: raise it, or let fewer nodes share the durable`);
    }
    if (/Leadership Change|Server Shutdown|Batch Completed/i.test(text)) return this.later(undefined, text);
    return this.later(/Deleted|not found/i.test(text) ? 'gone' : 'refused', `${code} ${text}`);
  }

  private later(kind: PullProblem['kind'] | undefined, text: string): void {
    this.notBefore = performance.now() + RETRY;
    if (kind) this.options.onProblem({ kind, text });
  }

  private look(): void {
    const now = performance.now();
    for (const [id, request] of this.requests) if (now > request.deadline) this.drop(id);
    if (this.burst < this.options.capacity && now - this.connectedAt > SETTLED) {
      this.burst = Math.min(this.options.capacity, this.burst * 2);
      this.connectedAt = now;
    }
    if (this.asked > 0 && now - this.lastHeard > 3 * HEARTBEAT) {
      this.lastHeard = now;
      this.requests.clear();
      this.asked = 0;
      if (++this.silences === 2)
        this.options.onProblem({ kind: 'silent', text: 'the server sends no heartbeats' });
    }
    this.request();
  }
}

const UNITS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, µs: 1e-3, ns: 1e-6 };

/** Of a duration as the server writes it: "1m0.5s", "250ms". */
function millisecondsOf(text = ''): number {
  const parts = text.matchAll(/([\d.]+)(h|ms|m|s|µs|ns)/g);
  return [...parts].reduce((sum, [, amount, unit = 's']) => sum + Number(amount) * (UNITS[unit] ?? 0), 0);
}

import { apiPrefix } from '../server/api';
import type { Msg, NatsConnection, Subscription } from '../server/nats';
import { unlessClosed } from '../server/unless-closed';
import { say } from '../../shared/say';

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
  /** How many bytes more may be on their way; one message may always, where there is no other. Default: any number. */
  room?: () => number;
  /** Milliseconds that a request may wait with the server, from now on at most; without it as long as is usual. */
  mayWait?: () => number;
  onMessage: (msg: Msg) => void;
  onProblem: (problem: PullProblem) => void;
  /** The server answers this consumer, for the first time since the start or a reset. */
  onAlive: () => void;
}

interface Request {
  id: string;
  remaining: number;
  /** That it may still bring; Infinity: any number. */
  bytes: number;
  /** By performance.now(): after it the server has forgotten the request, whatever it did. */
  deadline: number;
}

const EXPIRES = 5_000;
const HEARTBEAT = 1_000;
const GRACE = 2_000;
const RETRY = 500;
const GATHER = 20;
/** Not worth asking for less time. */
const SHORTEST = 20;
/** Bytes of a message beside its payload: subjects and headers count too. The server knows how many there are. */
const BESIDE = 512;
/** A large message is reckoned with for some dozens more. */
const FADING = 0.9;
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
  /** The last request that may have been refused; they count from 1, and what belongs to none is 0. */
  private refusedUntil = -1;
  private largestBatch = Number.MAX_SAFE_INTEGER;
  /** The bytes that one request may ask for, by what the durable allows. */
  private largestBytes = Infinity;
  /** Bytes of the largest message of late, as far as it is known. */
  private largest = 0;
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
    const most = Math.min(capacity - inFlight() - this.asked, this.largestBatch, this.burst - this.asked);
    const { batch, bytes } = this.withinBytes(most);
    const expires = Math.min(this.expires, this.options.mayWait?.() ?? Infinity);
    if (batch < 1 || expires < SHORTEST) return;
    const id = String(++this.serial);
    this.requests.set(id, { id, remaining: batch, bytes, deadline: performance.now() + expires + GRACE });
    this.asked += batch;
    // A heartbeat of more than half the time is refused.
    const heartbeat = Math.min(HEARTBEAT, expires / 2);
    const body = {
      batch,
      ...(bytes !== Infinity && { max_bytes: bytes }),
      expires: Math.floor(expires * 1e6),
      idle_heartbeat: Math.floor(heartbeat * 1e6),
    };
    nc.publish(`${apiPrefix(domain)}.CONSUMER.MSG.NEXT.${stream}.${durable}`, JSON.stringify(body), {
      reply: `${inbox}.${id}`,
    });
  }

  /** What a request for so many messages at most may ask for; none where there is no room for one. */
  private withinBytes(batch: number): { batch: number; bytes: number } {
    let room = this.options.room?.() ?? Infinity;
    if (room === Infinity || batch < 1) return { batch, bytes: Infinity };
    for (const { bytes } of this.requests.values()) room -= bytes;
    if (room < 1 || Math.min(room, this.largestBytes) < this.largest) {
      // The largest may be larger than all the room: it comes alone, whatever its size.
      const alone = this.asked === 0 && this.options.inFlight() === 0;
      return { batch: alone ? 1 : 0, bytes: Infinity };
    }
    // Of messages that nobody has seen one request shall not take all the room.
    const wanted = this.largest === 0 ? Math.max(1, room / 2) : 2 * batch * this.largest;
    return { batch, bytes: Math.floor(Math.min(room, wanted, this.largestBytes)) };
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

  /** The server refused a request: only what answers a later one shows that it takes them again. */
  refused(): void {
    this.served = false;
    this.refusedUntil = this.serial;
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
      const [oldest = ''] = this.requests.keys();
      this.alive(oldest);
      this.countOff(msg.data.length + BESIDE);
      this.options.onMessage(msg);
      // However little may be under way at a time: how much is in the flow is another matter.
      if (this.asked === 0 && this.burst < this.options.capacity) this.request();
    } else {
      this.status(msg);
    }
  }

  private alive(request: string): void {
    this.silences = 0;
    if (this.served || Number(request) <= this.refusedUntil) return;
    this.served = true;
    this.options.onAlive();
  }

  /** Requests are served in order. */
  private countOff(bytes: number): void {
    this.largest = Math.max(bytes, this.largest * FADING);
    const { value: request } = this.requests.values().next();
    if (!request) return;
    this.asked--;
    request.bytes = Math.max(0, request.bytes - bytes);
    if (--request.remaining === 0) this.requests.delete(request.id);
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
    const id = msg.subject.slice(msg.subject.lastIndexOf('.') + 1);
    if (code === 100) return this.alive(id); // heartbeat
    const bytes = this.requests.get(id)?.bytes ?? 0;
    this.drop(id);
    if (/Message Size Exceeds MaxBytes/i.test(text)) {
      this.largest = Math.max(this.largest, 2 * bytes);
      return this.ask();
    }
    // Expired; or it has brought all, which is only said of one with a limit of bytes.
    if (code === 404 || code === 408 || /Batch Completed/i.test(text)) return this.ask();
    if (code === 503) return this.later('gone', say`nothing answers for this consumer`);
    const limit = /Exceeded MaxRequestBatch of (\d+)/i.exec(text)?.[1];
    if (limit) {
      this.largestBatch = Number(limit);
      return this.ask();
    }
    const bytesLimit = Number(/Exceeded MaxRequestMaxBytes of (\d+)/i.exec(text)?.[1] ?? Infinity);
    if (bytes > bytesLimit && bytes !== Infinity) {
      this.largestBytes = bytesLimit;
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
      const why = say`the durable takes no more waiting requests (max_waiting)`;
      return this.later('refused', say`${why}: raise it, or let fewer nodes share the durable`);
    }
    if (/Leadership Change|Server Shutdown/i.test(text)) return this.later(undefined, text);
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
        this.options.onProblem({ kind: 'silent', text: say`the server sends no heartbeats` });
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

import { randomBytes } from 'node:crypto';
import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { FlowError } from '../errors';
import { flowTracker } from './completion';
import type { Attempt } from './settlement';
import { carry, tracesIn, type Carrier } from '../tracing/context';
import { tracerOf, type SpanStart, type Tracer } from '../tracing/tracer';
import { say } from '../say';

/**
 * When a message is acknowledged: `flow`: when every path that it took has finished; `manual`: when a jetstream-ack
 * node says so; `delivery`: as soon as it is sent.
 */
export type AckMode = 'flow' | 'manual' | 'delivery';

export type FlowMessage = NodeMessage & Carrier & { _msgid: string; jetstream?: { headers?: unknown } };

/** What the span of a message's way through the flow is called, and tells. */
export type SpanOf = (msg: FlowMessage) => Pick<SpanStart, 'name' | 'attributes'>;

/** Of this process; random, so that messages of two processes never share an id. */
const TOKENS = randomBytes(6).toString('hex');
let serial = 0;

function nextToken(): string {
  return `${TOKENS}-${(++serial).toString(36)}`;
}

/** The way of a node's messages into the flow, and of what becomes of them there back to whoever settles them. */
export class FlowSource {
  private readonly unfollow: (() => void) | undefined;
  private readonly tracer: Tracer | undefined;

  /** Follows the flow until `close`. `describe` gives the span of a message, asked only where there are spans. */
  constructor(
    RED: NodeAPI,
    private readonly node: Pick<Node, 'send' | 'type'>,
    private readonly ack: AckMode,
    private readonly describe?: SpanOf,
  ) {
    this.tracer = describe && tracerOf(RED);
    this.unfollow = ack === 'flow' ? flowTracker.use(RED) : undefined;
  }

  /** Sends the message of an attempt, which hears what becomes of it. `make` gets the token that it is known by. */
  send<T>(attempt: Attempt<T>, make: (token: string) => FlowMessage): void {
    const { node, ack } = this;
    const token = nextToken();
    const msg = make(token);
    this.trace(attempt, msg);
    if (ack === 'delivery') {
      node.send(msg);
      attempt.succeeded();
      return;
    }
    const delivery = flowTracker.begin(token, msg, attempt, ack === 'flow', () => node.send(msg));
    attempt.progress = delivery;
    // A jetstream-ack node may have been called within send().
    if (attempt.ended) delivery.abandon();
    else if (delivery.wentNowhere()) {
      delivery.abandon();
      const text = say`No enabled node is wired to this ${node.type} node`;
      attempt.failed({ error: new FlowError('NOT_WIRED', text) });
    }
  }

  /** What came of one trace goes on in it; what came of several only in a span that is linked to each. */
  private trace<T>(attempt: Attempt<T>, msg: FlowMessage): void {
    const origins = tracesIn(msg.jetstream?.headers);
    if (this.tracer && this.describe)
      attempt.span = this.tracer.start({ kind: 'CONSUMER', ...this.describe(msg) }, origins);
    const context = attempt.span?.context ?? (origins.length === 1 ? origins[0] : undefined);
    if (context) carry(msg, context);
  }

  close(): void {
    this.unfollow?.();
  }
}

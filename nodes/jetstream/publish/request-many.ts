import { setImmediate as turn } from 'node:timers/promises';
import { onAbort } from '../../shared/async/signals';
import { FlowError } from '../../shared/errors';
import { closedError, type Connection, type ConnectionState } from '../server/connection';
import type { Msg, MsgHdrs, NatsConnection, Subscription } from '../server/nats';
import { explainPublish } from './errors';
import { say } from '../../shared/say';

export interface ManyRequest {
  subject: string;
  data?: Uint8Array | string;
  headers?: MsgHdrs;
  /** Nobody answers this one. */
  silent?: boolean;
}

/** The answer to a request, or why there is none: DISCONNECTED, TIMEOUT, PERMISSION_DENIED, MESSAGE_TOO_LARGE. */
export type Answer = Msg | FlowError;

/** What is asked about each of many items, and what its answer tells. */
export interface Asking<I, T> {
  request(item: I, index: number): ManyRequest;
  /** Called once for each item that isn't silent, as soon as it is answered: answers aren't kept. Must not throw. */
  read(answer: Answer, item: I, index: number): T;
}

interface Run {
  subjects: Map<number, string>;
  answered(index: number, answer: Answer): void;
  /** Told when requests were answered, and when all the rest failed. */
  progress(): void;
}

/** Without any answer for so long, what is under way is given up. */
const TIMEOUT = 10_000;
/** The event loop gets a turn after so many requests, whether they have to wait or not. */
const BURST = 1_000;

/**
 * Thousands of requests over one inbox: a promise, a timer and a subscription for all of them instead of for
 * each, which is worth three times the client's own rate (bench/sync.ts).
 */
export class RequestMany {
  private readonly runs = new Map<number, Run>();
  private readonly release: () => Promise<void>;
  private inbox: { nc: NatsConnection; prefix: string; subscription: Subscription } | undefined;
  private nextRun = 0;
  private closed = false;

  constructor(readonly connection: Connection) {
    this.release = connection.use({
      state: (state) => this.stateChanged(state),
      refused: (error, subject) => this.refused(error, subject),
    });
  }

  /**
   * Sends one request for each item in order, `window` at most without an answer, and gives what was read from
   * each one's answer at the item's index. Waits for the connection if there is none; throws CLOSED when `signal`
   * aborts. After close() what is left of it is answered CLOSED.
   */
  async send<I, T>(
    items: readonly I[],
    window: number,
    signal: AbortSignal,
    asking: Asking<I, T>,
  ): Promise<T[]> {
    const nc = await this.connection.ready(signal);
    const prefix = await this.listen(nc);
    const id = this.nextRun++;
    const results: T[] = [];
    const answered = (index: number, answer: Answer): void => {
      results[index] = asking.read(answer, items[index] as I, index);
    };
    const run: Run = { subjects: new Map(), answered, progress: () => undefined };
    this.runs.set(id, run);
    try {
      for (const [index, item] of items.entries()) {
        if (run.subjects.size >= window) await waitFor(run, window >> 1, signal);
        if (index % BURST === BURST - 1) await turn();
        if (signal.aborted) throw closedError();
        const request = asking.request(item, index);
        if (!request.silent) run.subjects.set(index, request.subject);
        try {
          if (this.closed) throw closedError();
          // The client drops what is published while it is disconnected.
          if (this.connection.open !== nc) throw disconnected();
          const { subject, data, headers } = request;
          nc.publish(subject, data, {
            headers,
            ...(!request.silent && { reply: `${prefix}.${id}.${index}` }),
          });
        } catch (error) {
          run.subjects.delete(index);
          answered(index, explainPublish(error, request.subject, request.data?.length ?? 0));
        }
      }
      await waitFor(run, 0, signal);
      return results;
    } finally {
      this.runs.delete(id);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const run of this.runs.values()) fail(run, closedError());
    this.inbox?.subscription.unsubscribe();
    await this.release();
  }

  private async listen(nc: NatsConnection): Promise<string> {
    const { createInbox } = await import('../server/nats.js');
    if (this.inbox?.nc === nc) return this.inbox.prefix;
    const prefix = createInbox(this.connection.settings.inboxPrefix);
    const subscription = nc.subscribe(`${prefix}.*.*`, {
      callback: (error, msg) => {
        if (!error) this.answered(msg);
      },
    });
    this.inbox = { nc, prefix, subscription };
    return prefix;
  }

  private answered(msg: Msg): void {
    const at = msg.subject.lastIndexOf('.');
    const run = this.runs.get(Number(msg.subject.slice(msg.subject.lastIndexOf('.', at - 1) + 1, at)));
    const index = Number(msg.subject.slice(at + 1));
    if (!run?.subjects.delete(index)) return;
    run.answered(index, msg);
    run.progress();
  }

  private stateChanged(state: ConnectionState): void {
    if (state.phase !== 'disconnected') return;
    for (const run of this.runs.values()) fail(run, disconnected());
  }

  private refused(error: FlowError, subject: string): void {
    const ours = this.inbox && subject.startsWith(this.inbox.prefix);
    for (const run of this.runs.values())
      if (ours || [...run.subjects.values()].includes(subject)) fail(run, error);
  }
}

/** Until no more than `left` requests of the run are unanswered. */
function waitFor(run: Run, left: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(run, unanswered(run)), TIMEOUT);
    const over = (): void => {
      clearTimeout(timer);
      forget();
    };
    const aborted = (): void => {
      over();
      reject(closedError());
    };
    run.progress = () => {
      if (run.subjects.size > left) return void timer.refresh();
      over();
      resolve();
    };
    const forget = onAbort(signal, aborted);
    if (signal.aborted) return aborted();
    run.progress();
  });
}

function fail(run: Run, error: FlowError): void {
  for (const index of run.subjects.keys()) run.answered(index, error);
  run.subjects.clear();
  run.progress();
}

function disconnected(): FlowError {
  return new FlowError(
    'DISCONNECTED',
    say`The connection to NATS was lost while messages were being sent; they are sent again when it is back`,
  );
}

function unanswered(run: Run): FlowError {
  const [subject = ''] = run.subjects.values();
  return new FlowError(
    'TIMEOUT',
    say`The server gave no answer within ${TIMEOUT / 1_000}s to "${subject}" and ${run.subjects.size - 1} more: it is overloaded, has no leader, or the inbox may not be read`,
  );
}

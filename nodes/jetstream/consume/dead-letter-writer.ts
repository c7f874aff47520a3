import { pause } from '../../shared/async/pause';
import { codeOf, isRetryable, type FlowError } from '../../shared/errors';
import type { Failure } from '../../shared/flow/delivery';
import { reasonFirst, where } from '../../shared/flow/settlement';
import { warnOnce, type Log } from '../../shared/log';
import { closedError, type Connection } from '../server/connection';
import type { NatsConnection } from '../server/nats';
import { isHopeless, publishDeadLetter } from './dead-letter';
import { ensureDeadLetterStream } from './dead-letter-stream';
import { describe, type InFlightMessage } from './settlement';
import { say } from '../../shared/say';

export interface DeadLetterSettings {
  deadLetter: string | undefined;
  /** Made, or given the subject, where it doesn't take it yet. */
  deadLetterStream?: string | undefined;
  maxDeliver: number;
}

export interface DeadLetterHandler {
  /** A message was given up, with a dead letter or without. */
  gaveUp(): void;
  /** The message's dead letter can't be written now: it waits for that with no place in the flow. */
  parked(message: InFlightMessage): void;
  /** `trouble` may be another. */
  changed(): void;
  log: Log;
}

const LONGEST_RETRY = 30_000;
/** Somebody has to change something before. */
const HOPELESS_RETRY = 300_000;
/** Milliseconds until the dead letter stream that is missing is looked for again. */
const LOOK_AGAIN = 5_000;

/**
 * Gives messages up: each goes to the dead letter subject, and is tried there again and again until it is stored.
 * Those that wait for that hold nobody up.
 */
export class DeadLetterWriter {
  private readonly stopping = new AbortController();
  private readonly waiting = new Set<InFlightMessage>();
  /** Causes that were said since some wait. */
  private readonly told = new Set<string>();
  private readonly warn: (warning: string) => void;
  /** No stream takes the dead letters. */
  private missing: FlowError | undefined;
  private failing: FlowError | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly settings: DeadLetterSettings,
    private readonly handler: DeadLetterHandler,
  ) {
    this.warn = warnOnce(handler.log);
  }

  /** Messages that wait until their dead letter can be written. */
  get parked(): number {
    return this.waiting.size;
  }

  /** Why dead letters can't be written now. */
  get trouble(): FlowError | undefined {
    return this.failing ?? this.missing;
  }

  /** What waits is left as it is: write() rejects. */
  stop(): void {
    this.stopping.abort();
    clearTimeout(this.timer);
  }

  /** That nobody takes dead letters is said at once, and shown until somebody does. Reading goes on: nothing is lost. */
  async look(nc: NatsConnection): Promise<void> {
    const { deadLetter, deadLetterStream } = this.settings;
    if (!deadLetter) return;
    clearTimeout(this.timer);
    const before = this.missing;
    try {
      const { domain } = this.connection.settings;
      const done = await ensureDeadLetterStream(nc, domain, deadLetter, deadLetterStream);
      for (const change of done?.changes ?? []) this.handler.log('info', change);
      for (const warning of done?.warnings ?? []) this.warn(warning);
      this.missing = undefined;
    } catch (error) {
      this.missing = error as FlowError;
      if (before?.message !== this.missing.message) this.handler.log('error', this.missing.message);
    }
    if (this.stopping.signal.aborted) return;
    if (this.missing) this.timer = setTimeout(() => void this.lookAgain(), LOOK_AGAIN);
    if (before && !this.missing) this.handler.changed();
  }

  /**
   * Resolves when the dead letter is stored, or never can be and the message's own stream keeps it, or there is no
   * subject for it. Rejects with CLOSED after stop().
   */
  async write(message: InFlightMessage, failure: Failure): Promise<void> {
    const { deadLetter, maxDeliver } = this.settings;
    const { signal } = this.stopping;
    const why = isRetryable(failure.error) ? say`failed ${maxDeliver} times` : say`failed for good`;
    const what = `${describe(message)} ${why}${where(failure)}`;
    if (!deadLetter) {
      this.handler.gaveUp();
      const text = say`${what} and is dropped, as no dead letter subject is set`;
      return this.handler.log('error', reasonFirst(failure.error, text));
    }
    try {
      for (let attempt = 0; ; attempt++) {
        const error = await this.tried(message, failure, deadLetter, what);
        if (signal.aborted) throw closedError();
        if (!error) return;
        this.park(message, error);
        const longest = isHopeless(error) ? HOPELESS_RETRY : LONGEST_RETRY;
        await pause(Math.min(longest, 1_000 * 2 ** attempt), signal);
      }
    } finally {
      this.unpark(message);
    }
  }

  /** Why it isn't settled yet, if so. */
  private async tried(
    message: InFlightMessage,
    failure: Failure,
    deadLetter: string,
    what: string,
  ): Promise<FlowError | undefined> {
    try {
      const nc = await this.connection.ready(this.stopping.signal);
      const info = { ...message.info, deliveries: message.deliveries };
      const { domain } = this.connection.settings;
      await publishDeadLetter(nc, domain, deadLetter, message.msg, info, failure);
      this.handler.gaveUp();
      if (this.missing) await this.look(nc);
      this.handler.log('warn', reasonFirst(failure.error, say`${what} and went to "${deadLetter}"`));
    } catch (error) {
      if (isRetryable(error) || this.stopping.signal.aborted) return error as FlowError;
      this.handler.gaveUp();
      this.handler.log('error', reasonFirst(error, what));
    }
    return undefined;
  }

  private park(message: InFlightMessage, error: FlowError): void {
    const cause = codeOf(error.cause);
    if (!this.told.has(cause)) this.handler.log('error', `${describe(message)}: ${error.message}`);
    this.told.add(cause);
    this.failing = error;
    this.handler.changed();
    if (this.waiting.has(message)) return;
    this.waiting.add(message);
    this.handler.parked(message);
  }

  private unpark(message: InFlightMessage): void {
    if (!this.waiting.delete(message) || this.waiting.size > 0) return;
    this.told.clear();
    this.failing = undefined;
    if (!this.stopping.signal.aborted) this.handler.log('info', say`Dead letters are written again`);
    this.handler.changed();
  }

  private async lookAgain(): Promise<void> {
    const { open } = this.connection;
    if (open) await this.look(open);
  }
}

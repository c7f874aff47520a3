import { codeOf, FlowError, isRetryable, messageOf } from '../errors';
import { onAbort } from './signals';

/** What a thread lets the other one call; the signal aborts when the caller's does. */
export type Handlers = Record<string, (signal: AbortSignal, ...args: never[]) => unknown>;

/** One end of what connects two threads: a Worker, or the parentPort in it. */
export interface Port {
  postMessage(message: Message): void;
  on(event: 'message', listener: (message: Message) => void): unknown;
}

type Message =
  | { call: number; name: string; args: unknown[] }
  | { abort: number }
  | { answers: number; value?: unknown; error?: ErrorData };

interface ErrorData {
  code: string;
  message: string;
  retryable: boolean;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: FlowError) => void;
}

/** Calls between two threads, both ways. What is given and answered is copied (structured clone); errors become FlowErrors. */
export class Remote {
  private readonly waiting = new Map<number, Waiting>();
  private readonly underWay = new Map<number, AbortController>();
  private serial = 0;
  private lost: FlowError | undefined;

  constructor(
    private readonly port: Port,
    private readonly handlers: Handlers,
  ) {
    port.on('message', (message) => this.take(message));
  }

  /**
   * Calls a handler of the other thread. Ends as that one does, also after `signal` has aborted: nothing is under way
   * there any more then. Throws what the handler throws as a FlowError.
   */
  call<T>(signal: AbortSignal, name: string, ...args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.lost) throw this.lost;
      const call = ++this.serial;
      this.port.postMessage({ call, name, args });
      const forget = onAbort(signal, () => this.port.postMessage({ abort: call }));
      if (signal.aborted) this.port.postMessage({ abort: call });
      this.waiting.set(call, {
        resolve: (value) => (forget(), resolve(value as T)),
        reject: (error) => (forget(), reject(error)),
      });
    });
  }

  /** The other thread has gone: whatever it was to answer fails with this, and so does what is called from now on. */
  fail(error: FlowError): void {
    this.lost ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
    for (const stop of this.underWay.values()) stop.abort();
  }

  private take(message: Message): void {
    if ('call' in message) void this.answer(message);
    else if ('abort' in message) this.underWay.get(message.abort)?.abort();
    else {
      const waiting = this.waiting.get(message.answers);
      this.waiting.delete(message.answers);
      const { error } = message;
      if (error) waiting?.reject(new FlowError(error.code, error.message, error.retryable));
      else waiting?.resolve(message.value);
    }
  }

  private async answer({ call, name, args }: { call: number; name: string; args: unknown[] }): Promise<void> {
    const stop = new AbortController();
    this.underWay.set(call, stop);
    try {
      const value = await this.handlers[name]?.(stop.signal, ...(args as never[]));
      if (!this.lost) this.port.postMessage({ answers: call, value });
    } catch (thrown) {
      const error = { code: codeOf(thrown), message: messageOf(thrown), retryable: isRetryable(thrown) };
      if (!this.lost) this.port.postMessage({ answers: call, error });
    } finally {
      this.underWay.delete(call);
    }
  }
}

import { Worker, type ResourceLimits } from 'node:worker_threads';
import type { OrgRequest } from '../../salesforce/org/session';
import { Remote } from '../../shared/async/remote';
import { inTime } from '../../shared/async/timeout';
import { FlowError, messageOf } from '../../shared/errors';
import type { HttpAnswer, HttpRequest } from '../../shared/http/client';
import { orgLost } from '../../salesforce/org/http';
import type { SourceRecord } from '../engine/record';
import type { HistoryPages, HistorySource, Passed, Sent, Task } from './history';
import { say } from '../../shared/say';
import { spoken } from '../../shared/language';

/** What a history needs of whoever has it published. */
export interface HistoryHost {
  /** Throws when this process may not publish any more. */
  fence: () => void;
  /** Records as they are now, where the API can be asked for them. */
  read: ((ids: readonly string[], signal: AbortSignal) => Promise<SourceRecord[]>) | undefined;
  refused: (id: string, error: FlowError) => void;
}

/** Megabytes of the heap that the thread may have: one in which much is made and soon forgotten. */
const HEAP = { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 64 };
/** Milliseconds for what is under way there to end. */
const PATIENCE = 5_000;
/** Ends without a page in between, after which histories are read in this thread. */
const ENDS = 2;

/**
 * Reads and publishes histories in a thread with a small heap of its own, so that neither the memory nor the answers
 * of Node-RED suffer: this thread says where to go on, and keeps the position behind what was published. A thread that
 * ends takes the page with it that it was at. It runs while there is a history.
 */
export class HistoryThread {
  private worker: Worker | undefined;
  private remote: Remote | undefined;
  private readonly histories = new Map<number, History>();
  private serial = 0;
  private ends = 0;

  constructor(
    private readonly log: (text: string) => void,
    private readonly start: () => Worker = startWorker,
  ) {}

  open(task: Omit<Task, 'shape'>, host: HistoryHost): History {
    const id = ++this.serial;
    const end = () => this.end(id);
    const history = new History(id, task, host, () => this.running(), () => (this.ends = 0), end); // prettier-ignore
    this.histories.set(id, history);
    return history;
  }

  /** Undefined where there can be no thread. */
  private running(): Remote | undefined {
    if (this.remote || this.ends >= ENDS) return this.remote;
    try {
      const worker = this.start();
      const remote = new Remote(worker, this.handlers());
      let why: string | undefined;
      worker.on('error', (error) => (why = messageOf(error)));
      worker.on('exit', () => {
        if (this.worker !== worker) return;
        this.worker = this.remote = undefined;
        if (++this.ends === ENDS)
          this.log(
            say`Large histories are read in the thread of Node-RED, as one of their own ends again and again`,
          );
        remote.fail(ended(why));
      });
      [this.worker, this.remote] = [worker, remote];
    } catch (error) {
      this.ends = ENDS;
      this.log(
        say`There can be no thread for large histories, so they are read in that of Node-RED: ${messageOf(error)}`,
      );
    }
    return this.remote;
  }

  /** What the thread asks for, each for one of its histories. */
  private handlers() {
    const of = (id: number): History => {
      const history = this.histories.get(id);
      if (!history) throw new FlowError('CLOSED', say`The history is not read any more`);
      return history;
    };
    return {
      fence: (_signal: AbortSignal, id: number) => of(id).host.fence(),
      read: (signal: AbortSignal, id: number, ids: string[]) => of(id).host.read?.(ids, signal) ?? [],
      refused: (_signal: AbortSignal, id: number, record: string, { code, message }: FlowError) =>
        of(id).host.refused(record, new FlowError(code, message, false)),
      log: (_signal: AbortSignal, id: number, text: string) => of(id).source?.log(text),
      ask: (
        signal: AbortSignal,
        id: number,
        method: string,
        path: string,
        request: OrgRequest,
        place?: number,
      ) =>
        (of(id).source as HistorySource).ask(
          method,
          path,
          place === undefined ? request : { ...request, send: this.sender(place, signal) },
          signal,
        ),
    };
  }

  /** Sends from the thread, where the answer is to be. */
  private sender(place: number, signal: AbortSignal) {
    return async (http: HttpRequest): Promise<HttpAnswer> => {
      const sent = await this.remote?.call<Sent>(signal, 'send', place, http);
      if (!sent) throw ended();
      if ('lost' in sent) throw orgLost(sent.lost);
      return sent;
    };
  }

  private async end(id: number): Promise<void> {
    this.histories.delete(id);
    const { worker, remote } = this;
    if (!worker || !remote) return;
    const late = (): Error => new Error('late');
    const never = new AbortController().signal;
    const over = await inTime(PATIENCE, remote.call(never, 'end', id), late).then(() => true, () => false); // prettier-ignore
    if (this.worker !== worker || (over && this.histories.size > 0)) return;
    // Whoever else is at work there has nothing to fear: a page is published again.
    this.worker = this.remote = undefined;
    remote.fail(ended());
    await worker.terminate();
  }
}

/** One history, from the first page that is read in the thread to the last. */
export class History implements HistoryPages {
  source: HistorySource | undefined;
  /** The thread that knows of it. */
  private opened: Remote | undefined;

  constructor(
    readonly id: number,
    private readonly task: Omit<Task, 'shape'>,
    readonly host: HistoryHost,
    private readonly running: () => Remote | undefined,
    private readonly worked: () => void,
    readonly end: () => Promise<void>,
  ) {}

  async page(source: HistorySource, from: object, signal: AbortSignal): Promise<Passed | undefined> {
    const remote = this.running();
    if (!remote) return undefined;
    if (this.opened !== remote || this.source?.shape !== source.shape) {
      this.source = source;
      const task: Task = { ...this.task, shape: source.shape };
      await remote.call(signal, 'open', this.id, task);
      this.opened = remote;
    }
    this.source = source;
    const passed = await remote.call<Passed>(signal, 'pass', this.id, from);
    this.worked();
    return passed;
  }
}

/** Throws where there can be none, as under Node's permission model. */
export function startWorker(resourceLimits: ResourceLimits = HEAP): Worker {
  return new Worker(require.resolve('./history-worker'), {
    name: 'history',
    resourceLimits,
    workerData: { language: spoken() },
  });
}

function ended(why = say`it was ended`): FlowError {
  return new FlowError(
    'HISTORY_THREAD',
    say`The thread that reads large histories ended (${why}): what it was at is published again from the last position`,
  );
}

import { parentPort } from 'node:worker_threads';
import { Connection } from '../../jetstream/server/connection';
import type { OrgAnswer } from '../../salesforce/org/answer';
import { OrgOutage } from '../../salesforce/org/outage';
import type { OrgRequest, OrgSession } from '../../salesforce/org/session';
import { Remote, type Port } from '../../shared/async/remote';
import { HttpClient, type HttpRequest, type LostRequest } from '../../shared/http/client';
import { FlowError } from '../../shared/errors';
import type { Page, Position } from '../engine/provider';
import type { SourceRecord } from '../engine/record';
import { RecordWriter } from '../engine/record-writer';
import { openStream, type OpenStream } from '../engine/target';
import { Backfill, type BackfillPosition } from '../providers/salesforce/backfill';
import { OrgReader } from '../providers/salesforce/reader';
import { SObject, type Described } from '../providers/salesforce/sobject';
import type { Passed, Sent, Task } from './history';

// What runs in the thread of HistoryThread: it reads and publishes, and asks the other thread for all else.

/** Milliseconds for a connection of its own, where the other thread has one already. */
const CONNECT = 10_000;

const never = new AbortController().signal;
const histories = new Map<number, WorkerHistory>();
const bodies = new Map<number, string>();
let serial = 0;
let connection: Connection | undefined;

class Lost extends Error {
  constructor(readonly lost: LostRequest) {
    super(lost.message);
  }
}

const http = new HttpClient({
  address: 'the login URL',
  other: 'the org',
  lost: ({ code, message, sent }) => new Lost({ code, message, sent }),
});

const main = new Remote(parentPort as Port, {
  open: async (signal, id: number, task: Task) => {
    await histories.get(id)?.end();
    connection ??= new Connection(
      task.address.server,
      (_level, text) => void main.call(never, 'log', id, text),
    );
    const stream = openStream(connection, task.address);
    histories.set(id, new WorkerHistory(id, task, stream));
    await connected(connection, signal);
  },
  pass: (signal, id: number, from: Position) => opened(id).pass(from, signal),
  send: (_signal, _id: number, request: HttpRequest) => send(request),
  end: async (_signal, id: number) => {
    const history = histories.get(id);
    histories.delete(id);
    await history?.end();
  },
});

function opened(id: number): WorkerHistory {
  const history = histories.get(id);
  if (!history) throw new FlowError('CLOSED', 'The history is not read any more');
  return history;
}

async function connected(to: Connection, signal: AbortSignal): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), CONNECT);
  signal.addEventListener('abort', () => late.abort());
  try {
    await to.ready(late.signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new FlowError(
      'HISTORY_THREAD',
      `The thread that reads large histories gets no connection of its own to ${to.settings.servers} within ${CONNECT / 1_000} s: let the NATS user have a second one`,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Results stay here; what else is answered is for the other thread to judge. */
async function send(request: HttpRequest): Promise<Sent> {
  try {
    const { status, headers, text } = await http.send(request);
    if (status < 200 || status >= 300) return { status, headers, text };
    bodies.set(++serial, text);
    return { status, headers, text: '', kept: serial };
  } catch (error) {
    if (error instanceof Lost) return { lost: error.lost };
    throw error;
  }
}

class WorkerHistory {
  private readonly ending = new AbortController();
  private readonly writer: RecordWriter;
  private readonly backfill: Backfill;
  /** The page that is read while the one before is being published. */
  private ahead: { from: string; page: Promise<Page> } | undefined;

  constructor(
    private readonly id: number,
    private readonly task: Task,
    private readonly stream: OpenStream,
  ) {
    this.writer = new RecordWriter(task.of, stream);
    const reader = new OrgReader(sessionOf(id, this.ending.signal));
    const log = (text: string): void => void main.call(never, 'log', id, text);
    this.backfill = new Backfill(reader, new SObject(task.shape as Described), log);
  }

  async pass(from: Position, signal: AbortSignal): Promise<Passed> {
    const { records, next, wait = 0 } = await this.page(from, signal);
    if (next && wait === 0) {
      const page = this.backfill.page(next as BackfillPosition, this.ending.signal);
      page.catch(() => undefined);
      this.ahead = { from: JSON.stringify(next), page };
    }
    const { id, task } = this;
    const written = await this.writer.write(records, {
      signal,
      events: task.events,
      remember: false,
      fence: () => main.call(signal, 'fence', id),
      read: (ids) => main.call<SourceRecord[]>(signal, 'read', id, ids),
      refused: (record, { code, message }) =>
        void main.call(never, 'refused', id, record.id, { code, message }),
    });
    return { records: records.length, written, next, wait };
  }

  async end(): Promise<void> {
    this.ending.abort();
    await this.ahead?.page.catch(() => undefined);
    await this.stream.close();
  }

  private async page(from: Position, signal: AbortSignal): Promise<Page> {
    const { ahead } = this;
    this.ahead = undefined;
    if (ahead?.from === JSON.stringify(from)) return ahead.page;
    await ahead?.page.catch(() => undefined);
    return this.backfill.page(from as BackfillPosition, signal);
  }
}

/** The session with the org is in the other thread, and so is all that is known of whether it can be asked. */
function sessionOf(id: number, signal: AbortSignal): OrgSession {
  const session = {
    availability: { current: undefined, begin: () => undefined, worked: () => undefined },
    budget: { spent: () => false },
    budgetOutage: () => new OrgOutage('budget', 'API_BUDGET_SPENT', 'never thrown here', false),
    underWay: 0,
    organizationId: undefined,
    onChange: () => () => undefined,
    async request(method: string, path: string, request: OrgRequest = {}) {
      const asked = main.call<OrgAnswer & { kept?: number }>(signal, 'ask', id, method, path, request);
      const { kept, ...answer } = await asked;
      if (kept === undefined) return answer;
      const body = bodies.get(kept);
      bodies.delete(kept);
      return { ...answer, body };
    },
  };
  // All that OrgReader takes of it.
  return session as unknown as OrgSession;
}

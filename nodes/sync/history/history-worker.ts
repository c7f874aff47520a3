import { parentPort, workerData } from 'node:worker_threads';
import { Connection } from '../../jetstream/server/connection';
import type { OrgAnswer } from '../../salesforce/org/answer';
import { OrgOutage } from '../../salesforce/org/outage';
import type { OrgRequest, OrgSession } from '../../salesforce/org/session';
import { Remote, type Port } from '../../shared/async/remote';
import { childController, onAbort } from '../../shared/async/signals';
import { HttpClient, type HttpRequest, type LostRequest } from '../../shared/http/client';
import { FlowError } from '../../shared/errors';
import type { Page, Position } from '../engine/provider';
import type { SourceRecord } from '../engine/record';
import { RecordWriter, type Written } from '../engine/record-writer';
import { openStream, type OpenStream } from '../engine/target';
import { Backfill, type BackfillPosition } from '../providers/salesforce/backfill';
import { OrgReader } from '../providers/salesforce/reader';
import { SObject, type Described } from '../providers/salesforce/sobject';
import type { Passed, Sent, Task } from './history';
import { say } from '../../shared/say';
import { speak } from '../../shared/language';

// What runs in the thread of HistoryThread: it reads and publishes, and asks the other thread for all else.

/** Milliseconds for a connection of its own, where the other thread has one already. */
const CONNECT = 10_000;

const never = new AbortController().signal;
const histories = new Map<number, WorkerHistory>();
/** Where the bodies of answers go that come in parts, and until when they are wanted. */
const places = new Map<number, { wanted: AbortSignal; body?: AsyncIterator<string> }>();
let serial = 0;
let connection: Connection | undefined;

class Lost extends Error {
  constructor(readonly lost: LostRequest) {
    super(lost.message);
  }
}

speak((workerData as { language?: string } | null)?.language ?? 'en');

const http = new HttpClient({
  address: say`the login URL`,
  other: say`the org`,
  lost: ({ code, message, sent }) => new Lost({ code, message, sent }),
});

const main = new Remote(parentPort as Port, {
  open: async (signal, id: number, task: Task) => {
    await histories.get(id)?.end();
    connection ??= new Connection(task.address.server);
    const stream = openStream(connection, task.address);
    histories.set(id, new WorkerHistory(id, task, stream));
    await connected(connection, signal);
  },
  pass: (signal, id: number, from: Position) => opened(id).pass(from, signal),
  send: (_signal, place: number, request: HttpRequest) => send(place, request),
  end: async (_signal, id: number) => {
    const history = histories.get(id);
    histories.delete(id);
    await history?.end();
  },
});

function opened(id: number): WorkerHistory {
  const history = histories.get(id);
  if (!history) throw new FlowError('CLOSED', say`The history is not read any more`);
  return history;
}

/** A thread that can't publish is of no use, and ends. */
async function connected(to: Connection, signal: AbortSignal): Promise<void> {
  const late = childController(signal);
  const timer = setTimeout(() => late.abort(), CONNECT);
  try {
    await to.ready(late.signal);
  } catch (error) {
    if (signal.aborted) throw error;
    const why = say`it got no connection of its own to ${to.settings.servers} within ${CONNECT / 1_000} s`;
    setImmediate(() => {
      throw new Error(why);
    });
  } finally {
    clearTimeout(timer);
    late.abort();
  }
}

/** Of what needs no answer. */
function tell(name: string, ...args: unknown[]): void {
  main.call(never, name, ...args).catch(() => undefined);
}

/** What comes in parts stays here; how the org answers is for the other thread to judge. */
async function send(at: number, request: HttpRequest): Promise<Sent> {
  const place = places.get(at);
  try {
    const { status, headers, text, parts } = await http.send({ ...request, parts: place?.wanted });
    if (place && parts) place.body = parts;
    return { status, headers, text };
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
    const log = (text: string): void => tell('log', id, text);
    this.backfill = new Backfill(reader, new SObject(task.shape as Described), log);
  }

  /** Aborting ends the history. */
  async pass(from: Position, signal: AbortSignal): Promise<Passed> {
    const forget = onAbort(signal, () => this.ending.abort());
    try {
      const { records, next, wait = 0 } = await this.page(from);
      if (next && wait === 0) {
        const page = this.read(next);
        page.catch(() => undefined);
        this.ahead = { from: JSON.stringify(next), page };
      }
      return { records: records.length, written: await this.write(records), next, wait };
    } finally {
      forget();
    }
  }

  async end(): Promise<void> {
    this.ending.abort();
    await this.ahead?.page.catch(() => undefined);
    this.backfill.close();
    await this.stream.close();
  }

  private async page(from: Position): Promise<Page> {
    const { ahead } = this;
    this.ahead = undefined;
    if (ahead?.from === JSON.stringify(from)) return ahead.page;
    await ahead?.page.catch(() => undefined);
    return this.read(from);
  }

  private read(from: Position): Promise<Page> {
    return this.backfill.page(from as BackfillPosition, this.ending.signal);
  }

  private write(records: SourceRecord[]): Promise<Written> {
    const { id, task, ending: { signal } } = this; // prettier-ignore
    return this.writer.write(records, {
      signal,
      events: task.events,
      remember: false,
      fence: () => main.call(signal, 'fence', id),
      read: (ids) => main.call<SourceRecord[]>(signal, 'read', id, ids),
      refused: (record, { code, message }) => tell('refused', id, record.id, { code, message }),
    });
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
    async request(method: string, path: string, { parts, ...request }: OrgRequest = {}) {
      const ask = (place?: number) => main.call<OrgAnswer>(signal, 'ask', id, method, path, request, place);
      if (!parts) return ask();
      const place = { wanted: parts } as { wanted: AbortSignal; body?: AsyncIterator<string> };
      places.set(++serial, place);
      const at = serial;
      try {
        const answer = await ask(at);
        return place.body ? { ...answer, body: place.body } : answer;
      } finally {
        places.delete(at);
      }
    },
  };
  // All that OrgReader takes of it.
  return session as unknown as OrgSession;
}

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { FlowError } from '../../nodes/shared/errors';
import { ApiBudget } from '../../nodes/salesforce/org/budget';
import { Describes } from '../../nodes/salesforce/org/describes';
import { Availability, PROBE_PAUSES } from '../../nodes/salesforce/org/availability';
import type { RowResult, WriteRequest } from '../../nodes/salesforce/composite/operations';
import { OrgOutage, type OutageReason } from '../../nodes/salesforce/org/outage';
import type { OrgAnswer } from '../../nodes/salesforce/org/answer';
import type { OrgRequest } from '../../nodes/salesforce/org/session';
import { Writer, type WritableOrg, type WriterOptions } from '../../nodes/salesforce/composite/writer';

type Body = Record<string, unknown>;

const OPTIONS: WriterOptions = {
  records: 1_000,
  maxRequests: 4,
  linger: 0,
  coalesce: false,
  onOutage: 'hold',
};

/** A call that waits for its answer until the test gives it. */
export interface WaitingCall {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** Of each collection, what was sent: records, or ids. */
  collections: unknown[][];
  /** The `LastName` of each record sent, or the id. */
  names: unknown[];
  /** Answers every row with success, or with what `row` gives for it. */
  answer(row?: (body: Body, index: number) => object): Promise<void>;
  /** Answers as it stands. */
  respond(status: number, body?: unknown): Promise<void>;
  fail(error: Error): Promise<void>;
}

export const failed = (statusCode: string) => ({
  success: false,
  errors: [{ statusCode, message: `it is ${statusCode}`, fields: [] }],
});
export const locked = () => failed('UNABLE_TO_LOCK_ROW');
export const outage = (reason: OutageReason = 'unreachable', sent = false) =>
  new OrgOutage(reason, `CODE_${reason}`, `the org is ${reason}`, sent);

/** As much of an OrgSession as a writer needs. Each call waits in `calls` until the test answers it. */
export class FakeOrg implements WritableOrg {
  readonly dataPath = '/services/data/v65.0';
  organizationId: string | undefined;
  /** Answers no describe unless told. */
  described: (path: string) => Promise<unknown> = () => Promise.reject(new Error('no describe'));
  readonly describes = new Describes((path) => this.described(path));
  underWay = 0;
  readonly budget = new ApiBudget(100);
  readonly listeners = new Set<() => void>();
  /** Calls without an answer, oldest first, and how many there ever were. */
  readonly calls: WaitingCall[] = [];
  made = 0;
  /** What a probe finds. */
  probe: () => Promise<void> = () => Promise.resolve();
  readonly availability = new Availability(
    () => this.probe(),
    () => this.listeners.forEach((listener) => listener()),
    PROBE_PAUSES,
  );

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  budgetOutage(): OrgOutage {
    return outage('budget');
  }

  async request(
    method: string,
    path: string,
    { body, headers = {}, before }: OrgRequest = {},
  ): Promise<OrgAnswer> {
    before?.();
    const text = JSON.stringify(body);
    this.made++;
    this.underWay++;
    return await new Promise<OrgAnswer>((resolve, reject) => {
      const collections = collectionsOf(path, text === undefined ? undefined : JSON.parse(text));
      const composite = path === '/composite';
      const end = async (settle: () => void) => {
        this.calls.splice(this.calls.indexOf(call), 1);
        this.underWay--;
        settle();
        await turns();
      };
      const call: WaitingCall = {
        method,
        path,
        headers,
        collections,
        names: collections.flat().map((body) => (isObject(body) ? (body.LastName ?? body.Id) : body)),
        answer: (row = () => ({})) => {
          let index = 0;
          const bodies = collections.map((bodies) =>
            bodies.map((body) => ({
              id: '003000000000001AAA',
              success: true,
              errors: [],
              ...row(isObject(body) ? body : {}, index++),
            })),
          );
          return call.respond(
            200,
            composite
              ? { compositeResponse: bodies.map((part) => ({ httpStatusCode: 200, body: part })) }
              : bodies[0],
          );
        },
        respond: (status, answer) => end(() => resolve({ status, headers: {}, body: answer })),
        fail: (error) => end(() => reject(error)),
      };
      this.calls.push(call);
    });
  }

  /** The next call without an answer. */
  async next(): Promise<WaitingCall> {
    await turns();
    const [call] = this.calls;
    assert.ok(call, 'a call is made');
    return call;
  }
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null;
}

function collectionsOf(path: string, body: unknown): unknown[][] {
  const ids = /\?ids=([^&]*)/.exec(path)?.[1];
  if (ids !== undefined) return [ids.split(',')];
  const {
    records,
    compositeRequest,
    ids: read,
  } = body as {
    records?: unknown[];
    ids?: unknown[];
    compositeRequest?: { url: string; body?: unknown }[];
  };
  return compositeRequest?.flatMap((part) => collectionsOf(part.url, part.body)) ?? [records ?? read ?? []];
}

/** Whatever is to happen without time passing has happened. */
export async function turns(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Time stands still until the test lets it pass; pauses are as long as they are on average. */
export function stopClock(t: TestContext): { pass: (ms: number) => Promise<void> } {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.mock.method(performance, 'now', () => Date.now());
  t.mock.method(Math, 'random', () => 0.5);
  return {
    pass: async (ms) => {
      t.mock.timers.tick(ms);
      await turns();
    },
  };
}

/** One message: what it comes to is awaited, or looked at. */
export interface Written {
  results: Promise<RowResult[]>;
  /** `waits`, then the error of the message, or of each row its error or `ok`. */
  state: () => string;
  error: () => FlowError;
}

export interface Writing {
  org: FakeOrg;
  writer: Writer;
  /** Messages whose processing clock stands still. */
  paused: () => number;
  /** How often the writer told that its state has changed. */
  changes: () => number;
  write: (payload: unknown, request?: Partial<WriteRequest>) => Written;
}

/** A writer with an org of its own. */
export function startWriting(options: Partial<WriterOptions> = {}, org = new FakeOrg()): Writing {
  let paused = 0;
  let changes = 0;
  const writer = new Writer(org, { ...OPTIONS, ...options }, () => changes++);
  const pause = () => {
    paused++;
    return () => void paused--;
  };
  return {
    org,
    writer,
    paused: () => paused,
    changes: () => changes,
    write: (payload, request = {}) => {
      const base = { operation: 'upsert', sobject: 'Contact', externalIdField: 'Key__c' } as const;
      const results = writer.write({ ...base, allOrNone: false, payload, ...request }, pause);
      let state = 'waits';
      let error: FlowError | undefined;
      results.then(
        (rows) => (state = rows.map((row) => row.errors[0]?.statusCode ?? 'ok').join(' ')),
        (reason: FlowError) => {
          error = reason;
          state = reason.code;
        },
      );
      return {
        results,
        state: () => state,
        error: () => {
          assert.ok(error, `the message failed; it ${state}`);
          return error;
        },
      };
    },
  };
}

/** A record whose name tells which one it is. */
export const record = (key: string | number, more: object = {}) => ({
  Key__c: `K${key}`,
  LastName: String(key),
  ...more,
});
export const records = (count: number, from = 0) => Array.from({ length: count }, (_, i) => record(from + i));

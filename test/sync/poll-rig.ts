import { mock, type TestContext } from 'node:test';
import type { Changes } from '../../nodes/sync/provider';
import { Poll, type PollPosition } from '../../nodes/sync/providers/salesforce/poll';
import { OrgReader } from '../../nodes/sync/providers/salesforce/reader';
import { describe, SObject } from '../../nodes/sync/providers/salesforce/sobject';
import type { SourceRecord } from '../../nodes/sync/record';
import { startOrg, type Org, type OrgOptions } from '../org/org';
import { sessionWith } from '../salesforce/rig';

export const NOON = Date.UTC(2026, 0, 31, 12);
export const MINUTE = 60_000;
export const LOOKBACK = 5 * MINUTE;

/** Tells when a request is about to be made, so that something can happen right before it. */
class WatchedReader extends OrgReader {
  before: (path: string) => void = () => undefined;

  override ask(...args: Parameters<OrgReader['ask']>): ReturnType<OrgReader['ask']> {
    this.before(args[1]);
    return super.ask(...args);
  }
}

export interface PollRig {
  org: Org;
  reader: WatchedReader;
  sobject: SObject;
  poll: Poll;
  /** The clock of the org and of everybody else, which stands still otherwise. */
  at: (ms: number) => void;
  /** Calls of changes() until there is no more. */
  pass: (position: PollPosition, poll?: Poll, sobject?: SObject) => Promise<Pass>;
  /** A transaction that begins now; what it has made appears when it is committed. */
  open: () => { commit: (...names: string[]) => void };
}

export interface Pass {
  records: SourceRecord[];
  position: PollPosition;
  answers: Changes[];
  /** What the org was asked, in words. */
  asked: string[];
}

export async function startPoll(t: TestContext, options: OrgOptions = {}): Promise<PollRig> {
  mock.timers.enable({ apis: ['Date'], now: NOON });
  const org = await startOrg(options);
  const session = sessionWith(org);
  const reader = new WatchedReader(session);
  t.after(async () => {
    session.close();
    await org.close();
    mock.timers.reset();
  });
  const { signal } = new AbortController();
  const sobject = await describe(reader, 'Contact', signal);
  const poll = new Poll(reader, LOOKBACK);
  return {
    org,
    reader,
    sobject,
    poll,
    at: (ms) => mock.timers.setTime(ms),
    pass: async (position, by = poll, of = sobject) => {
      org.clearRequests();
      const answers: Changes[] = [];
      let at = position;
      do {
        answers.push(await by.changes(at, of, signal));
        // As it is kept.
        at = JSON.parse(JSON.stringify(answers.at(-1)?.position)) as PollPosition;
      } while (answers.at(-1)?.more);
      const records = answers.flatMap((answer) => answer.records);
      const asked = org.requests().map(({ path }) => decodeURIComponent(path));
      return { records, position: at, answers, asked };
    },
    open: () => {
      const began = org.store.now();
      const transaction = {};
      org.store.inFlight.set(transaction, began);
      return {
        commit: (...names) => {
          org.store.inFlight.delete(transaction);
          const tx = org.store.begin({ user: org.userId, origin: 'test' }, began);
          for (const LastName of names) tx.insert(org.schema.type('Contact') as never, { LastName });
          tx.commit();
        },
      };
    },
  };
}

export const names = (count: number, from = 0): { LastName: string }[] =>
  Array.from({ length: count }, (_, i) => ({ LastName: `Person ${from + i}` }));
/** What a query asks for, behind its WHERE. */
export const since = (asked: string[]): string[] =>
  asked.flatMap((path) => /WHERE (SystemModstamp.*) ORDER BY/.exec(path)?.[1] ?? []);

/** The same object, as one whose deletions the org doesn't tell. */
export function withoutDeletions({ name, fields }: SObject): SObject {
  const types: Record<string, string> = { SystemModstamp: 'datetime', CreatedDate: 'datetime' };
  return new SObject({
    ...{ name, label: name, queryable: true, replicateable: false },
    fields: fields
      .filter((field) => field !== 'IsDeleted')
      .map((field) => ({ name: field, type: types[field] ?? 'string' })),
  });
}

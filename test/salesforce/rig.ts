import { OrgSession, type SessionOptions } from '../../nodes/salesforce/org/session';
import type { RowResult, WriteRequest } from '../../nodes/salesforce/composite/operations';
import { Writer, type WriterOptions } from '../../nodes/salesforce/composite/writer';
import { startOrg, type Org, type OrgOptions } from '../org/org';

/** Pauses that a test can wait for. */
export const QUICK = {
  unreachable: [20, 80],
  login: [20, 80],
  limit: [20, 80],
  budget: [20, 80],
} as const satisfies NonNullable<SessionOptions['pauses']>;

export interface Rig {
  org: Org;
  session: OrgSession;
  writer: Writer;
  /** Messages whose processing clock stands still. */
  paused: () => number;
  write(request: Partial<WriteRequest> & { payload: unknown }): Promise<RowResult[]>;
  /** Write calls that reached the org. */
  calls(): ReturnType<Org['requests']>;
  close(): Promise<void>;
}

/** A simulated org, a session and a writer with quick retries. */
export async function startRig(
  options: {
    org?: OrgOptions;
    session?: Partial<SessionOptions['config']>;
    writer?: Partial<WriterOptions>;
  } = {},
): Promise<Rig> {
  const org = await startOrg(options.org);
  const session = sessionWith(org, options.session);
  const writer = new Writer(session, { ...WRITER, ...options.writer });
  let paused = 0;
  const pause = () => {
    paused++;
    return () => void paused--;
  };
  const rig: Rig = {
    org,
    session,
    writer,
    paused: () => paused,
    write: (request) =>
      writer.write(
        {
          operation: 'upsert',
          sobject: 'Contact',
          externalIdField: 'ExternalId__c',
          allOrNone: false,
          ...request,
        },
        pause,
      ),
    calls: () => rig.org.requests().filter(({ path }) => path.includes('/composite')),
    close: async () => {
      await writer.close(1_000);
      session.close();
      await rig.org.close();
    },
  };
  return rig;
}

export const WRITER: WriterOptions = {
  records: 1_000,
  maxRequests: 4,
  linger: 0,
  coalesce: false,
  onOutage: 'hold',
  retry: { first: 5, longest: 40, times: 6 },
};

export function sessionWith(org: Org, config: Partial<SessionOptions['config']> = {}): OrgSession {
  const { clientId, clientSecret } = org;
  return new OrgSession({
    config: { auth: 'client-credentials', loginUrl: org.url, apiBudget: 100, ...config },
    secrets: { clientId, clientSecret },
    pauses: { ...QUICK },
  });
}

export const contact = (key: string | number, more: object = {}) => ({
  LastName: `Person ${key}`,
  ExternalId__c: `K${key}`,
  ...more,
});
export const contacts = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => contact(from + i));

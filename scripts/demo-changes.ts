import type { Connection } from 'jsforce';
import { connect, type NatsConnection } from 'nats';
import { connect as connectSalesforce } from '../test/org/connect';
import type { Org } from '../test/org/org';
import { differences, readTable } from '../test/sync/table';
import { until } from '../test/support/until';
import type { Stack } from './demo-stack';

/** Of each object so many are created in one API call, all of them updated, and half of them deleted. */
const CREATED = 200;
const MADE: Record<string, (n: number) => Record<string, string>> = {
  Contact: (n) => ({ LastName: `Change ${n}`, Email: `change.${n}@example.com` }),
  Opportunity: (n) => ({ Name: `Change ${n}`, StageName: 'Prospecting', CloseDate: '2030-01-31' }),
};

export interface ChangesReport {
  /** Made in the org. */
  changes: number;
  /** Records of these objects that the stream holds, and how many of them say that they are deleted. */
  records: number;
  deleted: number;
  /** From the first change to the last one in the stream. */
  milliseconds: number;
  /** What is not as it must be, in words. Empty: all is right. */
  problems: string[];
}

/** Makes 1,000 changes in the org with a plain Salesforce client and checks every record in the stream. */
export async function changesIntoJetStream({ nats, org, login }: Stack): Promise<ChangesReport> {
  const salesforce = await connectSalesforce(org);
  const nc = await connect({ servers: nats.url, ...login });
  try {
    const started = performance.now();
    let changes = 0;
    for (const [sobject, record] of Object.entries(MADE))
      changes += await change(salesforce, sobject, record);
    const compared = () => Promise.all(Object.keys(MADE).map((sobject) => compare(org, nc, sobject)));
    const right = async () => (await compared()).every(({ problems }) => problems.length === 0);
    // What is still wrong after two minutes is told below.
    await until(right, { timeout: 120_000, interval: 100 }).catch(() => undefined);
    const milliseconds = Math.round(performance.now() - started);
    const tables = await compared();
    return {
      changes,
      records: tables.reduce((sum, { records }) => sum + records, 0),
      deleted: tables.reduce((sum, { deleted }) => sum + deleted, 0),
      milliseconds,
      problems: tables.flatMap(({ problems }) => problems),
    };
  } finally {
    await nc.close();
  }
}

/** Gives the number of changes made. */
async function change(
  salesforce: Connection,
  sobject: string,
  record: (n: number) => Record<string, string>,
): Promise<number> {
  const table = salesforce.sobject(sobject);
  const ids = (await table.create(Array.from({ length: CREATED }, (_, n) => record(n)))).map(idOf);
  (await table.update(ids.map((Id) => ({ Id, Description: `changed: ${Id}` })))).forEach(idOf);
  const deleted = (await table.destroy(ids.slice(CREATED / 2))).map(idOf);
  return ids.length * 2 + deleted.length;
}

function idOf(result: { success: boolean; id?: string; errors?: unknown[] }): string {
  if (result.success && result.id) return result.id;
  throw new Error(`the org refused a change: ${JSON.stringify(result.errors)}`);
}

async function compare(
  org: Org,
  nc: NatsConnection,
  sobject: string,
): Promise<{ records: number; deleted: number; problems: string[] }> {
  const table = await readTable(nc, `salesforce:${sobject.toLowerCase()}`);
  const gone = org.records(sobject, { deleted: true }).filter(({ IsDeleted }) => IsDeleted === true);
  const unsaid = gone.filter(({ Id }) => !table.get(String(Id))?.deleted);
  return {
    records: table.size,
    deleted: [...table.values()].filter(({ deleted }) => deleted).length,
    problems: [
      ...differences(org, table, sobject).split('\n').filter(Boolean),
      ...unsaid.map(({ Id }) => `${String(Id)} is deleted, which the stream doesn't say`),
    ],
  };
}

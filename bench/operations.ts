import { performance } from 'node:perf_hooks';
import type { Connection } from 'jsforce';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { orgNodes, startOrgProcess, type OrgProcess } from './org';
import { median, round, type Row } from './row';
import { loggedIn } from './salesforce';

/** Records, each a message of its own in the flow; jsforce has arrays. */
const RECORDS = 10_000;
const ARRAY = 200;
/** Each a message and a call of its own, with a root and two children; both sides have four calls under way. */
const TREES = 1_000;
const AT_ONCE = 4;
const ROUNDS = 3;
const FIELDS = ['Id', 'LastName', 'SystemModstamp'];

const OPERATIONS = ['create', 'get', 'update', 'upsert', 'delete', 'tree'] as const;
type Operation = (typeof OPERATIONS)[number];

/** Each operation into an org that takes no time of its own, so that only the work on this machine counts. */
export async function rows(): Promise<Row[]> {
  const org = await startOrgProcess();
  const red = await embedNodeRed({ flows: flow(org) });
  const ids: string[] = [];
  const jsforce = await loggedIn(org);
  const rates = new Map(OPERATIONS.map((operation) => [operation, { ours: [0], theirs: [0] }]));
  try {
    for (let turn = -1; turn < ROUNDS; turn++) {
      const theirs = byJsforce(jsforce, turn);
      for (const operation of OPERATIONS) {
        const count = countOf(operation);
        const rate = {
          ours: count / (await byFlow(red, operation, turn, ids)),
          theirs: count / (await seconds(theirs[operation])),
        };
        // Both warm, as they are after a minute of work.
        if (turn < 0) rates.set(operation, { ours: [], theirs: [] });
        else for (const who of ['ours', 'theirs'] as const) rates.get(operation)?.[who].push(rate[who]);
      }
    }
  } finally {
    await red.stop();
    await org.stop();
  }
  return [...rates].map(([operation, { ours, theirs }]) => ({
    name:
      operation === 'tree'
        ? `tree, one a message ÷ jsforce's request with one, ${AT_ONCE} at once (org: no latency)`
        : `${operation}, one record a message ÷ jsforce with arrays of ${ARRAY} (org: no latency)`,
    value: Math.round(median(ours)),
    unit: operation === 'tree' ? 'trees/s' : 'records/s',
    reference: Math.round(median(theirs)),
    ratio: round(median(ours.map((rate, i) => rate / (theirs[i] ?? NaN)))),
  }));
}

/** Seconds from the first message that is sent to the last result. The ids of what it creates are those of the next operations. */
async function byFlow(
  red: EmbeddedNodeRed,
  operation: Operation,
  turn: number,
  ids: string[],
): Promise<number> {
  if (operation === 'create') ids.length = 0;
  const begun = performance.now();
  red.send('source', { payload: `flow-${turn}-`, topic: operation, ids });
  let count = 0;
  const seen = (): boolean => {
    // What was seen isn't kept: memory that jsforce doesn't need either.
    const messages = red.received('end');
    red.forget();
    for (const { payload } of messages) {
      const [row] = payload as { success: boolean; id: string }[];
      if (!row?.success) throw new Error(JSON.stringify(payload));
      if (operation === 'create') ids.push(row.id);
    }
    return (count += messages.length) === countOf(operation);
  };
  await until(seen, { timeout: 120_000, interval: 1, what: 'all results' });
  return (performance.now() - begun) / 1_000;
}

const countOf = (operation: Operation): number => (operation === 'tree' ? TREES : RECORDS);

/** The same records, as its documentation shows. What is created first is what the others work on. */
function byJsforce(connection: Connection, turn: number): Record<Operation, () => Promise<void>> {
  const contact = connection.sobject('Contact');
  let ids: string[] = [];
  const inArrays = async (work: (from: number) => Promise<readonly object[]>): Promise<void> => {
    for (let from = 0; from < RECORDS; from += ARRAY) {
      const answers = await work(from);
      if (answers.some((answer) => 'success' in answer && answer.success !== true))
        throw new Error(JSON.stringify(answers));
    }
  };
  const array = (record: (i: number) => object, from: number) =>
    Array.from({ length: ARRAY }, (_, i) => record(from + i));
  return {
    create: () =>
      inArrays(async (from) => {
        const created = await contact.create(array(() => ({ LastName: 'Bench' }), from));
        ids = ids.concat(created.map(({ id }) => id ?? ''));
        return created;
      }),
    get: () => inArrays((from) => contact.retrieve(ids.slice(from, from + ARRAY), { fields: FIELDS })),
    update: () =>
      inArrays((from) =>
        contact.update(array((i) => ({ Id: ids[i], LastName: 'Changed' }), from) as never[]),
      ),
    upsert: () =>
      inArrays((from) =>
        contact.upsert(
          array((i) => ({ LastName: 'Bench', ExternalId__c: `jsforce-${turn}-${i}` }), from),
          'ExternalId__c',
        ),
      ),
    delete: () => inArrays((from) => contact.destroy(ids.slice(from, from + ARRAY))),
    tree: async () => {
      const send = async (first: number): Promise<void> => {
        for (let i = first; i < TREES; i += AT_ONCE)
          await connection.requestPost('/composite/tree/Account', {
            records: [{ Name: `${turn}-${i}`, ...TREE }],
          });
      };
      await Promise.all(Array.from({ length: AT_ONCE }, (_, first) => send(first)));
    },
  };
}

/** The name is each message's own. */
const TREE = {
  attributes: { type: 'Account', referenceId: 'a' },
  Contacts: {
    records: ['c1', 'c2'].map((referenceId) => ({
      attributes: { type: 'Contact', referenceId },
      LastName: referenceId,
    })),
  },
};

function flow(org: OrgProcess): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    ...orgNodes(org),
    {
      id: 'source',
      type: 'function',
      ...place,
      func: `
        const { ids } = msg;
        const of = {
          create: () => ({ LastName: 'Bench' }),
          get: (i) => ids[i],
          update: (i) => ({ Id: ids[i], LastName: 'Changed' }),
          upsert: (i) => ({ LastName: 'Bench', ExternalId__c: msg.payload + i }),
          delete: (i) => ids[i],
          tree: (i) => ({ Name: msg.payload + i, ...${JSON.stringify(TREE)} }),
        }[msg.topic];
        const output = ${JSON.stringify(OPERATIONS)}.indexOf(msg.topic);
        const outputs = Array(${OPERATIONS.length}).fill(null);
        for (let i = 0; i < (msg.topic === 'tree' ? ${TREES} : ${RECORDS}); i++)
          node.send(outputs.with(output, { payload: of(i) }), false);`,
      outputs: OPERATIONS.length,
      wires: OPERATIONS.map((operation) => [operation]),
    },
    ...OPERATIONS.map((operation) => ({
      ...{ id: operation, type: 'sfdc-composite', ...place, org: 'org', operation, wires: [['end'], []] },
      sobject: operation === 'tree' ? 'Account' : 'Contact',
      ...(operation === 'upsert' && { externalIdField: 'ExternalId__c' }),
      fields: FIELDS.join(','),
      batch: { bulkFrom: 0, maxRequests: AT_ONCE },
    })),
    { id: 'end', type: 'change', ...place, rules: [], wires: [[]] },
  ];
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}

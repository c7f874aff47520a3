import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { connect } from 'nats';
import { TURNS_BUCKET } from '../nodes/jetstream/consume/turn';
import { inNode, serverNode, TAB } from '../test/jetstream/room';
import { startOrg } from '../test/org/org';
import { startNats } from '../test/support/nats';
import { startNodeRed, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';

const HELP = `npx tsx bench/scaling.ts [-- --events N --partitions N] [instances …]

Upserts waiting events into a simulated org (100 ms a call and 2 ms a record) by so many Node-REDs that share the
partitions of one durable (1, 2 and 4 unless told), and prints records a second, API calls, and the CPU time of a Node-RED.`;

interface Result {
  instances: number;
  perSecond: number;
  calls: number;
  /** Milliseconds of CPU for a thousand records, all instances together. */
  cpu: number;
  /** Of each instance. */
  rss: number;
}

async function measure(instances: number, events: number, partitions: number): Promise<Result> {
  const org = await startOrg({ latencyMs: 100, recordLatencyMs: 2 });
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  const reds: NodeRed[] = [];
  try {
    const flows = [
      TAB,
      serverNode(nats.url),
      inNode({
        streamConfig: { subjects: ['crm.>'] },
        ...{ subject: 'crm.contacts.*', sharing: 'partitioned', partitions },
        ...{ prefetch: 1_000, maxAckPending: 5_000, deadLetter: '', wires: [['write']] },
      }),
      {
        ...{ id: 'write', type: 'sfdc-composite', z: 'tab', org: 'org', operation: 'upsert' },
        ...{ sobject: 'Contact', externalIdField: 'ExternalId__c', allOrNone: true, wires: [[], []] },
      },
      {
        ...{ id: 'org', type: 'sfdc-org', auth: 'client-credentials', loginUrl: org.url },
        credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
      },
    ];
    for (let i = 0; i < instances; i++) reds.push(await startNodeRed({ flows }));
    const js = nc.jetstream();
    const table = async (): Promise<{ owners: string[]; members: string[] }> =>
      JSON.parse(
        (await (await js.views.kv(TURNS_BUCKET)).get('crm.flow.partitions'))?.string() ?? '{}',
      ) as never;
    const shared = async (): Promise<boolean> => {
      const { owners = [], members = [] } = await table();
      return members.length === instances && owners.every(Boolean) && new Set(owners).size === instances;
    };
    await until(shared, { timeout: 60_000, what: 'the partitions to be shared' });

    let written = 0;
    org.store.on('commit', ({ changes }) => void (written += changes.length));
    const cpuBefore = reds.map(({ pid }) => usage(pid).cpu);
    const began = performance.now();
    await Promise.all(
      Array.from({ length: events }, (_, i) =>
        js.publish(
          `crm.contacts.${i}`,
          JSON.stringify({ LastName: `Contact ${i}`, ExternalId__c: `c-${i}` }),
        ),
      ),
    );
    await until(() => written >= events, { timeout: 300_000, interval: 20, what: 'all to be written' });
    const seconds = (performance.now() - began) / 1_000;
    const used = reds.map(({ pid }, i) => usage(pid).cpu - (cpuBefore[i] ?? 0));
    return {
      instances,
      perSecond: Math.round(events / seconds),
      calls: org.requests().filter(({ path }) => path.includes('/composite')).length,
      cpu: Math.round((used.reduce((a, b) => a + b, 0) / events) * 1_000),
      rss: Math.round(Math.max(...reds.map(({ pid }) => usage(pid).rss))),
    };
  } finally {
    await Promise.all(reds.map((red) => red.stop()));
    await nc.close();
    await nats.stop();
    await org.close();
  }
}

/** Of a process: CPU time in ms, memory in MB. (Linux) */
function usage(pid: number): { cpu: number; rss: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return { cpu: (Number(fields[11]) + Number(fields[12])) * 10, rss: (Number(fields[21]) * 4_096) / 1e6 };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { events: { type: 'string' }, partitions: { type: 'string' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (values.help) return console.log(HELP);
  const counts = positionals.length > 0 ? positionals.map(Number) : [1, 2, 4];
  console.log('instances  records/s  calls  CPU ms per 1,000  MB of an instance');
  for (const count of counts) {
    const { instances, perSecond, calls, cpu, rss } = await measure(
      count,
      Number(values.events ?? 10_000),
      Number(values.partitions ?? 8),
    );
    console.log([instances, perSecond, calls, cpu, rss].join('\t'));
  }
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.message);
    process.exit(1);
  },
);

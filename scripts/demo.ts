import { parseArgs } from 'node:util';
import { changesIntoJetStream, type ChangesReport } from './demo-changes';
import { contactsThroughJetStream, type ContactsReport } from './demo-contacts';
import { CATALOG, isApiName, type ApiName } from '../test/apis/catalog';
import { startProviderStack } from './demo-provider';
import { startStack, type Stack } from './demo-stack';

const HELP = `npm run demo -- [--port N] [--provider NAME | --once [--json]]

Starts a nats-server, a simulated Salesforce org, and Node-RED holding example flows.

  --port   port of the Node-RED editor (default 1880; 0, and with --once: a free one)
  --provider  syncs from a simulated API instead: ${Object.keys(CATALOG).join(', ')}
  --once   no editor: sends 1,000 contact events through JetStream into the org, brings 1,000 changes of the org
           into JetStream, checks every record at both ends, exits 0 or 1
  --json   with --once: prints the summary as JSON`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      provider: { type: 'string' },
      once: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(HELP);
  if (values.provider !== undefined && (values.once || !isApiName(values.provider)))
    throw new Error(`--provider takes one of ${Object.keys(CATALOG).join(', ')}, and not --once`);
  if (values.once) return once(values.port, values.json ?? false);

  // Nothing of the demo is kept, so it may end at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.prependListener(signal, () => process.exit(0));
  if (values.provider !== undefined) return provider(values.provider, Number(values.port ?? 1880));
  const { red, org, nats } = await startStack({
    port: Number(values.port ?? 1880) || undefined,
    onLine: printTrouble,
  });
  console.log(`
  Node-RED      ${red.url}    press the button of "publish 200 contacts"
  Salesforce    ${org.url}/_org/records/Contact    what is in the simulated org
  nats-server   ${nats.url}    user demo, password demo

  The contacts go through JetStream into Salesforce (first tab), and every change there comes back as a message of the
  stream SEQUIN-RECORDS (second tab). The buttons of the third tab change records too; those of the
  fourth let the org go down, and a contact become a dead letter, which is replayed in the operations tab
  (the heart in the sidebar).

  Ctrl-C ends it all.
`);
}

async function provider(name: ApiName, port: number): Promise<void> {
  const { red, api, nats, collections } = await startProviderStack(name, { port, onLine: printTrouble });
  const [first = ''] = collections.map((collection) => collection.slice(name.length + 1));
  console.log(`
  Node-RED      ${red.url}    the records come by themselves; press a button "create one of …"
  ${name.padEnd(13)} ${api.baseUrl}/_api/records/${encodeURIComponent(first)}    what is in the simulated API
  nats-server   ${nats.url}    user demo, password demo

  ${collections.join(', ')} are in the stream SEQUIN-RECORDS; what changes in the API comes after, within seconds.

  Ctrl-C ends it all.
`);
}

async function once(port: string | undefined, json: boolean): Promise<void> {
  const stack = await startStack({ port: Number(port ?? 0) || undefined });
  try {
    const contacts = await contactsThroughJetStream(stack);
    const changes = await changesIntoJetStream(stack);
    const problems = [...contacts.problems, ...changes.problems];
    if (json) console.log(JSON.stringify({ ok: problems.length === 0, contacts, changes }));
    else
      console.log(
        [...contactsInWords(contacts), ...changesInWords(changes), ...verdict(problems, stack)].join('\n'),
      );
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

const n = (value: number): string => value.toLocaleString('en-US');
const seconds = (milliseconds: number): string => `${(milliseconds / 1_000).toFixed(1)} s`;

function contactsInWords(report: ContactsReport): string[] {
  const { events, arrays, records, contacts, milliseconds, apiCalls, problems } = report;
  return [
    `JetStream → Salesforce: ${n(events)} events (${arrays} of them arrays), ${n(records)} records`,
    ...(problems.length > 0
      ? []
      : [`  ${n(contacts)} contacts in the org, each as the last event about it says`]),
    `  ${seconds(milliseconds)}, ${n(apiCalls)} API calls`,
  ];
}

function changesInWords({ changes, records, deleted, milliseconds, problems }: ChangesReport): string[] {
  return [
    `Salesforce → JetStream: ${n(changes)} changes`,
    ...(problems.length > 0
      ? []
      : [`  ${n(records)} records in the stream, each as the org has it, ${n(deleted)} of them deleted`]),
    `  ${seconds(milliseconds)}`,
  ];
}

function verdict(problems: string[], { red }: Stack): string[] {
  if (problems.length === 0) return ['OK'];
  const shown = problems.slice(0, 20).map((problem) => `  ${problem}`);
  const trouble = red.log.filter((line) => /\[(error|warn)\]/.test(line)).slice(-20);
  return [`FAILED: ${n(problems.length)} problem(s)`, ...shown, ...trouble];
}

function printTrouble(line: string): void {
  if (/\[(error|warn)\]/.test(line)) console.log(line);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1); // whatever was started ends with this process
});

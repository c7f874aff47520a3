import { parseArgs } from 'node:util';
import { contactsThroughJetStream, type ContactsReport } from './demo-contacts';
import { startStack, type Stack } from './demo-stack';

const HELP = `npm run demo -- [--port N] [--once [--json]]

Starts a nats-server, a simulated Salesforce org, and Node-RED holding the example flow.

  --port   port of the Node-RED editor (default 1880; with --once a free one)
  --once   no editor: sends 1,000 contact events through, checks every record in the org, exits 0 or 1
  --json   with --once: prints the summary as JSON`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      once: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(HELP);
  if (values.once) return once(values.port, values.json ?? false);

  // Nothing of the demo is kept, so it may end at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.prependListener(signal, () => process.exit(0));
  const { red, org, nats } = await startStack({ port: Number(values.port ?? 1880), onLine: printTrouble });
  console.log(`
  Node-RED      ${red.url}    press the button of "publish 200 contacts"
  Salesforce    ${org.url}/_org/records/Contact    what is in the simulated org
  nats-server   ${nats.url}    user demo, password demo

  Ctrl-C ends it all.
`);
}

async function once(port: string | undefined, json: boolean): Promise<void> {
  const stack = await startStack({ port: port === undefined ? undefined : Number(port) });
  try {
    const report = await contactsThroughJetStream(stack);
    console.log(
      json ? JSON.stringify({ ok: report.problems.length === 0, contacts: report }) : inWords(report, stack),
    );
    process.exitCode = report.problems.length === 0 ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

function inWords(report: ContactsReport, { red }: Stack): string {
  const n = (value: number) => value.toLocaleString('en-US');
  const summary = [
    `JetStream → Salesforce: ${n(report.events)} events (${report.arrays} of them arrays), ${n(report.records)} records`,
    `  ${n(report.contacts)} contacts in the org, each as the last event about it says`,
    `  ${(report.milliseconds / 1_000).toFixed(1)} s, ${n(report.apiCalls)} API calls`,
  ];
  if (report.problems.length === 0) return [...summary, 'OK'].join('\n');
  const shown = report.problems.slice(0, 20).map((problem) => `  ${problem}`);
  const trouble = red.log.filter((line) => /\[(error|warn)\]/.test(line)).slice(-20);
  return [summary[0], ...shown, `FAILED: ${n(report.problems.length)} problem(s)`, ...trouble].join('\n');
}

function printTrouble(line: string): void {
  if (/\[(error|warn)\]/.test(line)) console.log(line);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1); // whatever was started ends with this process
});

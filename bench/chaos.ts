import { parseArgs } from 'node:util';
import { measure, type Fault, type Row } from './chaos/fault';
import { faults as ofBulkJobs } from './chaos/faults/bulk';
import { faults as ofDeadLetters } from './chaos/faults/dead-letter';
import { faults as ofFailures } from './chaos/faults/failing';
import { faults as ofNats } from './chaos/faults/nats';
import { faults as ofNodeRed } from './chaos/faults/node-red';
import { faults as ofTheOrg } from './chaos/faults/org';
import { faults as ofTheSync } from './chaos/faults/sync';

const FAULTS: Fault[] = [...ofNodeRed, ...ofBulkJobs, ...ofNats, ...ofDeadLetters, ...ofFailures, ...ofTheOrg, ...ofTheSync];

const HELP = `npm run chaos -- [--json] [part of a name …]

Lets one thing after the other go wrong while events flow from JetStream into a simulated org, and counts what has
become of them: each is right in the org or a dead letter, none is lost, none is doubled. The same for a sync of the
org into JetStream: each record is right in the stream. Ends with 1 if not.

${FAULTS.map(({ name, what }) => `  ${name.padEnd(22)}${what}`).join('\n')}`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (values.help) return console.log(HELP);
  const chosen = FAULTS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  if (chosen.length === 0) throw new Error(`no fault is called ${positionals.join(' or ')}\n\n${HELP}`);

  const rows: Row[] = [];
  if (!values.json)
    console.log(line(['fault', 'events', 'right', 'dead letters', 'duplicates', 'result', 'seconds']));
  for (const fault of chosen) {
    const row = await measure(fault);
    rows.push(row);
    if (!values.json) console.log(inWords(row));
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2));
  process.exit(rows.every(({ result }) => result === 'ok') ? 0 : 1);
}

function inWords({ what, events, right, deadLetters, duplicates, result, seconds, problems }: Row): string {
  const counts = [events, right, deadLetters, duplicates].map((count) => count.toLocaleString('en-US'));
  return [
    line([what, ...counts, result, seconds.toFixed(1)]),
    ...problems.map((problem) => `    ${problem}`),
  ].join('\n');
}

const WIDTHS = [88, 8, 8, 14, 12, 8, 9];

function line(cells: string[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[0] ?? 0) : cell.padStart(WIDTHS[i] ?? 0)))
    .join('');
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1); // whatever was started ends with this process
});

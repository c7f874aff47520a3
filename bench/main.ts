import { parseArgs } from 'node:util';
import type { Row } from './row';

/** Each file's rows are measured on their own: nothing of one disturbs the next. */
const PARTS = [
  'jetstream',
  'publish',
  'salesforce',
  'operations',
  'activation',
  'pubsub',
  'events',
  'sync',
  'poll',
  'records',
  'providers',
  'start-up',
];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean' } },
    allowPositionals: true,
  });
  const rows: Row[] = [];
  for (const part of PARTS.filter((name) => positionals.length === 0 || positionals.includes(name))) {
    const { rows: measure } = (await import(`./${part}.js`)) as { rows: () => Promise<Row[]> };
    const measured = await measure();
    rows.push(...measured);
    if (!values.json) for (const row of measured) console.log(inWords(row));
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2));
  process.exit(0);
}

function inWords({ name, value, unit, reference, ratio }: Row): string {
  const compared = reference === undefined ? '' : `  (reference ${reference.toLocaleString('en-US')})`;
  const factor = ratio === undefined ? '' : `  × ${ratio}`;
  return `${name.padEnd(64)} ${value.toLocaleString('en-US').padStart(10)} ${unit}${compared}${factor}`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

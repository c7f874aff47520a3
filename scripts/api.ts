/** `npm run api -- NAME`: a simulated API alone, until it is interrupted. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startApi, type ApiOptions } from '../test/apis/api';
import { CATALOG, isApiName } from '../test/apis/catalog';

const NAMES = Object.keys(CATALOG).join('|');

const HELP = `npm run api -- ${NAMES} [--port N] [--latency MS] [--seed FILE]

  --port     HTTP port; a free one where it isn't given
  --latency  simulated milliseconds of a call
  --seed     JSON file: {"contacts": [{"email": "…"}], "companies": 1000, …}; a number makes so many computed records

The first line on stdout is JSON {baseUrl, token, user?, oauth?, collections}. Control is under /_api.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: 'string' },
      latency: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return void process.stdout.write(`${HELP}\n`);
  const [name = ''] = positionals;
  if (positionals.length !== 1 || !isApiName(name))
    throw new Error(`which API? ${NAMES}, not "${positionals.join(' ')}"`);
  const api = await startApi(name, {
    port: number('port', values.port),
    latencyMs: number('latency', values.latency),
    seed:
      values.seed === undefined
        ? undefined
        : (JSON.parse(readFileSync(values.seed, 'utf8')) as ApiOptions['seed']),
  });
  const { baseUrl, token, user, oauth } = api;
  process.stdout.write(
    `${JSON.stringify({ baseUrl, token, user, oauth, collections: api.collections() })}\n`,
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void api.close().then(() => process.exit(0)));
}

function number(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`--${flag} wants a number, not "${text}"`);
  return Number(text);
}

main().catch((thrown: unknown) => {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
});

/** `npm run org`: the simulated org alone, until it is interrupted. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startOrg, type OrgOptions } from './org';

const HELP = `npm run org -- [--port N] [--pubsub-port N] [--tls] [--latency MS] [--record-latency MS] [--seed FILE]

  --port            HTTP port; a free one where it isn't given
  --pubsub-port     Pub/Sub API port; a free one where it isn't given
  --tls             serve HTTPS and the Pub/Sub API with a certificate of the org's own CA
  --latency         simulated milliseconds of a call
  --record-latency  simulated milliseconds of each record in it
  --seed            JSON file: {"Contact": [{"LastName": "…"}], …}

The first line on stdout is JSON {login, pubsub, clientId, clientSecret, username, password, ca?}.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      'pubsub-port': { type: 'string' },
      tls: { type: 'boolean' },
      latency: { type: 'string' },
      'record-latency': { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return void process.stdout.write(`${HELP}\n`);
  const seed =
    values.seed === undefined
      ? undefined
      : (JSON.parse(readFileSync(values.seed, 'utf8')) as OrgOptions['seed']);
  const org = await startOrg({
    port: number('port', values.port),
    pubsub: { port: number('pubsub-port', values['pubsub-port']) },
    latencyMs: number('latency', values.latency),
    recordLatencyMs: number('record-latency', values['record-latency']),
    tls: values.tls,
    seed,
  });
  const { pubsub, clientId, clientSecret, username, password, securityToken, ca } = org;
  process.stdout.write(
    `${JSON.stringify({ login: org.url, pubsub, clientId, clientSecret, username, password: password + securityToken, ca })}\n`,
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void org.close().then(() => process.exit(0)));
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

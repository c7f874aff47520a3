import { watch } from 'node:fs';
import { join } from 'node:path';
import { buildAll } from './build';
import { startStack } from './demo-stack';

/**
 * npm run dev [-- --port N]: the demo, with Node-RED restarted whenever a source changes. Flows live in .demo/ and
 * are kept from one run to the next; delete the folder to begin anew.
 */
const root = join(__dirname, '..');

async function main(): Promise<void> {
  const port = /--port[ =](\d+)/.exec(process.argv.join(' '))?.[1] ?? '1880';
  await buildAll();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.prependListener(signal, () => process.exit(0));
  const { red, org, nats } = await startStack({
    port: Number(port),
    home: join(root, '.demo'),
    onLine: (line) => console.log(line),
  });
  console.log(`\nNode-RED ${red.url} · org ${org.url} · nats-server ${nats.url}\n`);

  let working = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const rebuild = async () => {
    const changed = await buildAll().catch(() => []); // esbuild has said what is wrong
    if (changed.length === 0) return;
    console.log(`\n${changed.length} file(s) changed, restarting Node-RED\n`);
    await red.restart();
  };
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      working = working.then(rebuild).catch(console.error);
    }, 100);
  };
  for (const folder of ['nodes', 'icons']) watch(join(root, folder), { recursive: true }, changed);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});

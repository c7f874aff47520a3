import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../test/support/cleanup';
import { startNodeRed } from '../test/support/node-red';

/**
 * Packs the package and installs it as a palette does (--engine-strict, into an empty user folder) under each pair
 * of Node.js and Node-RED that is supported, starts it, and asks Node-RED which nodes, icons and examples it found.
 */
const PAIRS = [
  { node: '20', nodeRed: 4 },
  { node: '22', nodeRed: 5 },
  { node: '24', nodeRed: 5 },
] as const;

const run = promisify(execFile);
const root = join(__dirname, '..');

interface Manifest {
  name: string;
  version: string;
  'node-red': { nodes: Record<string, string> };
}

async function main(): Promise<void> {
  const folder = temporaryFolder('pack-check');
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder.path], { cwd: root });
  const tarball = join(folder.path, stdout.trim().split('\n').at(-1) ?? '');
  const { stdout: listing } = await run('tar', ['-tzf', tarball]);
  const examples = listing.split('\n').filter((path) => /^package\/examples\/.*\.json$/.test(path)).length;
  console.log(`packed ${listing.trim().split('\n').length} files`);
  for (const pair of PAIRS)
    console.log(await check(pair, tarball, examples, join(folder.path, `node-${pair.node}`)));
  folder.remove();
}

async function check(
  pair: (typeof PAIRS)[number],
  tarball: string,
  examples: number,
  folder: string,
): Promise<string> {
  const node = await installNode(pair.node, join(folder, 'node'));
  const userDir = join(folder, 'user');
  await install([tarball, '--engine-strict'], userDir, node);

  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const red = await startNodeRed({ version: pair.nodeRed, node: join(node, 'node'), userDir, flows: [] });
  try {
    const settings = (await red.api('GET', '/settings')) as { version: string };
    const sets = ((await red.api('GET', '/nodes')) as NodeSet[]).filter(
      (set) => set.module === manifest.name,
    );
    for (const name of Object.keys(manifest['node-red'].nodes)) {
      const set = sets.find((candidate) => candidate.name === name);
      if (!set) throw new Error(`Node-RED does not list ${name}`);
      if (set.err || !set.enabled || !set.types.includes(name)) {
        throw new Error(
          `${name} did not load: ${set.err ? JSON.stringify(set.err) : `its types are ${set.types.join(', ') || 'none'}`}`,
        );
      }
      const html = await fetch(`${red.url}/nodes/${manifest.name}/${name}`, {
        headers: { Accept: 'text/html' },
      });
      const text = await html.text();
      if (!text.includes(`registerType("${name}"`))
        throw new Error(`the editor gets no registration of ${name}`);
    }
    const icons = ((await red.api('GET', '/icons')) as Record<string, string[]>)[manifest.name] ?? [];
    if (icons.length === 0 || icons.length !== new Set(icons).size)
      throw new Error(`icons: ${icons.join(', ') || 'none'}`);
    const found = ((await red.api('GET', `/library/examples/flows/${manifest.name}`)) as unknown[]).length;
    if (found !== examples) throw new Error(`Node-RED lists ${found} of ${examples} examples`);
    return `Node ${pair.node} + Node-RED ${settings.version}: ${sets.length} nodes, ${icons.length} icons, ${found} examples`;
  } finally {
    await red.stop();
  }
}

interface NodeSet {
  name: string;
  module: string;
  types: string[];
  enabled: boolean;
  err?: unknown;
}

/** Folder that holds the `node` binary of that line, from the npm package that carries it. */
async function installNode(line: string, folder: string): Promise<string> {
  await install([`node@${line}`], folder);
  const bin = join(folder, 'node_modules', 'node', 'bin');
  const { stdout } = await run(join(bin, 'node'), ['--version']);
  if (!stdout.startsWith(`v${line}.`)) throw new Error(`asked for Node ${line}, got ${stdout.trim()}`);
  return bin;
}

/** npm install into a folder of its own; npm itself runs on the Node of `bin`, whose version it then checks. */
async function install(what: string[], folder: string, bin?: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'pack-check', private: true }));
  const PATH = bin ? `${bin}${delimiter}${process.env.PATH}` : process.env.PATH;
  const args = ['install', '--no-audit', '--no-fund', '--no-save', ...what];
  await run('npm', args, { cwd: folder, env: { ...process.env, PATH } });
}

main().catch((error: Error & { stderr?: string }) => {
  console.error(error.stderr || error.message);
  process.exit(1);
});

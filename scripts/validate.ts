import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../test/support/cleanup';

/**
 * npm run validate: the flow library's own tool over the package as users get it. The tool's 300 packages, which
 * nobody looks after any more, stay out of the lock file: they come into a folder of their own, run nothing when they
 * are installed, write nowhere else, and find nothing in the environment.
 *
 * What the tool asks the network for, it asks here: packages are answered by the npm client, from whatever registry
 * that is set up with; the catalogue of published nodes is fetched, and empty where it is out of reach.
 */
const TOOL = 'node-red-dev@0.1.6';
const RULES = ['P01', 'P03', 'P04', 'P05', 'P06', 'P07', 'P08', 'N01', 'N02', 'D01', 'D02', 'D03'];

/** Rules that need not be true, and why. */
const ACCEPTED: Record<string, string> = {
  P07: "Node 22.9 to 22.18, which Node-RED takes, jsforce's HTTP client does not: README.md says so, and engines",
  D03: 'what a dependency published today is taken when somebody has looked at it',
};

/** What the tool writes: by rule, whether it is true, and what it found. */
export type Scorecard = Record<string, { test?: boolean; [found: string]: unknown }>;

const run = promisify(execFile);
/** Milliseconds for each command: a registry that doesn't answer must not hold CI up. */
const timeout = 300_000;
const root = join(__dirname, '..');

/** The rules that aren't true, in words, and of these those that must be. Fails where a rule has no verdict. */
export function judge(scorecard: Scorecard): { accepted: string[]; failed: string[] } {
  const open = RULES.filter((rule) => typeof scorecard[rule]?.test !== 'boolean');
  if (open.length > 0) throw new Error(`The tool came to no verdict on ${open.join(', ')}`);
  const accepted: string[] = [];
  const failed: string[] = [];
  for (const [rule, { test, ...found }] of Object.entries(scorecard)) {
    if (test !== false) continue;
    const why = ACCEPTED[rule];
    if (why) accepted.push(`${rule} is not true, and need not be: ${why}`);
    else failed.push(`${rule} is not true: ${JSON.stringify(found)}`);
  }
  return { accepted, failed };
}

async function main(): Promise<void> {
  const folder = temporaryFolder('validate');
  const tool = join(folder.path, 'tool');
  mkdirSync(tool);
  writeFileSync(join(tool, 'package.json'), '{ "private": true }');
  await npm(['install', '--no-audit', '--no-fund', '--ignore-scripts', TOOL], tool).catch((error: Error) => {
    throw new Error(`Nothing was validated: npm can't fetch ${TOOL}. Is there a network?\n${error.message}`);
  });
  const packed = await npm(['pack', '--silent', '--ignore-scripts', '--pack-destination', folder.path]);
  await run('tar', ['-xzf', join(folder.path, packed.trim()), '-C', folder.path]);

  const answers = await answering();
  const output = join(folder.path, 'scorecard.json');
  const { stdout, stderr } = await run(
    process.execPath,
    [
      ...['--no-warnings', '--permission', '--allow-fs-read=*', `--allow-fs-write=${folder.path}`],
      ...[join(tool, 'node_modules/node-red-dev/bin/run'), 'validate'],
      ...['--path', join(folder.path, 'package'), '--output', output],
    ],
    // It reads its variables as npm once did, and sends what is for https to a proxy in the clear.
    {
      timeout,
      cwd: folder.path,
      env: { HOME: folder.path, npm_registry: answers.url, https_proxy: answers.url },
    },
  );
  answers.close();
  console.log(`${stdout}${stderr}`.trim());
  const { accepted, failed } = judge(JSON.parse(readFileSync(output, 'utf8')) as Scorecard);
  folder.remove();
  for (const each of [...accepted, ...answers.missing]) console.warn(each);
  for (const each of [...failed, ...answers.refused]) console.error(each);
  if (failed.length + answers.refused.length > 0) process.exitCode = 1;
}

/**
 * An HTTP server that answers as a registry and as the proxy to the catalogue. `refused` names the packages that npm
 * did not find, which the tool would pass over; `missing` says that there was no catalogue.
 */
async function answering() {
  const refused: string[] = [];
  const missing = new Set<string>();
  const known = new Map<string, Promise<unknown>>();
  const packageOf = async (name: string) => {
    try {
      return await askNpm(name);
    } catch (error) {
      refused.push(`npm does not know ${name}: ${(error as Error).message}`);
      return {};
    }
  };
  const catalogue = async (url: string) => {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
      return (await answer.json()) as unknown;
    } catch {
      missing.add('The catalogue is out of reach: names (P08, N01) were compared with none');
      return { modules: [] };
    }
  };
  const answer = (url: string): Promise<unknown> => {
    const { href, pathname } = new URL(url, 'http://127.0.0.1');
    if (pathname.endsWith('/catalogue.json')) return catalogue(href);
    const name = decodeURIComponent(pathname.slice(1));
    const asked = known.get(name) ?? packageOf(name);
    known.set(name, asked);
    return asked;
  };
  const server = createServer((request, response) => {
    void answer(request.url ?? '').then((body) => response.end(JSON.stringify(body)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, refused, missing, close: () => void server.close() };
}

/** A package as a registry has it, as far as the tool reads: its tags, and what each version needs. */
async function askNpm(name: string): Promise<unknown> {
  const fields = ['name', 'version', 'dependencies', 'engines', 'dist-tags'];
  const said = await npm(['view', `${name}@>=0.0.0`, ...fields, '--json']);
  const found = [JSON.parse(said)].flat() as { version: string; 'dist-tags': object }[];
  const versions = Object.fromEntries(found.map((each) => [each.version, each]));
  return { name, versions, 'dist-tags': found[0]?.['dist-tags'] };
}

async function npm(args: string[], cwd = root): Promise<string> {
  return (await run('npm', args, { timeout, cwd, maxBuffer: 2 ** 26 })).stdout;
}

if (require.main === module)
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });

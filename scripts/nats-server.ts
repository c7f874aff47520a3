import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, chmod, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { debianPackage } from './debian';

const run = promisify(execFile);

/** `latest`: 2.10 or newer, the newest that can be had. `2.10`: that line, for the compatibility tests. */
export type NatsVersion = 'latest' | '2.10';

const SUITES: Record<NatsVersion, string> = { latest: 'unstable', '2.10': 'trixie' };

/**
 * Path of a nats-server binary that runs: $NATS_SERVER, else one on PATH, else one fetched before, else one fetched
 * now by Debian's own package client into the cache folder, without root and touching nothing else. Any number of
 * processes may ask at once.
 */
export async function natsServerPath(version: NatsVersion = 'latest'): Promise<string> {
  const named = process.env.NATS_SERVER;
  if (named) {
    const found = await versionOf(named);
    if (!found)
      throw new Error(`NATS_SERVER is ${named}, which does not run as a nats-server; correct or unset it`);
    if (fits(found, version)) return named;
    if (version === 'latest')
      throw new Error(`NATS_SERVER is ${named}, version ${found}; 2.10 or newer is needed`);
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const cached = join(cacheFolder(), `nats-server-${version}`);
  for (const path of [...folders.map((folder) => join(folder, 'nats-server')), cached]) {
    if (fits(await versionOf(path), version)) return path;
  }
  return fetchServer(version, cached);
}

async function fetchServer(version: NatsVersion, target: string): Promise<string> {
  await mkdir(cacheFolder(), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'fetch-'));
  try {
    console.error(`fetching nats-server ${version} from Debian ${SUITES[version]} into ${cacheFolder()}`);
    const tree = await debianPackage('nats-server', SUITES[version], work);
    const binary = ['usr/sbin', 'usr/bin']
      .map((folder) => join(tree, folder, 'nats-server'))
      .find(existsSync);
    const found = binary && (await versionOf(binary));
    if (!binary || !fits(found, version)) {
      throw new Error(
        `Debian ${SUITES[version]} holds ${found ? `nats-server ${found}` : 'no nats-server that runs here'}`,
      );
    }
    await chmod(binary, 0o755);
    await rename(binary, target);
    return target;
  } catch (error) {
    throw new Error(
      `no nats-server ${version === 'latest' ? '2.10 or newer' : version} was found, and none could be fetched: ` +
        `${error instanceof Error ? error.message : String(error)}\n` +
        'Install one (macOS: brew install nats-server; Debian 13, Ubuntu 24.04 or newer: apt install nats-server; ' +
        'or take the binary out of the container image "nats") and put it on PATH or name it in $NATS_SERVER.',
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** "2.15.1", or undefined where the path is no nats-server that runs here. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return /^nats-server: v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function fits(found: string | undefined, wanted: NatsVersion): boolean {
  const [major = 0, minor = 0] = (found ?? '0').split('.').map(Number);
  return wanted === '2.10' ? major === 2 && minor === 10 : major > 2 || (major === 2 && minor >= 10);
}

export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'jetforce');
}

if (require.main === module) {
  const asked = process.argv.join(' ').match(/--version[ =](\S+)/)?.[1] ?? 'latest';
  if (asked !== 'latest' && asked !== '2.10') {
    console.error(`--version ${asked}: write 2.10 or latest`);
    process.exit(2);
  }
  natsServerPath(asked).then(console.log, (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

/** The Salesforce CLI, for the tests that drive the simulated org with it: too big for the dependencies of the repository. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './nats-server';

const run = promisify(execFile);
const VERSION = '2.150.6';
const ENTRY = 'node_modules/@salesforce/cli/bin/run.js';
const INSTALL_MS = 10 * 60_000;

/**
 * Path of the script that node 22 or later runs as `sf`: installed before, or now by npm, into the cache folder and
 * without running anybody's install scripts. Any number of processes may ask at once.
 */
export async function salesforceCliPath(): Promise<string> {
  const home = join(cacheFolder(), `salesforce-cli-${VERSION}`);
  const entry = join(home, ENTRY);
  if (existsSync(entry)) return entry;
  await mkdir(cacheFolder(), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'fetch-'));
  try {
    console.error(`installing the Salesforce CLI ${VERSION} into ${cacheFolder()}`);
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'];
    const args = ['install', '--prefix', work, ...quiet, `@salesforce/cli@${VERSION}`];
    await run('npm', args, { timeout: INSTALL_MS, cwd: work });
    await rename(work, home);
  } catch (error) {
    // Another process may have been quicker.
    if (!existsSync(entry))
      throw new Error(
        `the Salesforce CLI ${VERSION} could not be installed: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return entry;
}

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser } from 'playwright-core';
import { cacheFolder } from '../../scripts/nats-server';
import { root } from '../support/user-dir';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const bundledFits = process.platform === 'linux' && process.arch === 'x64';

/** Where Chrome, Edge or Chromium is installed, if it is. */
const installed = bundledFits ? undefined : candidates().find((path) => existsSync(path));

/**
 * Why the editor tests can't run here, for their `skip`; false where they can. In CI they run anyway, and fail:
 * a browser that is missing there must not go unnoticed.
 */
export const skip: string | false =
  !bundledFits && installed === undefined && !process.env['CI']
    ? 'no browser: install Google Chrome, Microsoft Edge or Chromium (on Linux x64 one comes with npm ci)'
    : false;

/** A headless Chromium: on Linux x64 the one that comes as a development dependency, elsewhere an installed one. */
export async function startBrowser(): Promise<Browser> {
  if (bundledFits) return bundled();
  if (installed === undefined)
    throw new Error('no browser: install Google Chrome, Microsoft Edge or Chromium');
  return chromium.launch({ executablePath: installed, args: FLAGS });
}

function candidates(): string[] {
  const programs = [
    process.env['PROGRAMFILES'],
    process.env['PROGRAMFILES(X86)'],
    process.env['LOCALAPPDATA'],
  ];
  const onPath = (process.env['PATH'] ?? '').split(delimiter);
  return [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ...programs.flatMap((folder) => [
      join(folder ?? '', 'Google/Chrome/Application/chrome.exe'),
      join(folder ?? '', 'Microsoft/Edge/Application/msedge.exe'),
    ]),
    ...['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser', 'microsoft-edge'].flatMap(
      (name) => onPath.map((folder) => join(folder, name)),
    ),
  ];
}

async function bundled(): Promise<Browser> {
  const folder = await unpacked();
  const launch = (env: Record<string, string | undefined>) =>
    chromium.launch({
      executablePath: join(folder, 'chromium'),
      args: FLAGS,
      env: { ...process.env, ...env },
    });
  // Its own libraries (NSS and what that needs) only where the machine has none: elsewhere the machine's fit better.
  return launch({}).catch(() => launch({ LD_LIBRARY_PATH: join(folder, 'al2023', 'lib') }));
}

/** The folder with the unpacked browser, unpacked once; several test files may ask at the same time. */
async function unpacked(): Promise<string> {
  const manifest = join(root, 'node_modules', '@sparticuz', 'chromium', 'package.json');
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const folder = join(cacheFolder(), `chromium-${version}`);
  if (existsSync(folder)) return folder;

  await mkdir(cacheFolder(), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'unpack-'));
  try {
    // In a process of its own: the package unpacks into the temporary folder, and its libraries only for Lambda.
    await promisify(execFile)(process.execPath, ['-e', "require('@sparticuz/chromium').executablePath()"], {
      cwd: root,
      env: { ...process.env, TMPDIR: work, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
    });
    await rename(work, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

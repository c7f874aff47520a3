import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** One source of packages, the fields that matter here, as deb822 writes them. */
export type Source = Record<'URIs' | 'Suites' | 'Components', string> & {
  'Signed-By'?: string;
  Trusted?: string;
};

/**
 * Fetches a package of any Debian suite through the machine's own mirror and unpacks it under `work`, as any user,
 * with lists, cache and sources of its own: nothing of the system changes. Returns the unpacked tree. What apt
 * can't verify is refused.
 */
export async function debianPackage(
  name: string,
  suite: string,
  work: string,
  source?: Source,
): Promise<string> {
  source ??= await ownSource();
  try {
    return await fetchPackage(name, { ...source, Suites: suite }, join(work, suite));
  } catch (error) {
    // An older system may not know the keys that sign a newer suite. Its own suite holds a keyring that does.
    if (!/NO_PUBKEY|not signed|couldn't be verified/.test(String(error))) throw error;
    const keys = await fetchPackage('debian-archive-keyring', source, join(work, 'keys'));
    const [keyring] = globSync(join(keys, 'usr/share/keyrings/debian-archive-keyring.{pgp,gpg}'));
    return fetchPackage(
      name,
      { ...source, Suites: suite, 'Signed-By': keyring },
      join(work, `${suite}-newer-keys`),
    );
  }
}

async function fetchPackage(name: string, source: Source, folder: string): Promise<string> {
  const at = (path: string) => join(folder, path);
  await Promise.all(
    ['lists/partial', 'archives/partial', 'sources'].map((path) => mkdir(at(path), { recursive: true })),
  );
  const stanza = Object.entries({ Types: 'deb', ...source }).filter(([, value]) => value);
  await writeFile(at('sources/own.sources'), stanza.map(([key, value]) => `${key}: ${value}\n`).join(''));
  await writeFile(
    at('apt.conf'),
    [
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      'Dir::Etc::sourcelist "/dev/null";',
      `Dir::Etc::sourceparts "${at('sources')}";`,
      'Dir::Etc::preferences "/dev/null";',
      'Dir::Etc::preferencesparts "/dev/null";',
      `Dir::State::lists "${at('lists')}";`,
      `Dir::Cache "${folder}";`,
      'Acquire::Languages "none";',
      'Acquire::Retries "3";',
      'APT::Default-Release "";',
      'APT::Sandbox::User "root";', // apt's own user can't write into a private folder; without root it has no effect
    ].join('\n'),
  );
  const apt = (...args: string[]) =>
    run('apt-get', ['-c', at('apt.conf'), '-qq', ...args], {
      cwd: folder,
      env: { ...process.env, LC_ALL: 'C' },
    });
  await apt('update', '--error-on=any');
  await apt('download', name);
  const [deb] = globSync(at('*.deb'));
  if (!deb) throw new Error(`apt-get download ${name} left no package`);
  await run('dpkg', ['-x', deb, at('tree')]);
  return at('tree');
}

/** Where this machine takes Debian's main packages from. */
async function ownSource(): Promise<Source> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID=["']?debian\b/m.test(release))
    throw new Error('this is not Debian, whose package client would fetch it');
  const codename = /^VERSION_CODENAME=["']?(\w+)/m.exec(release)?.[1] ?? 'stable';
  const files = globSync(['/etc/apt/sources.list.d/*.{sources,list}', '/etc/apt/sources.list']);
  const texts = await Promise.all(files.map(async (file) => ({ file, text: await readFile(file, 'utf8') })));
  const sources = texts.flatMap(({ file, text }) =>
    file.endsWith('.sources') ? readDeb822(text) : readOneLine(text),
  );
  const own = pickSource(sources, codename);
  if (!own) throw new Error(`none of this machine's package sources is Debian's (${codename} main)`);
  return own;
}

/** The source that holds Debian's own release (not its security updates, nor anyone else's packages). */
export function pickSource(sources: Source[], codename: string): Source | undefined {
  const releases = [codename, 'stable', 'testing', 'unstable', 'sid'];
  for (const source of sources) {
    const suite = source.Suites.split(/\s+/).find((name) => releases.includes(name));
    if (suite && source.Components.split(/\s+/).includes('main'))
      return { ...source, Suites: suite, Components: 'main' };
  }
  return undefined;
}

/** The enabled binary sources of a file in the deb822 form; a Signed-By that is a whole key keeps its lines. */
export function readDeb822(text: string): Source[] {
  return text
    .replace(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .map((stanza) => {
      const fields = stanza.matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm);
      return new Map([...fields].map(([, key = '', value = '']) => [key.toLowerCase(), value.trim()]));
    })
    .filter((fields) => /\bdeb\b(?!-)/.test(fields.get('types') ?? '') && fields.get('enabled') !== 'no')
    .map((fields) => ({
      URIs: fields.get('uris') ?? '',
      Suites: fields.get('suites') ?? '',
      Components: fields.get('components') ?? '',
      'Signed-By': fields.get('signed-by'),
      Trusted: fields.get('trusted'),
    }));
}

/** The binary sources of a file in the form `deb [signed-by=…] uri suite component …`. */
export function readOneLine(text: string): Source[] {
  const lines = text.matchAll(/^[ \t]*deb[ \t]+(?:\[([^\]]*)\][ \t]*)?(\S+)[ \t]+(\S+)[ \t]+([^#\n]+)/gm);
  return [...lines].map(([, options = '', uri = '', suite = '', components = '']) => ({
    URIs: uri,
    Suites: suite,
    Components: components.trim(),
    'Signed-By': /signed-by=(\S+)/.exec(options)?.[1]?.replaceAll(',', ' '),
    Trusted: /trusted=(\S+)/.exec(options)?.[1],
  }));
}

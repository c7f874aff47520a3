import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes docs/dependencies.md from package-lock.json: `npx tsx scripts/dependencies.ts`. Not a part of `npm run docs`:
 * whoever runs it has looked at what is new.
 */
export const PAGE = join(__dirname, '../docs/dependencies.md');

const LOCK = join(__dirname, '../package-lock.json');

/** Licences that ask for no more than being named. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unlicense',
]);

/** Packages that may run something when they are installed, and what that does. */
const INSTALL_SCRIPTS: Record<string, string> = {
  'core-js': 'prints a request for donations',
  'core-js-pure': 'prints a request for donations',
  protobufjs: 'warns where a package.json names it with another kind of version range',
};

/** What npm's lock file (version 3) says of a package; the one of this project stands under "". */
interface Locked {
  version?: string;
  license?: string;
  /** Needed by development alone. */
  dev?: boolean;
  hasInstallScript?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

export interface Lock {
  /** By folder: "node_modules/a/node_modules/b". */
  packages: Record<string, Locked>;
}

export interface Dependency {
  name: string;
  version: string;
  licence: string;
  runsAtInstall: boolean;
  /** The range that package.json asks for; undefined where others bring it. */
  range: string | undefined;
  /** The direct dependencies that bring it, itself included. */
  broughtBy: string[];
}

export function readLock(): Lock {
  return JSON.parse(readFileSync(LOCK, 'utf8')) as Lock;
}

/** Everything that installing the package brings along, sorted by name and version. */
export function dependenciesOf({ packages }: Lock): Dependency[] {
  const direct = packages['']?.dependencies ?? {};
  const broughtBy = new Map<string, string[]>();
  for (const name of Object.keys(direct))
    for (const folder of reached(packages, name))
      broughtBy.set(folder, [...(broughtBy.get(folder) ?? []), name]);
  return Object.entries(packages)
    .filter(([folder, { dev }]) => folder !== '' && !dev)
    .map(([folder, { version = '', license = 'none', hasInstallScript = false }]) => {
      const name = nameOf(folder);
      return {
        name,
        version,
        licence: license,
        runsAtInstall: hasInstallScript,
        range: folder === `node_modules/${name}` ? direct[name] : undefined,
        broughtBy: broughtBy.get(folder) ?? [],
      };
    })
    .sort((a, b) => compare(a.name, b.name) || compare(a.version, b.version));
}

/** What speaks against a dependency; none where nothing does. */
export function objectionsTo({ name, version, licence, runsAtInstall }: Dependency): string[] {
  const objections: string[] = [];
  if (!isAllowed(licence)) objections.push(`${name} ${version} has the licence ${licence}`);
  if (runsAtInstall && !Object.hasOwn(INSTALL_SCRIPTS, name))
    objections.push(`${name} ${version} runs a script when it is installed`);
  return objections;
}

export function dependenciesPage(lock: Lock): string {
  const rows = dependenciesOf(lock).map(({ name, version, licence, runsAtInstall, range, broughtBy }) =>
    row(
      range ? `**${name}** ${range}` : name,
      version,
      licence,
      broughtBy.filter((each) => each !== name).join(', '),
      runsAtInstall ? (INSTALL_SCRIPTS[name] ?? 'not accepted') : '',
    ),
  );
  return `# Dependencies

What installing this package brings along: what it asks for itself in bold with the range, then the version that it is
built and tested with. CI fails where a package is added, changes, comes under a licence that isn't allowed, or runs a
script at its installation that isn't accepted by name (\`scripts/dependencies.ts\`). None of the scripts is needed:
\`npm install --ignore-scripts\` works as well.

${[row('Package', 'Version', 'Licence', 'Brought by', 'What it runs when it is installed'), row('---', '---', '---', '---', '---'), ...rows].join('\n')}

<!-- Made by scripts/dependencies.ts from package-lock.json. -->
`;
}

/** "MIT", or "(MIT OR X)" where one of them is enough. */
function isAllowed(licence: string): boolean {
  return licence
    .replace(/^\((.*)\)$/, '$1')
    .split(' OR ')
    .some((each) => LICENCES.has(each));
}

/** The folders of a direct dependency and of all that it needs. */
function reached(packages: Lock['packages'], direct: string): Set<string> {
  const found = new Set<string>();
  const visit = (name: string, from: string): void => {
    const folder = resolve(packages, name, from);
    if (folder === undefined || found.has(folder)) return;
    found.add(folder);
    const { dependencies, optionalDependencies, peerDependencies } = packages[folder] ?? {};
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      visit(next, folder);
  };
  visit(direct, '');
  return found;
}

/** Where Node finds a package from another one's folder. */
function resolve(packages: Lock['packages'], name: string, from: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (Object.hasOwn(packages, candidate)) return candidate;
    if (folder === '') return undefined;
  }
}

function nameOf(folder: string): string {
  return folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function row(...cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

if (require.main === module) {
  const objections = dependenciesOf(readLock()).flatMap(objectionsTo);
  for (const objection of objections) console.error(objection);
  if (objections.length > 0) process.exitCode = 1;
  else writeFileSync(PAGE, dependenciesPage(readLock()));
}

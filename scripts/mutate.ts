import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordScore, type Mutant, type Explanation } from './mutation-scores';

/**
 * npm run mutate -- PATH … [--tests part,part] [--lines 10-60] [--survivors] [--concurrency N]
 *
 * Changes a source file in one place at a time (StrykerJS) and runs the nearest tests on each change: a test has to
 * fail. The nearest tests of nodes/ROOM/NAME.ts are test/ROOM/NAME.test.ts and NAME-*.test.ts; `--tests` adds files
 * whose path contains a part.
 * A run over a whole file writes its score into test/mutation.md. `--survivors` tries again what no test noticed the
 * last time, as long as the source file hasn't changed. A survivor that no test can tell is explained in
 * test/mutation/NAME.json: [{line, mutant?, why}].
 */
const root = join(__dirname, '..');
const WORK = '.stryker';
const { values, paths } = readArguments(process.argv.slice(2));

function readArguments(args: string[]): { values: Map<string, string>; paths: string[] } {
  const values = new Map<string, string>();
  const paths: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? '';
    if (argument === '--survivors') values.set('survivors', 'yes');
    else if (argument.startsWith('--')) values.set(argument.slice(2), args[++i] ?? '');
    else paths.push(argument);
  }
  return { values, paths };
}

/** "nodes/shared/lease.ts" → "shared-lease". */
function slugOf(path: string): string {
  return path
    .replace(/^nodes\//, '')
    .replace(/\.ts$/, '')
    .replaceAll('/', '-');
}

function nearestTests(path: string): string[] {
  const beside = path.replace(/^nodes/, 'test').replace(/\.ts$/, '');
  const parts = values.get('tests')?.split(',') ?? [];
  return globSync('test/**/*.test.ts', { cwd: root })
    .filter(
      (file) =>
        file === `${beside}.test.ts` ||
        file.startsWith(`${beside}-`) ||
        parts.some((part) => file.includes(part)),
    )
    .sort();
}

interface Report {
  files: Record<string, { source: string; mutants: Mutant[] }>;
}

function mutate(path: string): boolean {
  const slug = slugOf(path);
  const tests = nearestTests(path);
  if (tests.length === 0) {
    console.error(`${path}: no test file is named after it; name some with --tests`);
    return false;
  }
  const reportFile = join(WORK, `${slug}.json`);
  const before = values.has('survivors') ? readReport(reportFile) : undefined;
  const ranges = before ? survivorsOf(before).map(rangeOf) : (values.get('lines')?.split(',') ?? []);
  const fresh = join(WORK, `${slug}-run.json`);
  const config = {
    mutate: ranges.length > 0 ? ranges.map((range) => `${path}:${range}`) : [path],
    testRunner: 'command',
    commandRunner: { command: `"${process.execPath}" ${WORK}-bundle/main.cjs` },
    buildCommand: `${process.execPath.replaceAll(' ', '\\ ')} --import=tsx scripts/mutation-bundle.ts ${tests.join(' ')}`,
    coverageAnalysis: 'off',
    concurrency: Number(values.get('concurrency') ?? 2),
    timeoutMS: 4_000,
    timeoutFactor: 2,
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: fresh },
    tempDirName: join(WORK, `tmp-${slug}`),
    ignorePatterns: ['dist', 'docs', '.github', '.demo', '*.tgz'],
    ignoreStatic: false,
    allowConsoleColors: false,
    disableTypeChecks: true,
  };
  mkdirSync(join(root, WORK), { recursive: true });
  const configFile = join(WORK, `${slug}-config.json`);
  writeFileSync(join(root, configFile), JSON.stringify(config));
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const { status } = spawnSync(process.execPath, [stryker, 'run', configFile], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) return false;
  const report = readReport(fresh);
  const file = report?.files[path];
  if (!report || !file) return false;
  const all = before?.files[path] ? merged(before.files[path].mutants, file.mutants) : file.mutants;
  writeFileSync(join(root, reportFile), JSON.stringify({ files: { [path]: { ...file, mutants: all } } }));
  rmSync(join(root, fresh));
  const whole = before !== undefined || ranges.length === 0;
  recordScore({ path, tests, source: file.source, mutants: all, explanations: explanationsOf(slug), whole });
  return true;
}

function readReport(path: string): Report | undefined {
  const file = join(root, path);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
}

function explanationsOf(slug: string): Explanation[] {
  const file = join(root, 'test/mutation', `${slug}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Explanation[]) : [];
}

function survivorsOf(report: Report): Mutant[] {
  return Object.values(report.files).flatMap(({ mutants }) =>
    mutants.filter(({ status }) => status === 'Survived'),
  );
}

/** As Stryker writes it: lines from 1, columns from 0. */
function rangeOf({ location: { start, end } }: Mutant): string {
  return `${start.line}:${start.column - 1}-${end.line}:${end.column - 1}`;
}

function merged(before: Mutant[], now: Mutant[]): Mutant[] {
  const key = (mutant: Mutant): string =>
    JSON.stringify([mutant.location, mutant.mutatorName, mutant.replacement]);
  const latest = new Map(now.map((mutant) => [key(mutant), mutant]));
  return before.map((mutant) => latest.get(key(mutant)) ?? mutant);
}

if (paths.length === 0) console.error('npm run mutate -- PATH …, for example nodes/shared/lease.ts');
process.exitCode = paths.length > 0 && paths.map(mutate).every(Boolean) ? 0 : 1;

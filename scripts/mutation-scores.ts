import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Place {
  line: number;
  column: number;
}

/** One change of a source file, as Stryker reports it. */
export interface Mutant {
  mutatorName: string;
  replacement?: string;
  location: { start: Place; end: Place };
  status: string;
}

/** Why a change of a line (trimmed) can't be told by any test; without `mutant`, any change of it. */
export interface Explanation {
  line: string;
  mutant?: string;
  why: string;
}

export interface Run {
  path: string;
  tests: string[];
  source: string;
  mutants: Mutant[];
  explanations: Explanation[];
  /** All of the file was tried: the score is worth keeping. */
  whole: boolean;
}

interface Survivor {
  place: Place;
  line: string;
  mutant: string;
  why: string | undefined;
}

const SCORES = join(__dirname, '..', 'test/mutation.md');
const HEAD = `# Mutation scores

Made by \`npm run mutate -- PATH\`: each source file is changed in one place at a time, and its nearest tests have to notice.
Score: changes that were noticed, of all that can be told from the original (equivalent ones are explained below).

| file | changes | noticed | equivalent | survived | score |
|---|---|---|---|---|---|
`;

/** Prints what survived and, after a run over a whole file, keeps its score. */
export function recordScore(run: Run): void {
  const survivors = survivorsOf(run);
  const tried = run.mutants.filter(({ status }) => /Killed|Timeout|Survived|NoCoverage/.test(status)).length;
  const equivalent = survivors.filter(({ why }) => why !== undefined).length;
  const left = survivors.filter(({ why }) => why === undefined);
  const noticed = tried - survivors.length;
  const score = tried === equivalent ? 100 : (100 * noticed) / (tried - equivalent);
  for (const { place, line, mutant } of left)
    console.log(`${run.path}:${place.line}:${place.column}\n    ${line}\n    → ${mutant}`);
  console.log(
    `${run.path}: ${tried} changes, ${noticed} noticed, ${equivalent} equivalent, ${left.length} survived: ${score.toFixed(1)} % (${run.tests.join(', ')})`,
  );
  if (!run.whole) return;
  const row = `| ${run.path} | ${tried} | ${noticed} | ${equivalent} | ${left.length} | ${score.toFixed(1)} % |`;
  write(run.path, row, survivors);
}

function survivorsOf({ mutants, source, explanations }: Run): Survivor[] {
  const lines = source.split('\n');
  return mutants
    .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
    .map(({ location: { start }, replacement = '' }) => {
      const line = (lines[start.line - 1] ?? '').trim();
      const mutant = replacement.replace(/\s+/g, ' ').slice(0, 100);
      const known = explanations.find(
        (one) =>
          one.line === line &&
          (one.mutant === undefined || one.mutant.replace(/\s+/g, ' ').slice(0, 100) === mutant),
      );
      return { place: start, line, mutant, why: known?.why };
    });
}

/** A merge of two branches may have put a row below a list, which Prettier takes for a part of it. */
const tidy = (line: string): string => line.trim().replace(/^(\|.*)/, (row) => row.replace(/ +/g, ' '));

/** One line for each file and each survivor, so that runs of different files can be merged line by line. */
function write(path: string, row: string, survivors: Survivor[]): void {
  const known = existsSync(SCORES) ? readFileSync(SCORES, 'utf8').split('\n').map(tidy) : [];
  const code = (text: string): string => `\`${text.replaceAll('`', "'")}\``;
  const rows = known.filter((line) => line.startsWith('| nodes/') && !line.startsWith(`| ${path} |`));
  const notes = known.filter((line) => line.startsWith('- nodes/') && !line.startsWith(`- ${path}:`));
  const added = survivors.map(
    ({ line, mutant, why }) => `- ${path}: ${code(line)} → ${code(mutant)}: ${why ?? '**not noticed**'}`,
  );
  const sorted = (lines: string[]): string => [...new Set(lines)].sort().join('\n');
  writeFileSync(
    SCORES,
    `${HEAD}${sorted([...rows, row])}\n\n## What survives\n\n${sorted([...notes, ...added])}\n`,
  );
}

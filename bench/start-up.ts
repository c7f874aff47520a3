import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, round, type Row } from './row';

const ROUNDS = 9;
const root = join(__dirname, '..');

/** What loading every node file of this package adds to the start of Node-RED, in a process of its own each time. */
export function rows(): Promise<Row[]> {
  const {
    'node-red': { nodes },
  } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    'node-red': { nodes: Record<string, string> };
  };
  const files = Object.values(nodes).map((file) => join(root, file));
  const times: number[] = [];
  for (let n = 0; n < ROUNDS; n++) times.push(load(files));
  return Promise.resolve([{ name: 'start-up time added', value: round(median(times), 1), unit: 'ms' }]);
}

function load(files: string[]): number {
  // What Node-RED itself has loaded before is not this package's cost.
  const script = `
    require(${JSON.stringify(join(root, 'node_modules', '@node-red', 'util'))});
    const from = performance.now();
    for (const file of ${JSON.stringify(files)}) require(file);
    process.stdout.write(String(performance.now() - from));`;
  return Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
}

import { buildSync } from 'esbuild';
import { join } from 'node:path';
import { startChild, type Child } from '../../support/child';
import { temporaryFolder } from '../../support/cleanup';
import type { RunnerSettings } from './runner';

let built: string | undefined;

/** The runner in one file: what is killed again and again starts quickly. */
function runner(): string {
  if (built !== undefined) return built;
  const outfile = join(temporaryFolder('runner').path, 'runner.cjs');
  buildSync({
    entryPoints: [join(__dirname, 'runner.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    logLevel: 'warning',
  });
  return (built = outfile);
}

/** A process that runs a sync. */
export class Instance {
  private child: Child;
  private readonly log: string[] = [];

  constructor(private readonly settings: RunnerSettings) {
    this.child = this.spawn();
  }

  get pid(): number {
    return this.child.pid;
  }

  start(): void {
    this.child = this.spawn();
  }

  async kill(): Promise<void> {
    this.log.push('killed');
    await this.child.end('SIGKILL');
  }

  freeze(): void {
    this.child.signal('SIGSTOP');
  }

  wake(): void {
    this.child.signal('SIGCONT');
  }

  lines(): string {
    return this.log.slice(-60).join('\n');
  }

  private spawn(): Child {
    return startChild(process.execPath, [runner(), JSON.stringify(this.settings)], { log: this.log });
  }
}

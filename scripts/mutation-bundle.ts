import { build, type Plugin } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Makes one plain script of the test files named, which ends at the first failing test: a mutant costs the start of
 * Node.js and the tests, nothing else. Run by StrykerJS in its copy of the project.
 */
const files = process.argv.slice(2);

/** A bundled file keeps the idea of where it stands. */
const ownPaths: Plugin = {
  name: 'own-paths',
  setup(bundle) {
    bundle.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: `const __filename = ${JSON.stringify(path)}, __dirname = ${JSON.stringify(dirname(path))};${await readFile(path, 'utf8')}`,
      loader: 'ts',
    }));
  },
};

const first = `
import { afterEach } from 'node:test';
afterEach((test) => {
  if ('passed' in test && !test.passed) process.exit(1);
});
`;

void build({
  stdin: {
    contents: first + files.map((file) => `import './${file}';`).join('\n'),
    resolveDir: process.cwd(),
    loader: 'ts',
  },
  outfile: join('.stryker-bundle', 'main.cjs'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: false,
  logLevel: 'error',
  plugins: [ownPaths],
});

import { build, type Plugin } from 'esbuild';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const root = join(__dirname, '..');
const nodes = join(root, 'nodes');
const dist = join(root, 'dist');
const RUNTIME = 'runtime.js';
/** What runs in a thread of its own, by its name under dist/. */
const THREADS = { 'history-worker': 'sync/history/history-worker.ts' };

/**
 * nodes/ → dist/: the runtime as one CommonJS file, each node as a file that takes its part of it, with its form and
 * editor code as one html beside it, locales, icons and .proto files. Safe while others build or run from dist: a file is replaced in one step, and
 * only when it changed. Returns the paths (relative to dist) that were written or removed.
 */
export async function buildAll(): Promise<string[]> {
  const started = Date.now();
  const files = new Map<string, string | Uint8Array>();
  for (const part of await Promise.all([runtime(), forms()]))
    part.forEach((text, path) => files.set(path, text));
  copies().forEach((source, path) => files.set(path, readFileSync(source)));

  const changed = [...files]
    .filter(([path, content]) => replace(join(dist, path), content))
    .map(([path]) => path);
  return [...changed, ...removeStrays(files, started)];
}

/**
 * dist/runtime.js with all that runs in Node-RED's own thread, a file for each other thread, and dist/<room>/x.js for each node, which takes it from there: Node-RED starts
 * as fast with many source files as with few. Packages stay outside and are loaded where the code says so. Neither
 * minified nor renamed: a stack trace shows the functions, and the bundle names the file under nodes/ above each part
 * (with --enable-source-maps the trace names file and line itself).
 */
async function runtime(): Promise<Map<string, string | Uint8Array>> {
  const files = globSync('*/*.html', { cwd: nodes }).map((page) =>
    page.replace(/\.html$/, '').replaceAll('\\', '/'),
  );
  const options = {
    outdir: dist,
    bundle: true,
    packages: 'external',
    external: Object.keys(THREADS).map((name) => `./${name}`),
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    charset: 'utf8',
    write: false,
  } as const;
  const whole = build({
    ...options,
    stdin: {
      contents: files.map((file) => `export { default as '${basename(file)}' } from './${file}';`).join('\n'),
      resolveDir: nodes,
      sourcefile: 'runtime.ts',
    },
    outdir: undefined,
    outfile: join(dist, RUNTIME),
  });
  const threads = build({
    ...options,
    entryPoints: Object.entries(THREADS).map(([out, file]) => ({ in: join(nodes, file), out })),
  });
  const built = (await Promise.all([whole, threads])).flatMap(({ outputFiles }) => outputFiles);
  return new Map<string, string | Uint8Array>([
    ...built.map((file) => [relative(dist, file.path), file.contents] as const),
    ...files.map(
      (file) =>
        [join(`${file}.js`), `module.exports = require('../${RUNTIME}')['${basename(file)}'];\n`] as const,
    ),
  ]);
}

/** dist/<room>/x.html: the form of nodes/<room>/x.html followed by x.editor.ts as one script. */
async function forms(): Promise<Map<string, string>> {
  const pages = globSync('*/*.html', { cwd: nodes });
  const scripts = pages.map((page) => join(nodes, page.replace(/html$/, 'editor.ts'))).filter(existsSync);
  const result = await build({
    entryPoints: scripts,
    outdir: dist,
    outbase: nodes,
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2020',
    plugins: [editorAsModule],
    charset: 'utf8',
    write: false,
  });
  const code = new Map(result.outputFiles.map((file) => [relative(dist, file.path), file.text]));
  return new Map(
    pages.map((page) => {
      const form = readFileSync(join(nodes, page), 'utf8').trimEnd();
      const script = code.get(page.replace(/html$/, 'editor.js'));
      return [
        page,
        script
          ? `${form}\n\n<script type="text/javascript">\n${inWords(page, script)}</script>\n`
          : `${form}\n`,
      ];
    }),
  );
}

interface Declared {
  type?: string;
  settings?: Record<string, { kind?: string }>;
}

/**
 * The flow library lists a package's nodes by parsing their html, and gives up at defaults that it would have to
 * compute: each is written out by its name.
 */
function inWords(page: string, script: string): string {
  const type = basename(page, '.html');
  const settings = join(nodes, page.replace(/html$/, 'settings.ts'));
  if (!existsSync(settings)) return script;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const declared = Object.values(require(settings) as Record<string, Declared>);
  const own = declared.find((each) => each?.type === type)?.settings ?? {};
  const names = Object.keys(own).filter((name) => own[name]?.kind !== 'credential');
  const written = (from: string) =>
    [...names, 'version'].map((name) => `${name}: ${from}.${name}`).join(', ');
  const computed = /( *RED\.nodes\.registerType\([^{]*\{[^{]*?)defaults: \{ \.\.\.(defaultsOf\(\w+\)) \}/;
  return script
    .replace(
      computed,
      (_, head, made) => `  const declared = ${made};\n${head}defaults: { ${written('declared')} }`,
    )
    .replace(/(defaults: \{\s*)\.\.\.defaults,/, (_, open) => `${open}${written('defaults')},`);
}

/** Without an export esbuild takes a file of this package for CommonJS, and wraps what the palette's checks must read. */
const editorAsModule: Plugin = {
  name: 'editor-as-module',
  setup(plugin) {
    plugin.onLoad({ filter: /\.editor\.ts$/ }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}\nexport {};\n`,
      loader: 'ts',
    }));
  },
};

/**
 * Where each file that is copied comes from. Node-RED looks for icons and locales beside a node's js; icons/x.svg
 * goes to node x alone, because the editor's icon picker would list each copy. A .proto file goes beside the runtime,
 * which reads it from its own folder, and so do the sentences of another language. What forms share is read there,
 * too, by those who name a setting as its form does.
 */
function copies(): Map<string, string> {
  const locales = globSync(['*/locales/**/*.{json,html}', 'shared/editor/texts/*.json'], { cwd: nodes });
  const others = globSync(['**/*.proto', '**/*.schema.json', 'shared/sentences.*.json'], { cwd: nodes });
  const files = new Map(locales.map((path) => [path, join(nodes, path)]));
  for (const path of others) files.set(basename(path), join(nodes, path));
  for (const icon of globSync('icons/*.svg', { cwd: root })) {
    const [page] = globSync(`*/${basename(icon, '.svg')}.html`, { cwd: nodes });
    if (page) files.set(join(dirname(page), 'icons', basename(icon)), join(root, icon));
  }
  return files;
}

function replace(path: string, content: string | Uint8Array): boolean {
  if (existsSync(path) && Buffer.from(content).equals(readFileSync(path))) return false;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
  return true;
}

/** Removes what no source makes any more; a file newer than this build belongs to another one. */
function removeStrays(files: Map<string, unknown>, started: number): string[] {
  const strays = globSync('**/*.*', { cwd: dist }).filter((path) => {
    if (files.has(path)) return false;
    const found = statSync(join(dist, path), { throwIfNoEntry: false });
    return found?.isFile() && found.mtimeMs < started;
  });
  for (const path of strays) rmSync(join(dist, path), { force: true });
  return strays;
}

if (require.main === module) {
  const started = Date.now();
  buildAll().then(
    // Not on stdout: what is built before `npm run bench -- --json` and the like must not stand in front of its answer.
    (changed) => console.error(`dist: ${changed.length} file(s) changed in ${Date.now() - started} ms`),
    (error: unknown) => {
      // esbuild prints its own complaints
      if (!(error instanceof Error && 'errors' in error)) console.error(error);
      process.exitCode = 1;
    },
  );
}

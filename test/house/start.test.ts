import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { manifest } from './definitions';
import { root } from './source';

// Of dist/ as it is built: what Node-RED's start costs is what is read then.

const entries = Object.values(manifest['node-red'].nodes);

/** What a script prints that a process of its own runs after it has loaded the file of each node. */
function afterLoading(script: string, ...flags: string[]): string {
  const loading = `const nodes = ${JSON.stringify(entries.map((file) => join(root, file)))}.map((file) => require(file));`;
  return execFileSync(process.execPath, [...flags, '-e', `${loading}\n${script}`], { encoding: 'utf8' });
}

test('Node-RED reads one file beside that of each node at its start, and no package', () => {
  const loaded = JSON.parse(
    afterLoading('console.log(JSON.stringify(Object.keys(require.cache)))'),
  ) as string[];
  const paths = loaded.map((file) => relative(root, file).replaceAll('\\', '/'));
  assert.deepEqual(paths.sort(), [...entries, 'dist/runtime.js'].sort());
});

test('each file is what Node-RED calls to register a node', () => {
  const kinds = afterLoading('console.log(nodes.map((node) => typeof node).join())');
  assert.equal(kinds.trim(), entries.map(() => 'function').join());
});

test('a stack trace names file and line under nodes/ where source maps are on', () => {
  const stack = afterLoading(
    'try { nodes[0]() } catch (error) { console.log(error.stack) }',
    '--enable-source-maps',
  );
  assert.match(stack, /nodes[\\/]jetstream[\\/]jetstream-server\.ts:\d+/);
});

test('what runs in a thread of its own starts from its file', async () => {
  const thread = new Worker(join(root, 'dist/history-worker.js'));
  try {
    const answered = once(thread, 'message');
    thread.postMessage({ call: 1, name: 'end', args: [1] });
    assert.deepEqual(await answered, [{ answers: 1, value: undefined }]);
  } finally {
    await thread.terminate();
  }
});

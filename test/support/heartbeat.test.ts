import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './cleanup';
import { stopAtEach } from './stops';

function run(body: string): { status: number | null; signal: string | null; stderr: string } {
  const folder = temporaryFolder('heartbeat');
  const file = join(folder.path, 'file.test.ts');
  writeFileSync(
    file,
    `import { test } from 'node:test';
     import { watchHeartbeat } from ${JSON.stringify(require.resolve('./heartbeat'))};
     watchHeartbeat(400);
     test('x', async () => { ${body} });`,
  );
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, signal, stderr } = spawnSync(process.execPath, ['--import=tsx', file], {
    encoding: 'utf8',
    env,
  });
  folder.remove();
  return { status, signal, stderr };
}

test('a loop of microtasks ends the file', () => {
  const { signal, stderr } = run(
    'await new Promise((_) => { const f = (): unknown => Promise.resolve().then(f); f(); });',
  );
  assert.equal(signal, 'SIGKILL');
  assert.match(stderr, /stood still for 400 ms/);
});

test('a file that lets the event loop turn ends by itself', () => {
  const { status, stderr } = run('await new Promise((resolve) => setTimeout(resolve, 600));');
  assert.equal(status, 0, stderr);
});

test('a thing is stopped at each of its calls', async () => {
  const calls: number[] = [];
  const times = await stopAtEach((gates) => {
    let stopped = false;
    const work = (async () => {
      for (let i = 1; i <= 3 && !stopped; i++) {
        const answered = await gates.pass(() => i).catch(() => 0);
        calls.push(answered);
      }
    })();
    return () => ((stopped = true), work);
  });
  assert.equal(times, 3);
  assert.deepEqual([calls.filter((n) => n === 0).length, Math.max(...calls)], [3, 3]);
});

test('a thing that can’t be stopped is told', async () => {
  await assert.rejects(
    stopAtEach((gates) => (void gates.pass(() => 1).catch(() => 0), () => new Promise(() => undefined)), {
      limit: 50,
    }),
    /did not end within 50 ms/,
  );
});

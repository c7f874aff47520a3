import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCredentialsFile } from '../../nodes/shared/credentials-file';
import { temporaryFolder } from '../support/cleanup';

let folder: ReturnType<typeof temporaryFolder>;
before(() => (folder = temporaryFolder('credentials')));
after(() => folder.remove());
const path = (name: string) => join(folder.path, name);

test('a regular file of up to 1 MB is read', async () => {
  writeFileSync(path('small'), '“ä”');
  assert.equal(await readCredentialsFile(path('small')), '“ä”');
  writeFileSync(path('full'), 'x'.repeat(1_048_576));
  assert.equal((await readCredentialsFile(path('full'))).length, 1_048_576);
});

test('a larger one is refused', async () => {
  writeFileSync(path('large'), 'x'.repeat(1_048_577));
  await assert.rejects(readCredentialsFile(path('large')), /larger than 1 MB/);
});

const special = process.platform === 'win32' ? { skip: 'no such files here' } : {};
test('a pipe that nobody writes to, a device and a folder are refused at once', special, async () => {
  execFileSync('mkfifo', [path('pipe')]);
  mkdirSync(path('folder'));
  for (const odd of [path('pipe'), '/dev/zero', '/dev/tty0', path('folder')])
    await assert.rejects(readCredentialsFile(odd), /no regular file|EACCES|ENOENT|ENXIO|EISDIR/, odd);
});

test('one that is not there says so', async () => {
  await assert.rejects(readCredentialsFile(path('none')), /ENOENT/);
});

test('one that is not read in time is given up', async (t) => {
  writeFileSync(path('slow'), 'x');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const reading = readCredentialsFile(path('slow'));
  t.mock.timers.tick(5_000);
  await assert.rejects(reading, /not read within 5 s/);
});

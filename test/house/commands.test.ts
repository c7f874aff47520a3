import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { TRIES_BUCKET } from '../../nodes/jetstream/consume/ledger';
import { TURNS_BUCKET } from '../../nodes/jetstream/consume/turn';
import { sfdcEventIn } from '../../nodes/salesforce/sfdc-event-in.settings';
import { apiSyncOut } from '../../nodes/sync/api-sync-out.settings';
import { temporaryFolder } from '../support/cleanup';
import { manifest } from './definitions';
import { root } from './source';

// What the pages tell to type into a shell.

const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })];
const commands = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, text = '']) =>
    text
      .split('\n')
      .map((line) => line.replace(/ +# .*/, '').trim())
      .filter((line) => line !== '')
      .map((line) => ({ page, line })),
  ),
);

/** Where a command is run, or why it isn't. */
const RUN: readonly (readonly [command: RegExp, where: string])[] = [
  [/^npm ci && npm (test|run demo)$/, '.ci/run, on a fresh clone'],
  [/^npm run (bench|chaos)$/, 'test/house/chaos.test.ts; the benches by hand, as they take a quiet machine'],
  [/^npm install( --prefix \/data)? @jetforce/, 'scripts/pack-check.ts, with what is packed'],
  [/^openssl req /, 'below'],
  [/^nats (stream|kv) /, 'the tool of nats-server, which is not here; that the names are right, below'],
  [/^docker compose /, 'there are no containers in CI; the file itself is read in docs.test.ts'],
];

test('each command of a page is run, or it is said why not', () => {
  assert.ok(commands.length > 10);
  assert.deepEqual(
    commands.filter(({ line }) => !RUN.some(([command]) => command.test(line))),
    [],
  );
  for (const [command, where] of RUN)
    assert.ok(
      commands.some(({ line }) => command.test(line)),
      where,
    );
});

test('what the nats commands name are buckets that the nodes make, and the stream of the examples', () => {
  const defaults = [apiSyncOut, sfdcEventIn].map(({ settings }) => String(settings.bucket.default));
  const buckets = [...defaults, TRIES_BUCKET, TURNS_BUCKET];
  const known = [...buckets, ...buckets.map((bucket) => `KV_${bucket}`), 'crm'];
  const named = commands
    .filter(({ line }) => line.startsWith('nats '))
    .map(
      ({ line }) => line.replace(/^nats \w+ (add|edit|backup|restore) (\.\/\w+\/)?/, '').split(' ')[0] ?? '',
    );
  assert.deepEqual(
    named.filter((name) => !known.includes(name)),
    [],
  );
});

test('what is installed is this package', () => {
  for (const { line } of commands.filter(({ line: each }) => each.includes('npm install')))
    assert.equal(
      line
        .split(' ')
        .at(-1)
        ?.replace(/@latest$/, ''),
      manifest.name,
    );
});

const withoutOpenssl = spawnSync('openssl', ['version']).error !== undefined && 'there is no openssl here';

test(
  'the key for JWT is one that a login takes, with its certificate',
  { skip: withoutOpenssl },
  async () => {
    const [make] = commands.filter(({ line }) => line.startsWith('openssl '));
    const folder = temporaryFolder('openssl');
    await promisify(execFile)('sh', ['-c', make?.line ?? ''], { cwd: folder.path });
    const pem = (name: string): string => readFileSync(join(folder.path, name), 'utf8');
    const key = createPrivateKey(pem('server.key'));
    const certificate = new X509Certificate(pem('server.crt'));
    folder.remove();
    assert.equal(key.asymmetricKeyType, 'rsa');
    assert.ok(certificate.checkPrivateKey(key));
  },
);

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  dependenciesOf,
  dependenciesPage,
  objectionsTo,
  PAGE,
  readLock,
  type Lock,
} from '../../scripts/dependencies';
import { manifest } from './definitions';
import { files, root } from './source';

describe('what installing the package brings along', () => {
  const lock = readLock();

  test('is listed in docs/dependencies.md (npx tsx scripts/dependencies.ts, after a look at what is new)', () => {
    assert.equal(readFileSync(PAGE, 'utf8'), dependenciesPage(lock));
  });

  test('has licences that are allowed, and runs nothing that is not accepted by name', () => {
    assert.deepEqual(dependenciesOf(lock).flatMap(objectionsTo), []);
  });

  test('is asked for as package.json says', () => {
    const asked = dependenciesOf(lock).filter(({ range }) => range !== undefined);
    assert.deepEqual(
      Object.fromEntries(asked.map(({ name, range }) => [name, range])),
      manifest.dependencies,
    );
  });

  test('is brought by something', () => {
    assert.deepEqual(
      dependenciesOf(lock).filter(({ broughtBy }) => broughtBy.length === 0),
      [],
    );
  });
});

describe('of another lock file', () => {
  const lock: Lock = {
    packages: {
      '': { dependencies: { '@a/first': '^1.0.0', second: '^2.0.0' } },
      'node_modules/@a/first': { version: '1.2.0', license: 'MIT', dependencies: { inner: '^1.0.0' } },
      'node_modules/@a/first/node_modules/inner': { version: '1.0.0', license: '(GPL-3.0 OR MIT)' },
      'node_modules/inner': { version: '2.0.0', license: 'GPL-3.0' },
      'node_modules/second': { version: '2.0.0', dependencies: { inner: '2', 'core-js': '3' } },
      'node_modules/core-js': { version: '3.0.0', license: 'MIT', hasInstallScript: true },
      'node_modules/toString': { version: '1.0.0', license: 'MIT', hasInstallScript: true },
      'node_modules/tool': { version: '1.0.0', license: 'GPL-3.0', dev: true, hasInstallScript: true },
    },
  };

  test('each package is listed once for each version, with what brings it; tools are not', () => {
    const listed = dependenciesOf(lock).map(({ name, version, broughtBy }) => [name, version, broughtBy]);
    assert.deepEqual(listed, [
      ['@a/first', '1.2.0', ['@a/first']],
      ['core-js', '3.0.0', ['second']],
      ['inner', '1.0.0', ['@a/first']],
      ['inner', '2.0.0', ['second']],
      ['second', '2.0.0', ['second']],
      ['toString', '1.0.0', []],
    ]);
  });

  test('other licences, none, and scripts that nobody has accepted are refused', () => {
    assert.deepEqual(dependenciesOf(lock).flatMap(objectionsTo), [
      'inner 2.0.0 has the licence GPL-3.0',
      'second 2.0.0 has the licence none',
      'toString 1.0.0 runs a script when it is installed',
    ]);
  });
});

describe('a release', () => {
  test('says where it was built: npm publishes with provenance, from a workflow that may sign', () => {
    assert.equal(manifest.publishConfig.provenance, true);
    const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8');
    assert.match(workflow, /^ {6}id-token: write$/m);
    assert.match(workflow, /^ +- run: npm publish$/m);
  });

  test('is made by actions that nobody can exchange: each is named by its commit', () => {
    for (const file of files('.github/workflows/*.yml'))
      for (const [, action = ''] of readFileSync(join(root, file), 'utf8').matchAll(/uses: (\S+)/g))
        assert.match(action, /@[0-9a-f]{40}$/, file);
  });

  test('contains how to report a vulnerability', () => {
    assert.ok(manifest.files.includes('SECURITY.md') && existsSync(join(root, 'SECURITY.md')));
  });
});

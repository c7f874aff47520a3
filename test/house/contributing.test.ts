import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './source';

test('what CONTRIBUTING.md sends a newcomer to is there', () => {
  const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const paths = [...text.matchAll(/`((?:nodes|docs|test|bench|scripts|\.github)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
  const links = [...text.matchAll(/\]\(([\w./-]+)\)/g)].map(([, path = '']) => path);
  assert.ok(paths.length > 10 && links.length > 3, `found ${paths.length} paths and ${links.length} links`);
  assert.deepEqual(
    [...paths, ...links].filter((path) => !existsSync(join(root, path))),
    [],
  );
});

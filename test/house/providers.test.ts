import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { APIS } from '../../nodes/sync/providers/catalog';
import { PAGE, providersPage } from '../../scripts/providers-reference';
import { root } from '../support/user-dir';

const page = readFileSync(PAGE, 'utf8');

test('docs/providers.md is up to date with the declarations, the schema and the example: npm run docs', () => {
  assert.equal(page, providersPage(page));
});

test('each API has its row, its help in both languages, and an example that is a flow of it', () => {
  for (const { name, label } of Object.values(APIS)) {
    assert.match(page, new RegExp(`^\\| ${label}( Cloud)? \\|`, 'm'), label);
    for (const language of ['en-US', 'de']) {
      const help = readFileSync(join(root, `nodes/sync/locales/${language}/api-source.html`), 'utf8');
      assert.match(help, new RegExp(`<dt>${label}</dt>`), `${label} in ${language}`);
    }
    const example = readFileSync(join(root, `examples/${label} into JetStream.json`), 'utf8');
    assert.match(example, new RegExp(`"provider": "${name}"`), label);
  }
});

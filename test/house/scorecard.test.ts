import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { root } from '../support/user-dir';
import { definitionOf, manifest, pageOf, types } from './definitions';

// What the flow library checks before it lists a package (node-red-dev validate), and what its parser can read.

test('the package is one that the palette finds and installs', () => {
  assert.match(manifest.name, /^@[\w-]+\/node-red-[\w-]+$/);
  assert.ok(manifest.keywords.includes('node-red'));
  assert.equal(manifest.license, 'MIT');
  assert.match(manifest.repository.url, /^git\+https:/);
  assert.match(manifest.bugs.url, /^https:/);
  assert.equal(manifest['node-red'].version, '>=4.0.0');
  assert.ok(Object.keys(manifest.dependencies).length <= 6);
  for (const file of manifest.files) assert.ok(existsSync(join(root, file)), `${file} is packed`);
});

test('no type has a name that another package took', () => {
  for (const type of types) assert.doesNotMatch(type, /^(nats|connection-config|sf-|salesforce|soql)/);
});

for (const type of types) {
  describe(type, () => {
    test('registers itself in words the scorecard can read', () => {
      const page = pageOf(type);
      assert.ok(page.includes('<script type="text/javascript">'));
      assert.ok(page.includes(`RED.nodes.registerType("${type}", {`));
      const registration = page.slice(page.indexOf(`RED.nodes.registerType("${type}"`));
      // It gives up at a definition whose settings it would have to compute.
      const [, defaults = ''] = /\bdefaults: \{([^}]*)/.exec(registration) ?? [];
      assert.doesNotMatch(defaults, /\.\.\./);
      const { category, defaults: found } = definitionOf(type);
      for (const name of Object.keys(found)) assert.match(defaults, new RegExp(`\\b${name}: `));
      if (category === 'config') return;
      for (const literal of [/\bicon: "/, /\bcolor: "#/, /\binputs: \d/, /\boutputs: \d/])
        assert.match(registration, literal);
    });

    test('has its form, its icon, and labels and help in both languages', () => {
      const page = pageOf(type);
      assert.ok(page.includes(`data-template-name="${type}"`));
      const folder = join(root, manifest['node-red'].nodes[type] ?? '', '..');
      for (const language of ['en-US', 'de']) {
        for (const kind of ['json', 'html']) {
          const file = join(folder, 'locales', language, `${type}.${kind}`);
          assert.ok(existsSync(file), `${file} is missing`);
        }
      }
      const { category, icon } = definitionOf(type);
      if (category !== 'config') assert.ok(icon && existsSync(join(folder, 'icons', icon)), `icon ${icon}`);
    });

    test('keeps its secrets out of the flow', () => {
      const { defaults, credentials = {} } = definitionOf(type);
      for (const name of Object.keys(credentials))
        assert.ok(!(name in defaults), `${name} would be exported`);
      for (const name of Object.keys(defaults))
        assert.doesNotMatch(name, /password|secret|token(?!s)|seed|privateKey/i);
    });
  });
}

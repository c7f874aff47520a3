import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FlowError } from '../../nodes/shared/errors';
import { faultOf, parseSetting, type Setting } from '../../nodes/shared/settings/settings';
import {
  declaredNodes,
  FOLDER,
  meaningOf,
  settingsPage,
  sharedCatalog,
  textOf,
} from '../../scripts/settings-reference';
import { root } from '../support/user-dir';
import { definitionOf } from './definitions';

const LANGUAGES = ['en-US', 'de'];
const catalog = (path: string) =>
  JSON.parse(readFileSync(join(root, 'nodes', path), 'utf8')) as Record<string, string>;
const nodes = declaredNodes();

/** The condition is fulfilled: what only counts sometimes is looked at, too. */
const counting = (setting: Setting): Setting => ({ ...setting, when: undefined });
/** The other settings as a new node has them. */
const beside = (settings: Record<string, Setting>) => (name: string) => settings[name]?.default;

for (const { room, declared } of nodes) {
  const { type, settings } = declared;
  const all = Object.entries(settings).flatMap(([name, setting]): [string, Setting][] =>
    setting.fields
      ? Object.entries(setting.fields).map(([part, field]) => [`${name}-${part}`, field])
      : [[name, setting]],
  );

  describe(type, () => {
    test('each setting has its label, and a tip or texts of its choices, in both languages', () => {
      for (const language of LANGUAGES) {
        const own = catalog(`${room}/locales/${language}/${type}.json`);
        const shared = catalog(`shared/editor/texts/${language}.json`);
        for (const [name, setting] of Object.entries(settings)) {
          const fields = setting.fields ?? { [name]: setting };
          const texts = setting.texts ? sharedCatalog(shared, setting.texts, Object.keys(fields)) : own;
          for (const [part, field] of Object.entries(fields)) {
            assert.ok(textOf(texts, `label.${part}`), `label of ${part} in ${language}`);
            if (part === 'name') continue;
            const meaning = meaningOf(texts, part, field);
            assert.ok(meaning.length > 0, `tip of ${part} in ${language}`);
            const choices = meaning.filter((text) => text.startsWith('`')).length;
            assert.ok(choices === (field.values?.length ?? choices), `choices of ${part} in ${language}`);
          }
          if (setting.section) assert.ok(textOf(own, `section.${setting.section}`), setting.section);
        }
      }
    });

    test('each default is one that its form takes and the runtime reads', () => {
      for (const [name, setting] of all) {
        const valueOf = beside(settings);
        const fault = faultOf({ ...counting(setting), required: false }, setting.default, valueOf);
        if (name !== 'collections') assert.equal(fault, undefined, name);
        if (setting.kind !== 'credential' && setting.default !== '' && name !== 'collections')
          assert.doesNotThrow(() => setting.parse(setting.default, name, valueOf), name);
      }
    });

    test('the editor has the same settings, defaults, secrets and version as the runtime', () => {
      const { defaults, credentials = {} } = definitionOf(type);
      const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
      const values = Object.entries(defaults).map(([name, { value }]) => [name, plain(value)]);
      const kept = Object.entries(settings).filter(([, { kind }]) => kind !== 'credential');
      assert.deepEqual(Object.fromEntries(values), {
        ...Object.fromEntries(kept.map(([name, setting]) => [name, setting.default])),
        version: declared.version,
      });
      const secrets = Object.keys(settings).filter((name) => settings[name]?.kind === 'credential');
      assert.deepEqual(Object.keys(credentials).sort(), secrets.sort());
    });

    test('the form has each setting, in its section, with its choices, and no copy of a default', () => {
      const form = readFileSync(join(root, 'nodes', room, `${type}.html`), 'utf8');
      for (const [name, setting] of Object.entries(settings)) {
        const part = Object.keys(setting.fields ?? {})[0] ?? '';
        const places = [
          new RegExp(`id="node-(config-)?input-(${name}|${name}Mode|${name}-${part})"`),
          {
            headers: /class="jetforce-headers"/,
            collections: /class="jetforce-collections"/,
            streamConfig: /id="jetforce-stream-config"/,
          }[name],
        ];
        const at = places.map((place) => (place ? form.search(place) : -1)).find((found) => found >= 0) ?? -1;
        assert.ok(at >= 0, `${name} is not in the form`);
        const opened = form.slice(0, at).split('<details').at(-1) ?? '';
        const inSection = form.slice(0, at).includes('<details') && !opened.includes('</details>');
        const [, section] = inSection ? (/data-i18n="section\.(\w+)"/.exec(opened) ?? []) : [];
        assert.equal(section, setting.section, name);
        const [example] = /(?<=^[^>]*placeholder=")[^"]+/.exec(form.slice(at)) ?? [];
        assert.notEqual(example, String(setting.default), `${name} shows its default as an example`);
        if (setting.values) {
          const select = form.slice(at, form.indexOf('</select>', at));
          const options = [...select.matchAll(/<option value="([^"]+)"/g)].map(([, value]) => value);
          // Names of APIs come from their declarations.
          if (!setting.labels) assert.deepEqual(options.sort(), [...setting.values].sort(), name);
        }
      }
    });

    test('what a form takes, the runtime reads', () => {
      for (const [name, setting] of all) {
        const typed = fc.oneof(fc.string({ unit: 'binary' }), likely(setting));
        fc.assert(
          fc.property(typed, (value) => {
            const valueOf = beside(settings);
            const stored = Array.isArray(setting.default) ? [value] : value;
            if (value.trim() === '' || /^\$\{\w+\}$/.test(value.trim())) return;
            if (setting.values || ['boolean', 'field map', 'headers'].includes(setting.kind)) return;
            if (faultOf(counting(setting), stored, valueOf) === undefined)
              assert.doesNotThrow(() => parseSetting(setting, stored, name, valueOf), name);
          }),
        );
      }
    });

    test('what the runtime refuses, it refuses in a sentence that no repetition can cure', () => {
      for (const [name, setting] of all) {
        fc.assert(
          fc.property(fc.jsonValue(), (value) => {
            try {
              parseSetting(setting, value, name, beside(settings));
            } catch (error) {
              assert.ok(error instanceof FlowError, `${name}: ${String(error)}`);
              assert.ok(!error.retryable && error.message.length < 1_000, error.message);
            }
          }),
          { numRuns: 50 },
        );
      }
    });

    test('its page of the settings reference is up to date: npm run docs', () => {
      assert.equal(readFileSync(join(FOLDER, `${type}.md`), 'utf8'), settingsPage({ room, declared }));
    });
  });
}

test('the settings reference has a page for each node, and no other', () => {
  const pages = globSync('*.md', { cwd: FOLDER }).map((path) => basename(path, '.md'));
  assert.deepEqual(pages.sort(), nodes.map(({ declared }) => declared.type).sort());
});

/** Texts that come close to what the setting takes. */
function likely({ kind }: Setting): fc.Arbitrary<string> {
  const pieces: Record<string, string> = {
    number: '-+.0123456789e ',
    duration: '0123456789.msh d',
    durations: '0123456789ms, ',
    size: '0123456789kKmMgiGB -',
  };
  const letters = pieces[kind] ?? 'abAB01._-*>/:{}$ ,\u0001event/data@[]"';
  return fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 });
}

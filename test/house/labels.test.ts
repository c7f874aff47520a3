import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { speaking } from '../../nodes/shared/language';
import { labelOf } from '../../nodes/shared/say';
import {
  declare,
  parseDeployed,
  readSecrets,
  type Declared,
  type NodeSettings,
} from '../../nodes/shared/settings/settings';
import { apiSource } from '../../nodes/sync/api-source.settings';
import { declaredNodes } from '../../scripts/settings-reference';
import { runtimeFiles, sentencesIn } from './sentences';
import { root } from './source';

/** Whatever names a setting calls it as its form does, in the language of the sentence. */

const nodes = declaredNodes();
const read = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, unknown>;

/** What the form shows above the input, from the texts that it is made of; undefined where it has no label. */
function shownLabel(room: string, type: string, language: string, name: string, texts?: string) {
  if (texts !== undefined) return read(`nodes/shared/editor/texts/${language}.json`)[`${texts}_${name}`];
  const { label } = read(`nodes/${room}/locales/${language}/${type}.json`);
  return (label as Record<string, string>)[name];
}

/** Each counts, whatever the others are. */
const counting = (settings: Declared): Declared =>
  Object.fromEntries(
    Object.entries(settings).map(([name, setting]) => [
      name,
      { ...setting, when: undefined, ...(setting.fields && { fields: counting(setting.fields) }) },
    ]),
  );

const said = async (language: string, work: () => unknown): Promise<string> =>
  speaking([language], () => Promise.resolve().then(work)).then(
    () => '',
    (error: Error) => error.message,
  );

for (const { room, declared } of nodes) {
  const whole: NodeSettings = declare(declared.type, declared.version, counting(declared.settings));
  const config = (own: object) => ({ version: declared.version, ...own });

  describe(declared.type, () => {
    for (const [language, locale] of [
      ['en', 'en-US'],
      ['de', 'de'],
    ] as const)
      test(`an environment variable that is not set is named, and the setting as in the form (${language})`, async () => {
        for (const [name, setting] of Object.entries(declared.settings)) {
          if (setting.kind === 'field map' || setting.kind === 'headers') continue;
          const label = shownLabel(room, declared.type, locale, name);
          const value =
            setting.kind === 'list' && Array.isArray(setting.default) ? ['${NO_ENV}'] : '${NO_ENV}';
          if (setting.kind === 'credential') {
            const message = await said(language, () => readSecrets(whole, { [name]: '${NO_ENV}' }));
            assert.match(message, /\bNO_ENV\b/, name);
            assert.ok(message.startsWith(`${String(label)}: `), message);
          } else if (setting.fields) {
            for (const part of Object.keys(setting.fields)) {
              const own = shownLabel(room, declared.type, locale, part, setting.texts);
              const stored = config({ [name]: { [part]: '${NO_ENV}' } });
              const message = await said(language, () => parseDeployed(whole, stored));
              assert.ok(message.startsWith(`${String(own)}: `) && message.includes('NO_ENV'), message);
            }
          } else {
            const message = await said(language, () => parseDeployed(whole, config({ [name]: value })));
            assert.ok(message.startsWith(`${String(label)}: `) && message.includes('NO_ENV'), message);
          }
        }
      });
  });
}

test('what an API calls its login stands in the place of the label', async () => {
  const { declared } = nodes.find(({ declared: { type } }) => type === 'api-source')!;
  const asked = (language: string, own: object) =>
    said(language, () => parseDeployed(declared, { collections: ['x'], ...own }));
  assert.match(await asked('de', { provider: 'zendesk', user: '${NO_ENV}' }), /^E-Mail: /);
  assert.match(await asked('en', { provider: 'github', user: '${NO_ENV}' }), /^App id: /);
  const secret = (language: string) =>
    said(language, () => readSecrets(apiSource, { token: '${NO_ENV}' }, { provider: 'hubspot' }));
  assert.match(await secret('de'), /^Access-Token: .*NO_ENV/);
  const definition = JSON.stringify({ login: { user: { label: { en: 'Key id', de: 'Schlüssel-Id' } } } });
  assert.match(await asked('de', { provider: 'custom', definition, user: '${NO_ENV}' }), /^Schlüssel-Id: /);
  assert.match(
    await asked('en', { provider: 'custom', definition: '{"login":0}', user: '${NO_ENV}' }),
    /^User: /,
  );
});

test('no sentence names a setting by its property', () => {
  const properties = new Set(
    nodes.flatMap(({ declared }) =>
      Object.entries(declared.settings).flatMap(([name, { fields }]) => [name, ...Object.keys(fields ?? {})]),
    ),
  );
  // Words of one syllable are words, too: those that can only be a property are looked for, or "property: value".
  const found = runtimeFiles().flatMap((path) =>
    sentencesIn(path)
      .said.filter(({ text }) =>
        (text.match(/(?<![\w.{/-])\w+(?=: \w+")|(?<![\w.{/-])[a-z]+[A-Z]\w+/g) ?? []).some((word) =>
          properties.has(word),
        ),
      )
      .map(({ line, text }) => `${path}:${line} ${text}`),
  );
  assert.deepEqual(found, []);
});

test('a label is that of the form, and a property that has none is itself', () => {
  assert.equal(labelOf('jetstream-in', 'backoff'), 'Retry after');
  assert.equal(labelOf('stream', 'maxAge'), 'Max age');
  assert.equal(labelOf('jetstream-in', 'nothing'), 'nothing');
  assert.equal(labelOf('no-such-node', 'name'), 'name');
});

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { FAILURE_CODES } from '../../nodes/shared/failure-codes';
import { root } from '../support/user-dir';
import { types } from './contract';

const nodes = join(root, 'nodes');
const read = (path: string) => readFileSync(join(nodes, path), 'utf8');
const catalog = (path: string) => JSON.parse(read(path)) as Catalog;
interface Catalog {
  [key: string]: string | Catalog;
}

/** "label.name" → "Name" for every text in a catalog. */
function flat(texts: Catalog, prefix = ''): Map<string, string> {
  const entries = Object.entries(texts).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[prefix + key, value]] : [...flat(value, `${prefix}${key}.`)],
  );
  return new Map(entries);
}

const english = globSync(['*/locales/en-US/*.json', 'shared/editor/texts/en-US.json'], { cwd: nodes });
const german = (path: string) => path.replace('en-US', 'de');

test('every node has its texts and its help in both languages', () => {
  for (const type of types) {
    for (const language of ['en-US', 'de']) {
      for (const kind of ['json', 'html'])
        assert.equal(
          globSync(`*/locales/${language}/${type}.${kind}`, { cwd: nodes }).length,
          1,
          `${type}.${kind} in ${language}`,
        );
    }
  }
});

test('help, examples and documentation call the nodes what the palette calls them', () => {
  const texts = [
    'nodes/*/locales/*/*.html',
    'README.md',
    'docs/**/*.md',
    'examples/*.json',
    'docs/cookbook/*.json',
  ];
  for (const path of globSync(texts, { cwd: root }))
    assert.doesNotMatch(
      readFileSync(join(root, path), 'utf8'),
      /sfdc (composite|event in|platform event)/,
      path,
    );
});

for (const path of english) {
  test(`${path}: English and German have the same keys and the same values to fill in`, () => {
    const [en, de] = [flat(catalog(path)), flat(catalog(german(path)))];
    assert.deepEqual([...de.keys()].sort(), [...en.keys()].sort());
    const blanks = (text = '') => [...text.matchAll(/__\w+__/g)].map(String).sort();
    for (const [key, text] of en) assert.deepEqual(blanks(de.get(key)), blanks(text), key);
    for (const [key, text] of [...en, ...de]) assert.notEqual(text.trim(), '', key);
  });
}

for (const path of globSync('*/*.html', { cwd: nodes })) {
  test(`${path}: every key in the form has a text, and every control a label`, () => {
    const page = read(path);
    const room = dirname(path);
    const texts = flat(catalog(`${room}/locales/en-US/${basename(path, '.html')}.json`));
    for (const [, key = ''] of page.matchAll(/data-i18n="(?:\[\w+\])?([^"]+)"/g))
      assert.ok(texts.has(key), key);
    const ids = [...page.matchAll(/<(?:input|select)[^>]* id="([^"]+)"/g)].map(([, id = '']) => id);
    for (const id of ids) assert.match(page, new RegExp(`<label for="${id}(-text)?"`), id);
  });
}

test('German has a reason for every failure code of this pack', () => {
  const reasons = flat(catalog('shared/editor/texts/errors.de.json'));
  assert.deepEqual(
    Object.keys(FAILURE_CODES).filter((code) => !reasons.has(code)),
    [],
  );
});

test('a status fits beside its node: under 20 characters', () => {
  for (const path of [...english, ...english.map(german)]) {
    for (const [key, text] of flat(catalog(path))) {
      if (key.startsWith('status.'))
        assert.ok(text.replace(/__\w+__/g, '999').length < 20, `${path} ${key}: ${text}`);
    }
  }
});

test('every text that a runtime file asks for is there', () => {
  for (const path of globSync('*/*.ts', { cwd: nodes, exclude: ['**/*.editor.ts', 'shared/**'] })) {
    const type = basename(path, '.ts');
    if (!types.includes(type)) continue;
    const texts = flat(catalog(`${dirname(path)}/locales/en-US/${type}.json`));
    for (const [, key = ''] of read(path).matchAll(/RED\._\(\s*'([^']+)'/g))
      assert.ok(texts.has(key), `${path}: ${key}`);
  }
});

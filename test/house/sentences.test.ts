import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/user-dir';
import { calledIn, runtimeFiles, sentencesIn } from './sentences';

/** Every sentence of the runtime is said in the language of the moment, and the catalogues have them all. */

const sources = globSync('nodes/**/*.ts', { cwd: root }).filter(
  (path) => !/\.editor\.ts$|\.d\.ts$/.test(path),
);
const found = sources.map((path) => ({ path, ...sentencesIn(path), called: calledIn(path) }));
const keys = new Set(found.flatMap(({ said, called }) => [...said.map(({ text }) => text), ...called]));

const places = (path: string, sentences: { line: number; text: string }[]): string[] =>
  sentences.map(({ line, text }) => `${path}:${line} ${text}`);

test('what the runtime says in words is said by say`…`', () => {
  assert.deepEqual(
    runtimeFiles().flatMap((path) => places(path, sentencesIn(path).unsaid)),
    [],
  );
});

test('a sentence is said when it is needed, as the language is known only then', () => {
  assert.deepEqual(
    found
      .filter(({ path }) => path !== 'nodes/sync/history/history-worker.ts')
      .flatMap(({ path, kept }) => places(path, kept)),
    [],
  );
});

test('a sentence that isn’t said is found, and what is none is let alone', () => {
  const unsaid = (source: string) => sentencesIn('nodes/x.ts', source).unsaid.map(({ text }) => text);
  assert.deepEqual(unsaid("throw new FlowError('X', 'The stream is gone', false);"), ['The stream is gone']);
  assert.deepEqual(unsaid('log("warn", `Receiving ${name} again`);'), ['Receiving {1} again']);
  assert.deepEqual(unsaid('say`The stream ${a ? "is not there" : b} is gone`;'), ['is not there']);
  assert.deepEqual(
    unsaid("import x from 'a b c'; if (text === 'no message found') f('ack', 'max_age');"),
    [],
  );
  assert.deepEqual(unsaid('const soql = `SELECT COUNT() FROM ${name} WHERE IsDeleted=false`;'), []);
});

for (const path of globSync('nodes/shared/sentences.*.json', { cwd: root })) {
  const catalogue = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, string>;

  test(`${path} has the sentences of the source, and no others`, () => {
    const has = new Set(Object.keys(catalogue));
    assert.deepEqual([...keys].filter((key) => !has.has(key)).sort(), [], 'not in the catalogue');
    assert.deepEqual([...has].filter((key) => !keys.has(key)).sort(), [], 'not in the source');
  });

  test(`${path} fills in the same values, and keeps what stands around a part of a sentence`, () => {
    const blanks = (text: string) => [...text.matchAll(/\{\d+\}/g)].map(String).sort();
    const edges = (text: string) => [/^[\s,;.]/.test(text), /\s$/.test(text)];
    for (const [key, text] of Object.entries(catalogue)) {
      assert.deepEqual(blanks(text), blanks(key), key);
      // A part of a sentence is joined to its neighbours.
      assert.deepEqual(edges(text), edges(key), key);
      assert.notEqual(text.trim(), '', key);
    }
  });

  test(`${path} stands in the order of its keys, so that two who add to it meet in no line`, () => {
    assert.deepEqual(Object.keys(catalogue), Object.keys(catalogue).sort());
  });
}

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ESLint, Linter } from 'eslint';
import tseslint from 'typescript-eslint';
import { files, importsOf, resolveImport, root } from './source';

/** What lint says about the imports of a file that is not there. */
async function complaints(file: string, ...lines: string[]): Promise<string[]> {
  const url = pathToFileURL(path.join(root, '.config/imports.mjs')).href;
  const { importRules } = (await import(url)) as { importRules: Linter.Config[] };
  const parser = tseslint.parser as Linter.Parser;
  const config = [{ files: ['**/*.ts'], languageOptions: { parser } }, ...importRules];
  return new Linter().verify(lines.join('\n'), config, file).map(({ message }) => message);
}

describe('lint refuses', () => {
  const refused = [
    ['jetstream using salesforce', 'nodes/jetstream/consumer.ts', '../salesforce/writer'],
    ['salesforce using jetstream', 'nodes/salesforce/writer.ts', '../jetstream/kv'],
    ['the same from a room inside', 'nodes/salesforce/org/session.ts', '../../jetstream/server/connection'],
    ['jetstream using sync', 'nodes/jetstream/consume/pull.ts', '../../sync/engine/target'],
    ['salesforce using sync', 'nodes/salesforce/job.ts', '../sync/record'],
    ['shared using a room', 'nodes/shared/flow/settlement.ts', '../../jetstream/consume/acks'],
    ['shared using sync', 'nodes/shared/template.ts', '../sync/record'],
    ['a product file using a test', 'nodes/sync/engine/sync.ts', '../../../test/support/until'],
    ['a product file using a script', 'nodes/shared/duration.ts', '../../scripts/build'],
    ['an event room using composite', 'nodes/salesforce/events/publisher.ts', '../composite/batcher'],
    ['pubsub using composite', 'nodes/salesforce/pubsub/client.ts', '../composite/batcher'],
    ['an event node using composite', 'nodes/salesforce/sfdc-event-in.ts', './composite/writer'],
    ['its form, too', 'nodes/salesforce/sfdc-platform-event.editor.ts', './composite/plan'],
    ['the simulated org using the product', 'test/org/pubsub/bus.ts', '../../../nodes/shared/errors'],
    ['a simulated API using the product', 'test/apis/stripe/lists.ts', '../../../nodes/shared/errors'],
    ['nats in a second file', 'nodes/jetstream/server/connection.ts', 'nats'],
    ['nats outside of its room', 'nodes/sync/sync.ts', 'nats'],
    ['jsforce in a second file', 'nodes/salesforce/org/lookups.ts', 'jsforce'],
    ['a part of jsforce', 'nodes/salesforce/writer.ts', 'jsforce/lib/connection'],
    ['jsforce in the file of another client', 'nodes/salesforce/pubsub/avro.ts', 'jsforce'],
    ['gRPC in a second file', 'nodes/salesforce/pubsub/schemas.ts', '@grpc/grpc-js'],
    ['avsc in a second file', 'nodes/salesforce/events/publisher.ts', 'avsc'],
  ] as const;
  for (const [what, file, from] of refused) {
    test(what, async () => {
      const each = [
        `import { x } from '${from}'; x();`,
        `import type { X } from '${from}'; export type Y = X;`,
        `export * from '${from}';`,
        `void import('${from}');`,
        `export type Y = import('${from}').X;`,
      ];
      for (const line of each) assert.equal((await complaints(file, line)).length, 1, line);
    });
  }
});

describe('lint allows', () => {
  const allowed = [
    ['sync using both', 'nodes/sync/engine/target.ts', '../../jetstream/streams/kv'],
    [
      'providers using salesforce',
      'nodes/sync/providers/salesforce/poll.ts',
      '../../../salesforce/org/session',
    ],
    ['all using shared', 'nodes/salesforce/org/session.ts', '../../shared/errors'],
    ['composite using the org', 'nodes/salesforce/composite/writer.ts', '../org/session'],
    ['the composite node using composite', 'nodes/salesforce/sfdc-composite.ts', './composite/writer'],
    ['nats in its file', 'nodes/jetstream/nats.ts', 'nats'],
    ['the same in a room inside', 'nodes/jetstream/server/nats.ts', 'nats'],
    ['jsforce in its file', 'nodes/salesforce/org/jsforce.ts', 'jsforce'],
    ['gRPC in its file', 'nodes/salesforce/pubsub-grpc.ts', '@grpc/grpc-js'],
    ['the same in a room inside', 'nodes/salesforce/pubsub/grpc.ts', '@grpc/grpc-js'],
    ['avsc in its file', 'nodes/salesforce/pubsub/avro.ts', 'avsc'],
  ] as const;
  for (const [what, file, from] of allowed) {
    test(what, async () => assert.deepEqual(await complaints(file, `export * from '${from}';`), []));
  }
});

test('these rules are part of what npm run lint checks', async () => {
  const eslint = new ESLint({ cwd: root, overrideConfigFile: path.join(root, '.config/eslint.config.mjs') });
  for (const room of ['jetstream', 'salesforce', 'sync', 'shared']) {
    const [file = ''] = files(`nodes/${room}/*.ts`);
    const { rules } = (await eslint.calculateConfigForFile(file)) as Linter.Config;
    assert.ok(rules?.['no-restricted-imports'], file);
  }
});

describe('packages', () => {
  const product = files('nodes/**/*.ts');
  const importers = (name: string, among: string[]) =>
    among.filter((file) => importsOf(file).some(({ from }) => from === name || from.startsWith(`${name}/`)));

  for (const name of ['nats', 'jsforce', '@grpc/grpc-js', '@grpc/proto-loader', 'avsc']) {
    test(`${name} is imported by one file of the product, when it runs`, () => {
      const [file, ...others] = importers(name, product);
      assert.ok(file);
      assert.deepEqual(others, []);
      assert.ok(importsOf(file).some(({ from, typeOnly }) => from === name && !typeOnly));
    });
  }

  test('node-red is what every node file is for, and what tests run', () => {
    const nodes = product.filter((file) => importsOf(file).some(({ from }) => from === 'node-red'));
    assert.ok(nodes.length >= 10, nodes.join('\n'));
    const runs = files('test/**/*.ts').filter((file) =>
      importsOf(file).some(({ from, typeOnly }) => from === 'node-red' && !typeOnly),
    );
    assert.ok(runs.length > 0);
  });

  test('node-red-node-test-helper runs a test of each node', () => {
    assert.deepEqual(importers('node-red-node-test-helper', files('test/**/*.ts')), ['test/nodes/helper.ts']);
    for (const file of files('nodes/*/*.html')) {
      const name = path.basename(file, '.html');
      const of = importsOf(`test/nodes/${name}.test.ts`).map(({ from }) => from);
      assert.ok(of.includes('./helper') && of.some((from) => from.endsWith(`/${name}`)), name);
    }
  });
});

/** The first circle that is found among files, as the way round it. */
function circle(among: string[], { types }: { types: boolean }): string[] | undefined {
  const next = new Map(
    among.map((file) => [
      file,
      importsOf(file)
        .filter(({ typeOnly }) => types || !typeOnly)
        .flatMap(({ from }) => resolveImport(file, from) ?? []),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, way: string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const each of next.get(file) ?? []) {
      const found = visit(each, [...way, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of among) {
    const found = visit(file, []);
    if (found) return found;
  }
  return undefined;
}

test('no file of the product imports itself by way of others, not even for types', () => {
  assert.equal(circle(files('nodes/**/*.ts'), { types: true }), undefined);
});

test('nor does one of the tests, benches and scripts when it runs', () => {
  assert.equal(circle(files('{test,bench,scripts}/**/*.ts'), { types: false }), undefined);
});

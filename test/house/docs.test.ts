import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { metricsText } from '../../nodes/shared/operations/metrics';
import type { States } from '../../nodes/shared/operations/states';
import { parseSettings } from '../../nodes/shared/settings/settings';
import { declaredNodes } from '../../scripts/settings-reference';
import { startNats } from '../support/nats';
import { nodeRedModule, type FlowNode } from '../support/user-dir';
import { root } from './source';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })];

/** The fenced blocks of a page in a language; '' for those without one. */
function blocks(page: string, language: string): string[] {
  const fences = [...read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  return fences.filter(([, said]) => said === language).map(([, , text = '']) => text);
}

/** As GitHub makes them of headings. */
function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('every relative link leads somewhere', () => {
  const broken = pages.flatMap((page) => {
    const links = [...read(page).matchAll(/\]\((?:<([^>]+)>|([^)\s]+))\)/g)];
    return links
      .map(([, spaced, plain = '']) => spaced ?? plain)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !anchors(target).includes(anchor);
      })
      .map((link) => `${page}: ${link}`);
  });
  assert.deepEqual(broken, []);
});

test('the help of the nodes links pages that are there', () => {
  const linked = globSync('nodes/*/locales/*/*.html', { cwd: root }).flatMap((path) =>
    [...read(path).matchAll(/\/blob\/main\/(docs\/[\w./-]+)/g)].map(([, page = '']) => page),
  );
  assert.ok(linked.length > 8);
  for (const page of linked) assert.ok(existsSync(join(root, page)), page);
});

test('the help of each node names an example with that node, by which it can be imported', () => {
  const helps = globSync('nodes/*/locales/*/*.html', { cwd: root });
  assert.ok(helps.length >= 20);
  for (const path of helps) {
    const [, name] = /<b>(?:Example|Beispiel)<\/b>: <i>([^<]+)<\/i>/.exec(read(path)) ?? [];
    const nodes = JSON.parse(read(`examples/${name}.json`)) as FlowNode[];
    assert.ok(
      nodes.some(({ type }) => type === basename(path, '.html')),
      `${path}: ${name}`,
    );
  }
});

test('the help of what reads tells of dead letter streams and of replaying', () => {
  for (const path of globSync('nodes/*/locales/*/{jetstream-in,sfdc-event-in}.html', { cwd: root })) {
    const { label } = JSON.parse(
      read(`nodes/operations/locales/${basename(dirname(path))}/operations.json`),
    ) as { label: string };
    assert.ok(read(path).includes('<code>deadLetterStream</code>'), path);
    assert.ok(read(path).includes(`<i>${label}</i>`), `${path} names the tab "${label}"`);
  }
});

test('every page is linked from another one', () => {
  const texts = pages.map((page) => ({ page, text: read(page) }));
  const alone = globSync('docs/*.md', { cwd: root }).filter(
    (page) => !texts.some((other) => other.page !== page && other.text.includes(`${basename(page)}`)),
  );
  assert.deepEqual(alone, []);
});

test('troubleshooting.md explains each status', () => {
  const page = read('docs/troubleshooting.md');
  const statuses = globSync('nodes/*/locales/en-US/*.json', { cwd: root }).flatMap((path) => {
    const { status } = JSON.parse(read(path)) as { status?: Record<string, string> };
    return Object.values(status ?? {}).map((text) => text.replaceAll(/__\w+__/g, '…'));
  });
  assert.ok(statuses.length > 50, `found ${statuses.length}`);
  const missing = statuses.filter((status) => !page.includes(`| \`${status}\` |`));
  assert.deepEqual(missing, []);
  const rows = [...page.split('## The org')[0]!.matchAll(/^\| `([^`]+)` \|/gm)].map(([, text]) => text);
  assert.deepEqual(
    rows.filter((text) => !statuses.includes(text ?? '')),
    [],
  );
});

test('the failure codes that pages name are those there are', () => {
  const known = new Set(
    [...read('docs/failure-codes.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code),
  );
  for (const page of ['durability', 'troubleshooting', 'nats-rights', 'upgrading', 'clustering'])
    for (const [, code] of read(`docs/${page}.md`).matchAll(/`([A-Z]{3,}_[A-Z_]+)`/g))
      assert.ok(known.has(code), `${page}: ${code}`);
});

/** One of each, with everything known: whatever metric there is has a sample. */
const held = { by: 'paused', since: 1 } as const;
const orgHeld = { reason: 'login', code: 'X', message: 'x', since: 1, nextProbe: 2 };
const replay = { waiting: 0, inFlow: 0, succeeded: 0, failed: 0, postponed: 0 };
const deadLetter = { subject: 'dead', stream: 'S', stored: 1, replay };
const STATES: States = {
  servers: [
    {
      id: 's',
      name: 's',
      servers: 's',
      phase: 'connected',
      connectedTo: 's',
      version: '2.12.0',
      roundTrip: 1,
      downSince: null,
    },
  ],
  durables: [
    {
      ...{
        id: 'd',
        name: 'd',
        server: 's',
        stream: 'S',
        durable: 'C',
        phase: 'ready',
        inFlow: 1,
        pending: 1,
      },
      ...{ inFlight: 1, redelivered: 1, waitingForRetry: 1, nextRetry: 1, givenUp: 1, acknowledged: 1 },
      ...{ perSecond: 1, paused: true, held, deadLetter },
    },
  ],
  topics: [
    {
      id: 't',
      name: 't',
      org: 'o',
      topic: '/event/X__e',
      phase: 'ready',
      inFlow: 1,
      givenUp: 1,
      held,
      deadLetter,
    },
  ],
  writers: [{ id: 'w', name: 'w', messages: 1, held }],
  orgs: [
    {
      ...{ id: 'o', name: 'o', session: 'open', instanceUrl: 'https://x', apiVersion: '65.0', underWay: 1 },
      ...{ usage: { used: 1, max: 2, budget: 1 }, held: orgHeld, pubsubHeld: orgHeld },
    },
  ],
  syncs: [
    {
      ...{ id: 'y', name: 'y', server: 's', stream: 'S' },
      collections: [
        {
          ...{ syncId: 'i', collection: 'c', phase: 'live', done: 1, total: 1, rate: 1, lag: 1 },
          ...{ published: 1, refused: 1, calls: 1 },
        },
      ],
    },
  ],
};

test('monitoring.md names the metrics that there are, and no other', () => {
  const there = [...metricsText(STATES).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
  const page = read('docs/monitoring.md');
  const rows = [...page.matchAll(/^\| `(jetforce_\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(rows.sort(), there.sort());
  for (const [name] of page.matchAll(/jetforce_\w+/g)) assert.ok(there.includes(name), name);
});

test('each npm run line of a page is a script', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/npm run (?:--silent )?([\w-]+)/g)].map(([, name = '']) => ({ page, name })),
  );
  assert.ok(named.length > 10);
  assert.deepEqual(
    named.filter(({ name }) => !(name in scripts)),
    [],
  );
});

test('YAML and JavaScript in the pages are some', () => {
  // Node-RED's own, for its yaml node.
  const { load } = createRequire(require.resolve(`${nodeRedModule(5)}/package.json`))('js-yaml') as {
    load: (text: string) => unknown;
  };
  const yaml = pages.flatMap((page) => blocks(page, 'yaml').map((text) => load(text)));
  assert.ok(yaml.length >= 3);
  const [compose] = blocks('docs/docker.md', 'yaml').map((text) => load(text)) as {
    services: Record<string, { volumes: string[] }>;
    volumes: object;
  }[];
  const named = Object.values(compose!.services).flatMap(({ volumes }) =>
    volumes.map((each) => each.split(':')[0]),
  );
  assert.deepEqual(
    named.filter((name) => !name?.startsWith('.')),
    Object.keys(compose!.volumes),
  );
  for (const page of pages)
    for (const text of blocks(page, 'js')) {
      const module = { exports: {} };
      runInNewContext(text, { module, process: { env: {} }, require: createRequire(__filename) });
      assert.notDeepEqual(Object.keys(module.exports), [], page);
    }
});

test('nats-server takes the configurations in the pages', async () => {
  const configs = ['docs/docker.md', 'docs/nats-rights.md'].flatMap((page) =>
    blocks(page, '').filter((text) => text.includes('authorization')),
  );
  assert.equal(configs.length, 2);
  for (const text of configs) {
    const [authorization = ''] = /^authorization[\s\S]*/m.exec(text) ?? [];
    const server = await startNats({ config: authorization.replace(/\$\w+_PASSWORD/, 'secret') });
    await server.stop();
  }
});

describe('the flows of the cookbook', () => {
  const files = globSync('docs/cookbook/*.json', { cwd: root });
  const declared = new Map(declaredNodes().map((node) => [node.declared.type, node.declared]));
  const flows = files.map((file) => ({ file, nodes: JSON.parse(read(file)) as FlowNode[] }));

  test('are ten, each linked', () => {
    assert.equal(files.length, 10);
    for (const file of files)
      assert.ok(read('docs/cookbook.md').includes(`<cookbook/${basename(file)}>`), file);
  });

  test('name only settings that there are, with values that they may have', () => {
    process.env['NATS_URL'] ??= 'nats://127.0.0.1:4222';
    for (const { file, nodes } of flows)
      for (const { id, type, z, wires, ...own } of nodes) {
        const node = declared.get(type);
        if (!node) continue;
        const extra = Object.keys(own).filter(
          (key) => !(key in node.settings) && !/^(x|y|version)$/.test(key),
        );
        assert.deepEqual(extra, [], `${file}: ${type} ${id} in ${z}, ${wires?.length} outputs`);
        assert.doesNotThrow(() => parseSettings(node, own), `${file}: ${type}`);
      }
  });

  test('hold together, and give up nothing unsaid', () => {
    for (const { file, nodes } of flows) {
      const ids = new Set(nodes.map(({ id }) => id));
      assert.equal(ids.size, nodes.length, file);
      for (const node of nodes) {
        assert.ok(!('credentials' in node), file);
        const needs = [
          node.z,
          node['server'],
          node['org'],
          node['source'],
          ...(node.wires ?? []).flat(),
        ] as string[];
        for (const id of needs) if (id) assert.ok(ids.has(id), `${file}: ${node.type} → ${id}`);
        if (node.type === 'jetstream-in' && !String(node['subject']).includes('dead'))
          assert.ok(node['deadLetter'], `${file}: no dead letter`);
      }
    }
  });
});

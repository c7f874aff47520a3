import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { contract, flowTypes, types } from './contract';
import { until } from '../support/until';
import { skip, startBench, type Bench, type Editor } from './editor';

let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  bench = await startBench();
  editor = await bench.editor();
});
after(() => bench?.stop());

test(
  'a node without name and settings is called on the canvas what the palette calls it',
  { skip },
  async () => {
    for (const type of ['jetstream-in', 'jetstream-out', 'sfdc-event-in', 'sfdc-platform-event']) {
      await editor.clear();
      await editor.add({ id: 'x', type });
      const [label, palette] = await editor.run<string[]>(
        `[RED.utils.getNodeLabel(RED.nodes.node('x')), RED.nodes.getType('${type}').paletteLabel()]`,
      );
      assert.equal(label, palette);
    }
  },
);

for (const type of flowTypes) {
  test(`${type} is in the palette with its icon, and the icon is there`, { skip }, async () => {
    const { page, run } = editor;
    const node = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
    await node.scrollIntoViewIfNeeded();
    const icon = await node.locator('.red-ui-palette-icon-container').getAttribute('data-palette-icon');
    assert.match(icon ?? '', new RegExp(`node-red-jetstream-salesforce/${type}\\.svg$`));
    const size = await run<number[]>(`new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
      image.onerror = () => reject(new Error('not an image'));
      image.src = ${JSON.stringify(icon)};
    })`);
    assert.deepEqual(size, [40, 60]);
  });

  test(`${type} dragged from the palette has the contract's ports and properties`, { skip }, async () => {
    await editor.clear();
    const { page } = editor;
    const node = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
    await node.scrollIntoViewIfNeeded();
    const [from, to] = [
      await node.boundingBox(),
      await page.locator('#red-ui-workspace-chart').boundingBox(),
    ];
    assert.ok(from && to);
    await page.mouse.move(from.x + 20, from.y + 10);
    await page.mouse.down();
    await page.mouse.move(from.x + 60, from.y + 20, { steps: 3 });
    await page.mouse.move(to.x + 300, to.y + 200, { steps: 5 });
    await page.mouse.up();
    await page.locator('.red-ui-flow-node-group').waitFor();
    const [found] = await editor.run<{ id: string; type: string; inputs: number; outputs: number }[]>(
      'RED.nodes.filterNodes({}).map(({ id, type, inputs, outputs }) => ({ id, type, inputs, outputs }))',
    );
    const { inputs, outputs, properties } = contract[type] ?? {};
    assert.deepEqual(found, { id: found?.id, type, inputs, outputs });
    // A new node refers to the one config node there is, or to none.
    assert.deepEqual(await editor.exported(found?.id ?? ''), properties);
  });
}

for (const language of ['en-US', 'de']) {
  test(`every node has help in ${language}, its first paragraph being the tooltip`, { skip }, async () => {
    const { run } = await bench.editor({ language });
    for (const type of types) {
      const help = await run<string>(`$('script[data-help-name="${type}"]').html()`);
      const [, tooltip = ''] = /^\s*<p>([\s\S]*?)<\/p>/.exec(help) ?? [];
      assert.ok(tooltip.length > 20 && tooltip.length < 140, `${type}: ${tooltip}`);
      assert.match(help, /<h3>Details<\/h3>/);
      assert.equal(/<h3>(Eingaben|Verweise)</.test(help), language === 'de', `${type} speaks ${language}`);
    }
  });
}

test('the ports of a node say in the editor’s language what they are', { skip }, async () => {
  const labels = async (language: string) => {
    const each = await bench.editor({ language });
    for (const type of flowTypes) await each.add({ id: type, type, ...contract[type]?.properties });
    return each.run<Record<string, string>>(`Object.fromEntries(RED.nodes.filterNodes({}).flatMap((node) =>
      ['inputLabels', 'outputLabels'].flatMap((side) => {
        const label = node._def[side];
        return label === undefined ? [] : [[node.type + ' ' + side, typeof label === 'string' ? label : label.call(node, 0)]];
      })))`);
  };
  const [english, german] = [await labels('en-US'), await labels('de')];
  assert.ok(Object.keys(english).length > 8);
  for (const [port, label] of Object.entries(english)) {
    assert.doesNotMatch(label, /\./, `${port} has no text`);
    assert.notEqual(german[port], label, port);
  }
});

/** What people type who look for a node, and what they mean. */
const WANTED: Record<string, string[]> = {
  salesforce: ['sfdc-composite', 'sfdc-platform-event', 'sfdc-event-in', 'api-sync-out'],
  sfdc: ['sfdc-composite', 'sfdc-platform-event', 'sfdc-event-in'],
  nats: ['jetstream-in', 'jetstream-out', 'jetstream-ack', 'api-sync-out'],
  crm: ['sfdc-composite', 'sfdc-platform-event', 'sfdc-event-in', 'api-sync-out'],
  contact: ['sfdc-composite', 'sfdc-event-in', 'api-sync-out'],
  upsert: ['sfdc-composite'],
  cdc: ['sfdc-event-in', 'api-sync-out'],
  'change data capture': ['sfdc-event-in'],
  'platform event': ['sfdc-platform-event', 'sfdc-event-in'],
  publish: ['jetstream-out', 'sfdc-platform-event', 'api-sync-out'],
  subscribe: ['jetstream-in', 'sfdc-event-in'],
  sync: ['api-sync-out'],
  hubspot: ['api-sync-out'],
  'dead letter': ['jetstream-ack'],
};

const LISTED = `[...document.querySelectorAll('#red-ui-type-search .red-ui-search-result-node-label')].filter((row) => row.checkVisibility())`;

for (const [version, language] of [
  [5, 'en-US'],
  [5, 'de'],
  [4, 'en-US'],
] as const) {
  test(
    `people find the nodes by what they type, on Node-RED ${version} in ${language}`,
    { skip },
    async () => {
      const own = version === 5 ? undefined : await startBench({ version });
      try {
        const { page, run } = await (own ?? bench).editor({ language });
        const finds = async (input: string, shown: string, where: string) => {
          for (const [typed, wanted] of Object.entries(WANTED)) {
            await page.locator(input).fill('');
            await page.locator(input).pressSequentially(typed);
            // Both search a moment after the last key.
            let found: string[] = [];
            const right = async () => {
              found = (await run<string[]>(shown)).filter((type) => flowTypes.includes(type)).sort();
              return found.join() === [...wanted].sort().join();
            };
            await until(right, { timeout: 3_000, what: `${where} to find` }).catch(() =>
              assert.deepEqual(found, [...wanted].sort(), `${where}, for "${typed}"`),
            );
          }
        };
        await finds(
          '#red-ui-palette-search input',
          "[...document.querySelectorAll('.red-ui-palette-node:not([data-filter])')].map((node) => node.dataset.paletteType)",
          'the palette',
        );
        for (const once of ['first', 'again']) {
          await run('RED.typeSearch.show({ x: 100, y: 100, add() {}, cancel() {}, move() {} })');
          await finds(
            '#red-ui-type-search-input',
            `${LISTED}.map((row) => ${JSON.stringify(flowTypes)}.find((type) => RED.utils.getPaletteLabel(type, RED.nodes.getType(type)) === row.textContent) ?? '')`,
            `the list, opened ${once},`,
          );
          const heights = await run<number[]>(`${LISTED}.map((row) => row.offsetHeight)`);
          assert.ok(Math.max(...heights) < 30, `one line each: ${heights.join()}`);
          await page.locator('#red-ui-type-search-input').fill('');
          await page.locator('#red-ui-type-search-input').press('Shift');
          await page.locator('#red-ui-type-search').getByText('inject', { exact: true }).first().waitFor();
          await page.locator('#red-ui-type-search-input').press('Escape');
          await page.locator('#red-ui-type-search').waitFor({ state: 'hidden' });
        }
        const label = await run<string>(
          "RED.utils.getPaletteLabel('sfdc-composite', RED.nodes.getType('sfdc-composite'))",
        );
        assert.equal(label, 'salesforce records', 'elsewhere the label is short');
        await page.context().close();
      } finally {
        await own?.stop();
      }
    },
  );
}

test('the category has its name', { skip }, async () => {
  const { page } = editor;
  const header = page.locator('.red-ui-palette-header', { hasText: 'JetStream' });
  assert.equal((await header.innerText()).trim(), 'JetStream and Salesforce');
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { contract, flowTypes, types } from './contract';
import { skip, startBench, type Bench, type Editor } from './editor';

let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  bench = await startBench();
  editor = await bench.editor();
});
after(() => bench?.stop());

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

test('the category has its name', { skip }, async () => {
  const { page } = editor;
  const header = page.locator('.red-ui-palette-header', { hasText: 'JetStream' });
  assert.equal((await header.innerText()).trim(), 'JetStream and Salesforce');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowTypes } from './contract';
import { onBench, skip, type Editor } from './editor';
import { invalid, nodes, valid } from './valid';

let editor: Editor;
onBench(async (bench) => {
  editor = await bench.editor();
});

const ids = () => editor.run<string[]>('RED.nodes.filterNodes({}).map(({ id }) => id)');

async function paste(): Promise<string> {
  const before = await ids();
  await editor.page.keyboard.press('Control+v');
  await editor.page.waitForFunction(`RED.nodes.filterNodes({}).length === ${before.length + 1}`);
  // It hangs at the mouse until that is pressed.
  await editor.page
    .locator('#red-ui-workspace-chart')
    .click({ position: { x: 300, y: 150 + 80 * before.length } });
  const [id] = (await ids()).filter((each) => !before.includes(each));
  return id ?? assert.fail('nothing was pasted');
}

for (const type of flowTypes)
  test(
    `${type}: copies are the node again, valid, with the same connections, and undo takes them back`,
    { skip },
    async () => {
      await editor.clear();
      await editor.add(nodes.server, nodes.org, { ...valid('api-source'), id: 'source' }, valid(type));
      const original = await editor.exported('x');
      await editor.run("RED.view.select({ nodes: [RED.nodes.node('x')] }), RED.view.focus()");
      await editor.page.keyboard.press('Control+c');
      const copies = [await paste(), await paste()];
      assert.equal(new Set(['x', ...copies]).size, 3);
      for (const id of copies) {
        assert.deepEqual(await editor.exported(id), original);
        assert.deepEqual(await invalid(editor, id), [], 'copies that share what may be shared are no error');
      }
      const configs = await editor.run<number>(
        '(() => { let n = 0; RED.nodes.eachConfig(() => { n++; }); return n; })()',
      );
      assert.equal(configs, 3, 'no config node was doubled');
      for (const left of [2, 1]) {
        await editor.page.keyboard.press('Control+z');
        await editor.page.waitForFunction(`RED.nodes.filterNodes({}).length === ${left}`);
      }
      await editor.page.keyboard.press('Control+y');
      await editor.page.waitForFunction('RED.nodes.filterNodes({}).length === 2');
      assert.deepEqual(editor.complaints, []);
    },
  );

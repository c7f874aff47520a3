import assert from 'node:assert/strict';
import type { Locator } from 'playwright-core';
import type { Editor } from './editor';

/** Somebody who builds flows with the mouse, every press of which counts, and types in what has the focus. */
export interface User {
  readonly clicks: number;
  /** Does what isn't counted. */
  aside(work: () => Promise<void>): Promise<void>;
  click(where: Locator): Promise<void>;
  type(into: Locator, text: string): Promise<void>;
  /** Chooses from the list that an input has, which is narrowed by what is typed. */
  choose(input: Locator, typed: string, value: string): Promise<void>;
  /** Of a select: one press opens it, one takes the option. */
  select(where: Locator, value: string): Promise<void>;
  /** Finds a node in the palette, drags it to the canvas, and opens its form; gives its id. */
  place(search: string, type: string, at: { x: number; y: number }): Promise<string>;
  /** Adds a node by the list of Ctrl+click on the canvas, and opens its form; gives its id. */
  quickAdd(search: string, type: string, at: { x: number; y: number }): Promise<string>;
  openForm(id: string): Promise<void>;
  wire(from: string, to: string): Promise<void>;
  done(): Promise<void>;
  deploy(): Promise<void>;
}

export function userOf(editor: Editor): User {
  const { page } = editor;
  const chart = page.locator('#red-ui-workspace-chart');
  let clicks = 0;

  const box = async (where: Locator) => {
    const found = await where.boundingBox();
    assert.ok(found, String(where));
    return found;
  };
  const middle = async (where: Locator): Promise<[number, number]> => {
    const { x, y, width, height } = await box(where);
    return [x + width / 2, y + height / 2];
  };
  const drag = async (from: [number, number], to: [number, number]) => {
    clicks++;
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(from[0] + 20, from[1] + 10, { steps: 3 });
    await page.mouse.move(...to, { steps: 8 });
    await page.mouse.up();
  };
  const ids = () => editor.run<string[]>('RED.nodes.filterNodes({}).map(({ id }) => id)');
  const isNew = async (before: string[], type: string) => {
    const [id] = (await ids()).filter((each) => !before.includes(each));
    assert.ok(id, `a new ${type}`);
    assert.equal(await editor.run(`RED.nodes.node('${id}').type`), type);
    return id;
  };

  const user: User = {
    get clicks() {
      return clicks;
    },
    async aside(work) {
      const before = clicks;
      await work();
      clicks = before;
    },
    async click(where) {
      clicks++;
      await where.click();
    },
    async type(into, text) {
      await user.click(into);
      await page.keyboard.press('Control+a');
      await page.keyboard.type(text);
    },
    async choose(input, typed, value) {
      await user.click(input);
      await page.keyboard.type(typed);
      await user.click(page.locator(`.jetforce-list [data-value="${value}"]`));
    },
    async select(where, value) {
      clicks += 2;
      await where.selectOption(value);
    },
    async place(search, type, at) {
      const before = await ids();
      await user.type(page.locator('#red-ui-palette-search input'), search);
      const node = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
      // Only this one is left, and stands still.
      await page.waitForFunction(
        `document.querySelector('.red-ui-palette-node[data-palette-type="inject"]').checkVisibility() === false`,
      );
      await node.scrollIntoViewIfNeeded();
      const { x, y } = await box(chart);
      await drag(await middle(node), [x + at.x, y + at.y]);
      await page.waitForFunction(`RED.nodes.filterNodes({}).length > ${before.length}`);
      const id = await isNew(before, type);
      await user.openForm(id);
      return id;
    },
    async quickAdd(search, type, at) {
      const before = await ids();
      const label: string = await page.evaluate(`RED.nodes.getType('${type}').paletteLabel()`);
      clicks++;
      await chart.click({ position: at, modifiers: ['Control'] });
      await page.waitForFunction("document.activeElement.id === 'red-ui-type-search-input'");
      await page.keyboard.type(search);
      await page.locator('#red-ui-type-search li.selected', { hasText: label }).waitFor();
      await page.keyboard.press('Enter');
      await page.waitForFunction(`RED.nodes.filterNodes({}).length > ${before.length}`);
      const id = await isNew(before, type);
      await user.openForm(id);
      return id;
    },
    async openForm(id) {
      clicks += 2;
      const [x, y] = await middle(page.locator(`[id="${id}"] .red-ui-flow-node`));
      await page.mouse.dblclick(x, y);
      await editor.opened();
    },
    async wire(from, to) {
      await drag(
        await middle(page.locator(`[id="${from}"] .red-ui-flow-port-output .red-ui-flow-port`).first()),
        await middle(page.locator(`[id="${to}"] .red-ui-flow-port-input .red-ui-flow-port`)),
      );
    },
    async done() {
      clicks++;
      await editor.done();
    },
    async deploy() {
      clicks++;
      await editor.deploy().catch(async (error: Error) => {
        // The editor asks, before it deploys what it finds something wrong with.
        const asked = await page.locator('.red-ui-notification').allInnerTexts();
        const wrong = await editor.run<string[]>(
          'RED.nodes.filterNodes({}).flatMap(({ validationErrors = [] }) => validationErrors)',
        );
        assert.fail([error.message, ...asked, ...wrong].join('\n'));
      });
    },
  };
  return user;
}

import { after, before } from 'node:test';
import { type Browser, type Page } from 'playwright-core';
import { startNodeRed, type NodeRed, type ProcessOptions } from '../support/node-red';
import { skip, startBrowser } from './browser';
import { contract, types } from './contract';

export interface EditorOptions {
  /** Language of the browser. */
  language?: string;
}

/** The real editor in a real browser. */
export interface Editor {
  page: Page;
  /** Runs a piece of script in the page; RED is Node-RED's editor API. */
  run: <T>(script: string) => Promise<T>;
  /** Adds nodes as an import does; those of a flow go to the open one. */
  add(...nodes: Record<string, unknown>[]): Promise<void>;
  /** Closes what is open and removes every node that isn't deployed. */
  clear(): Promise<void>;
  /** Loads the page anew, as it was deployed. */
  reload(): Promise<void>;
  /** Opens a folded section of the form. */
  unfold(heading: string): Promise<void>;
  /** Opens the form of a node, or of a config node. */
  open(id: string): Promise<void>;
  /** Waits until a form that was just asked for is open. */
  opened(): Promise<void>;
  /** Closes the form by Done (Update, Add). */
  done(): Promise<void>;
  cancel(): Promise<void>;
  /** The node as an export writes it, without what the editor adds to any node. */
  exported(id: string): Promise<Record<string, unknown>>;
  /** Pastes an exported flow into the import dialog; fails where that asks anything. */
  importText(flow: string): Promise<void>;
  /** Presses Deploy and waits until it is done. */
  deploy(): Promise<void>;
  /** What the page's console has complained of. */
  complaints: string[];
}

/** A Node-RED and a browser for the tests of one file. */
export interface Bench {
  nodeRed: NodeRed;
  editor(options?: EditorOptions): Promise<Editor>;
  stop(): Promise<void>;
}

export { skip };

export async function startBench(options: ProcessOptions = {}): Promise<Bench> {
  const browser = await startBrowser();
  const nodeRed = await startNodeRed(options);
  return {
    nodeRed,
    editor: (how) => openEditor(browser, nodeRed.url, how),
    stop: async () => {
      await browser.close();
      await nodeRed.stop();
    },
  };
}

/** For all tests of a file: a bench, which is `ready` before the first of them, and stopped after the last. */
export function onBench(ready: (bench: Bench) => Promise<void> | void, options: ProcessOptions = {}): void {
  let bench: Bench | undefined;
  before(async () => {
    if (skip) return;
    bench = await startBench(options);
    await ready(bench);
  });
  after(() => bench?.stop());
}

async function openEditor(
  browser: Browser,
  url: string,
  { language = 'en-US' }: EditorOptions = {},
): Promise<Editor> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1100 }, locale: language });
  // Forms don't slide: whoever clicks in one would wait until it stands still.
  await context.addInitScript(`document.addEventListener('DOMContentLoaded', () =>
    document.head.appendChild(document.createElement('style')).append('* { transition: none !important }'))`);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  page.on('console', (message) => {
    if (/Definition error|oneditprepare|oneditsave|Validation error/.test(message.text()))
      complaints.push(message.text());
  });
  const loaded = async () => {
    await page.waitForFunction(
      `window.RED && RED.nodes && ${JSON.stringify(types)}.every(RED.nodes.getType) && RED.workspaces.active()`,
    );
    await page.locator('#red-ui-loading-progress').waitFor({ state: 'hidden' });
  };
  await page.goto(url);
  await loaded();

  const editor: Editor = {
    page,
    complaints,
    run: (script) => page.evaluate(script),
    async add(...nodes) {
      const z = await editor.run('RED.workspaces.active()');
      const placed = nodes.map((node, i) =>
        contract[String(node['type'])]?.config ? node : { z, x: 300, y: 60 * (i + 1), wires: [], ...node },
      );
      await editor.run(
        `RED.view.importNodes(${JSON.stringify(placed)}, { addFlow: false, generateIds: false, touchImport: true, notify: false })`,
      );
    },
    async clear() {
      while ((await page.locator('.red-ui-tray').count()) > 0) await editor.cancel();
      // Over a port that is no more, the editor's own tooltip fails.
      await page.mouse.move(0, 0);
      await editor.run('RED.nodes.clear(), RED.nodes.import([{ id: "flow", type: "tab", label: "Flow" }])');
      await editor.run('RED.workspaces.show("flow"), RED.view.redraw(true)');
    },
    async reload() {
      await page.reload();
      await loaded();
    },
    unfold: (heading) => page.locator('.jetforce-form summary', { hasText: heading }).click(),
    async open(id) {
      await editor.run(`(() => {
        const node = RED.nodes.node(${JSON.stringify(id)});
        if (node._def.category === 'config') RED.editor.editConfig('', node.type, node.id);
        else RED.editor.edit(node);
      })()`);
      await editor.opened();
    },
    async opened() {
      // The editor moves the focus into a form when it has slid in.
      await page.waitForFunction(
        "[...document.querySelectorAll('.jetforce-form')].at(-1)?.closest('.red-ui-tray').contains(document.activeElement)",
      );
    },
    done: () => close('#node-dialog-ok, #node-config-dialog-ok'),
    cancel: () => close('#node-dialog-cancel, #node-config-dialog-cancel'),
    async exported(id) {
      const [node] = await editor.run<Record<string, unknown>[]>(
        `RED.nodes.createExportableNodeSet([RED.nodes.node(${JSON.stringify(id)})])`,
      );
      const { id: _id, type: _type, z: _z, x: _x, y: _y, wires: _wires, ...own } = node ?? {};
      return own;
    },
    async importText(flow) {
      const [{ id } = { id: '' }] = JSON.parse(flow) as { id: string }[];
      await page.keyboard.press('Control+i');
      await page.locator('#red-ui-clipboard-dialog-import-text').fill(flow);
      await page.keyboard.press('End'); // Node-RED 4 looks at it after a key
      await page.locator('#red-ui-clipboard-dialog-ok').click();
      await page.waitForFunction(`RED.nodes.workspace('${id}') ?? RED.nodes.node('${id}')`);
    },
    async deploy() {
      await page.locator('#red-ui-header-button-deploy').click();
      await page.waitForFunction('!RED.nodes.dirty()');
    },
  };

  async function close(button: string): Promise<void> {
    const tray = await page.locator('.red-ui-tray').last().elementHandle();
    await page.locator(button).last().click();
    // A form behind this one comes back in its place.
    await tray?.waitForElementState('hidden');
    await page.waitForFunction((element) => !element?.isConnected, tray);
  }
  return editor;
}

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Route } from 'playwright-core';
import { until } from '../support/until';
import { contract } from './contract';
import { onBench, skip, type Editor } from './editor';

let editor: Editor;
/** Look-ups that were asked and not answered yet, in their order. */
let asked: Route[] = [];

onBench(async (bench) => {
  editor = await bench.editor();
  await editor.page.route('**/jetforce/jetstream-server/*', (route) => void asked.push(route));
});
beforeEach(async () => {
  if (skip) return;
  asked = [];
  await editor.clear();
  await editor.add(
    {
      id: 'server',
      type: 'jetstream-server',
      ...contract['jetstream-server']?.properties,
      servers: 'nats://h',
    },
    {
      id: 'x',
      type: 'jetstream-in',
      ...contract['jetstream-in']?.properties,
      server: 'server',
      stream: '',
      durable: 'd',
    },
  );
  await editor.open('x');
});

const answer = (route: Route | undefined, ...values: string[]) =>
  route?.fulfill({ json: { ok: true, data: values.map((value) => ({ value })) } });
const refuse = (route: Route | undefined, message: string) =>
  route?.fulfill({ json: { ok: false, error: { code: 'NO', message } } });
const toggle = (input: string) =>
  editor.page.locator(`#node-input-${input} + .jetforce-picker-toggle`).click();
const list = () => editor.page.locator('.jetforce-list').allInnerTexts();
const asks = (count: number) => until(() => asked.length >= count, { what: `${count} look-ups` });

for (const [what, late] of [
  ['the answer', (route?: Route) => answer(route, 'older')],
  ['the failure', (route?: Route) => refuse(route, 'older')],
] as const)
  test(`${what} of a look-up that comes late doesn’t overwrite a newer one’s`, { skip }, async () => {
    const { page } = editor;
    await toggle('stream');
    await asks(1);
    await toggle('stream'); // closed
    await toggle('stream');
    await asks(2);
    await answer(asked[1], 'newer');
    await page.locator('.jetforce-list [data-value=newer]').waitFor();
    const came = page.waitForResponse(/jetforce/);
    await late(asked[0]);
    await (await came).finished();
    await page.evaluate('new Promise((resolve) => setTimeout(resolve))');
    assert.deepEqual(
      (await list()).map((text) => text.trim()),
      ['newer'],
    );
    await page.keyboard.press('Escape');
  });

test('a late answer opens no list that was closed', { skip }, async () => {
  const { page } = editor;
  await toggle('stream');
  await asks(1);
  await page.keyboard.press('Escape');
  const came = page.waitForResponse(/jetforce/);
  await answer(asked[0], 'late');
  await (await came).finished();
  await page.evaluate('new Promise((resolve) => setTimeout(resolve))');
  assert.deepEqual(await list(), []);
  await page.locator('#node-input-stream').fill('mine');
  await until(() => asked.length === 2, { what: 'what is typed now to be looked up anew' });
  await answer(asked[1], 'mine-1');
  await page.locator('.jetforce-list [data-value="mine-1"]').waitFor();
  await page.keyboard.press('Escape');
});

test(
  'Escape closes the list and leaves the form open; without a list it is the form’s',
  { skip },
  async () => {
    const { page } = editor;
    await page.locator('#node-input-name').fill('kept');
    await toggle('stream');
    await asks(1);
    await answer(asked[0], 'crm');
    await page.locator('.jetforce-list [data-value=crm]').waitFor();
    // What reaches the document is the editor's: there Escape closes the form.
    await page.evaluate(`document.addEventListener('keydown', (event) => (window.reached = event.key))`);
    await page.keyboard.press('Escape');
    assert.deepEqual(await list(), []);
    assert.equal(await page.evaluate('window.reached'), undefined);
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate('window.reached'), 'Escape');
  },
);

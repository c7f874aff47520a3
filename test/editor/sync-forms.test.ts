import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { skip, startBench, type Bench, type Editor } from './editor';
import { invalid, nodes, SYNC_ID, valid } from './valid';

let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  bench = await startBench();
  editor = await bench.editor();
});
after(() => bench?.stop());

test('api-source: a new one has a sync id of its own, made once', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add({ ...valid('api-sync-out'), id: 'out' });
  await editor.open('out');
  await page.locator('#node-input-btn-source-add').click();
  await page.locator('#node-config-input-syncId').waitFor();
  await editor.opened();
  const made = await page.inputValue('#node-config-input-syncId');
  assert.match(made, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await page.locator('#jetforce-new-sync-id').click();
  const another = await page.inputValue('#node-config-input-syncId');
  assert.notEqual(another, made);
  await page.fill('#node-config-input-syncId', 'my own');
  await editor.done();
  const id = await page.inputValue('#node-input-source');
  await editor.done();
  await editor.open(id);
  assert.equal(await page.inputValue('#node-config-input-syncId'), 'my own');
  await editor.cancel();
});

test('api-source: makes a sync id without crypto.randomUUID (plain http), too', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.run('void (window.kept = crypto.randomUUID, crypto.randomUUID = undefined)');
  await editor.add({ ...valid('api-source'), syncId: '' });
  await editor.open('x');
  const made = await page.inputValue('#node-config-input-syncId');
  await editor.run('void (crypto.randomUUID = window.kept)');
  assert.match(made, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await editor.cancel();
});

test('api-source: two of them with one sync id are named', { skip }, async () => {
  await editor.clear();
  await editor.add(nodes.org, valid('api-source'), { ...valid('api-source'), id: 'other' });
  await editor.open('x');
  const hints = editor.page.locator('.jetforce-hint');
  assert.match(await hints.innerText(), /Another api-source has this sync id/);
  await editor.page.locator('#jetforce-new-sync-id').click();
  assert.equal(await hints.count(), 0);
  await editor.cancel();
});

test('api-source: a collection is completed with the name of its API', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.org, valid('api-source'));
  await editor.open('x');
  await page.getByText('add a collection').click();
  const added = page.locator('.jetforce-collection').last();
  await added.fill('Opportunity');
  await added.press('Tab');
  assert.equal(await added.inputValue(), 'salesforce:opportunity');
  await page.getByText('add a collection').click();
  await page.locator('.jetforce-collection').last().fill('Account'); // and Done, without leaving the input
  await editor.done();
  assert.deepEqual((await editor.exported('x'))['collections'], [
    'salesforce:contact',
    'salesforce:opportunity',
    'salesforce:account',
  ]);
  assert.deepEqual(await invalid(editor, 'x'), []);
});

test('api-source: shows what the API needs, and says which ones it can’t read yet', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.org, valid('api-source'));
  await editor.open('x');
  const shown = async () => {
    const inputs =
      'org baseUrl user token secret definition mode pollInterval lookback reconcile syncId'.split(' ');
    const found = [];
    for (const name of inputs) {
      const row = page.locator(`.form-row:has(label[for="node-config-input-${name}"])`);
      if (await row.isVisible()) found.push(name);
    }
    return found.join(' ');
  };
  const provider = (value: string) => page.selectOption('#node-config-input-provider', value);
  const hints = page.locator('.jetforce-hint');
  assert.equal(await shown(), 'org mode reconcile syncId');
  assert.equal(await hints.count(), 0);
  await page.selectOption('#node-config-input-mode', 'poll');
  assert.equal(await shown(), 'org mode pollInterval lookback reconcile syncId');
  await provider('flow');
  assert.equal(await shown(), 'syncId');
  assert.equal(await page.locator('.jetforce-collections').isVisible(), false);
  assert.equal(await hints.count(), 0);
  await provider('stripe');
  assert.equal(await shown(), 'baseUrl token pollInterval lookback apiBudget reconcile syncId');
  await provider('jira');
  assert.equal(await shown(), 'baseUrl user token secret pollInterval lookback apiBudget reconcile syncId');
  await provider('custom');
  assert.equal(
    await shown(),
    'baseUrl user token secret definition pollInterval lookback apiBudget reconcile syncId',
  );
  await editor.cancel();
});

test('api-sync-out: the preview is the subject that records get', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, nodes.org, { ...valid('api-source'), id: 'source' }, valid('api-sync-out'));
  await editor.open('x');
  const subject = page.locator('#jetforce-subject-preview');
  const events = page.locator('#jetforce-events-preview');
  const unknown = 'sequin-records.default.sync_id.provider.collection_id.record_upstream_id';
  assert.equal(await subject.innerText(), unknown);
  await page.selectOption('#node-input-source', 'source');
  const known = `default.${SYNC_ID}.salesforce.salesforce:contact.record_upstream_id`;
  assert.equal(await subject.innerText(), `sequin-records.${known}`);
  assert.equal(await events.isVisible(), false);
  await page.check('#node-input-events');
  await page.fill('#node-input-subjectPrefix', 'crm');
  assert.equal(await subject.innerText(), `crm.${known}`);
  assert.equal(await events.innerText(), `crm-events.${known}.insert|update|delete`);
  await editor.unfold('Stream settings');
  assert.equal(await page.getAttribute('#node-input-streamConfig-subjects', 'placeholder'), 'crm.>');
  await page.fill('#node-input-streamConfig-maxAge', '30d');
  assert.match(await page.locator('.jetforce-hint').innerText(), /drops a record that hasn't changed/);
  await editor.done();
  const { subjectPrefix, streamConfig, source, events: eventsToo } = await editor.exported('x');
  assert.deepEqual([subjectPrefix, source, eventsToo], ['crm', 'source', true]);
  const { maxAge, maxMsgsPerSubject, subjects } = streamConfig as Record<string, unknown>;
  assert.deepEqual([maxAge, maxMsgsPerSubject, subjects], ['30d', 1, []]);
});

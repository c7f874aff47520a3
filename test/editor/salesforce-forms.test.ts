import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onBench, skip, type Editor } from './editor';
import { invalid, nodes, valid } from './valid';

let editor: Editor;
onBench(async (bench) => {
  editor = await bench.editor();
});

test('sfdc-composite: a map of fields with typed values', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  const payload = {
    mode: 'map',
    fields: ['str', 'num', 'bool', 'json', 'msg', 'flow', 'global', 'env', 'jsonata', 'template'].map(
      (type) => ({
        name: `F_${type}__c`,
        type,
        value: { num: '5', bool: 'true', json: '{"a":1}', template: '{{payload.x}}' }[type] ?? 'x',
      }),
    ),
  };
  await editor.add(nodes.org, { ...valid('sfdc-composite'), payload });
  await editor.open('x');
  await editor.done();
  assert.deepEqual((await editor.exported('x'))['payload'], payload, 'unchanged by opening the form');
  await editor.open('x');
  await page.getByText('add a field').click();
  await page.locator('.jetforce-field-name').last().fill('Email');
  await page.locator('.jetforce-field').last().locator('.red-ui-typedInput-input').fill('payload.email');
  await editor.unfold('Batching');
  await page.fill('#node-input-batch-records', '200');
  await page.check('#node-input-batch-coalesce');
  await editor.done();
  const exported = await editor.exported('x');
  assert.deepEqual(exported['payload'], {
    mode: 'map',
    fields: [...payload.fields, { name: 'Email', type: 'msg', value: 'payload.email' }],
  });
  assert.deepEqual(exported['batch'], {
    records: 200,
    maxRequests: 4,
    linger: '0ms',
    coalesce: true,
    bulkFrom: 20000,
  });
  await editor.open('x');
  await page.selectOption('#node-input-payloadMode', 'event');
  await editor.done();
  assert.deepEqual((await editor.exported('x'))['payload'], { mode: 'event' });
});

test('sfdc-platform-event: a map of the event’s fields, and requests as a number', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.org, valid('sfdc-platform-event'));
  await editor.open('x');
  await page.selectOption('#node-input-payloadMode', 'map');
  await page.getByText('add a field').click();
  await page.fill('.jetforce-field-name', 'Status__c');
  await page.locator('.jetforce-field .red-ui-typedInput-input').fill('payload.status');
  await page.fill('#node-input-maxRequests', '4');
  await editor.done();
  const { payload, maxRequests } = await editor.exported('x');
  assert.deepEqual(payload, {
    mode: 'map',
    fields: [{ name: 'Status__c', type: 'msg', value: 'payload.status' }],
  });
  assert.equal(maxRequests, 4);
  assert.deepEqual(await invalid(editor, 'x'), []);
});

test('sfdc-event-in: a position in a bucket needs the server of the bucket', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, nodes.org, valid('sfdc-event-in'));
  await editor.open('x');
  assert.equal(await page.locator('#node-input-server').isVisible(), false);
  await page.selectOption('#node-input-checkpoint', 'kv');
  await editor.done();
  assert.match((await invalid(editor, 'x')).join(), /^Server: fill this in$/);
  await editor.open('x');
  await page.selectOption('#node-input-server', 'server');
  await page.fill('#node-input-bucket', 'positions');
  await editor.done();
  const { server, bucket } = await editor.exported('x');
  assert.deepEqual({ server, bucket }, { server: 'server', bucket: 'positions' });
  assert.deepEqual(await invalid(editor, 'x'), []);
  await editor.open('x');
  await page.selectOption('#node-input-replay', 'latest');
  assert.equal(await page.locator('#node-input-bucket').isVisible(), false);
  await editor.cancel();
});

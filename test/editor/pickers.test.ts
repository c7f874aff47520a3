import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startOrg, type Org } from '../org/org';
import { startNats, type Nats } from '../support/nats';
import { contract } from './contract';
import { skip, startBench, type Bench, type Editor } from './editor';

let nats: Nats;
let org: Org;
let bench: Bench;
let editor: Editor;

before(async () => {
  if (skip) return;
  bench = await startBench();
  [nats, org, editor] = await Promise.all([
    startNats({ config: 'authorization { user: ada, password: secret }' }),
    startOrg({ pubsub: true }),
    bench.editor(),
  ]);
  // A jetstream-in node makes the stream and the durable that the forms are to find.
  await bench.nodeRed.deploy([
    { ...(server() as { id: string; type: string }), credentials: { password: 'secret' } },
    { id: 'tab', type: 'tab', label: 'made' },
    {
      id: 'maker',
      type: 'jetstream-in',
      z: 'tab',
      ...contract['jetstream-in']?.properties,
      server: 'server',
      stream: 'crm',
      provision: true,
      streamConfig: { subjects: ['crm.contacts.>', 'crm.leads.>'] },
      durable: 'contacts_to_salesforce',
      wires: [['sink']],
    },
    { id: 'sink', type: 'debug', z: 'tab', active: false, wires: [] },
  ]);
  await editor.reload();
});
after(async () => {
  await bench?.stop();
  await nats?.stop();
  await org?.close();
});

const server = (change = {}) => ({
  id: 'server',
  type: 'jetstream-server',
  ...contract['jetstream-server']?.properties,
  servers: nats.url,
  auth: 'userpass',
  user: 'ada',
  ...change,
});

const sfdcOrg = (change = {}) => ({
  id: 'org',
  type: 'sfdc-org',
  ...contract['sfdc-org']?.properties,
  loginUrl: org.url,
  pubsubEndpoint: org.pubsub,
  ...change,
});

async function withServer(editor: Editor, node: Record<string, unknown>): Promise<void> {
  await editor.clear();
  await editor.add(server());
  await editor.open('server');
  await editor.page.fill('#node-config-input-password', 'secret');
  await editor.done();
  await editor.add({ id: 'x', ...contract[String(node['type'])]?.properties, server: 'server', ...node });
  await editor.open('x');
}

async function withOrg(editor: Editor, node: Record<string, unknown>): Promise<void> {
  await editor.clear();
  await editor.add(sfdcOrg());
  await editor.open('org');
  await editor.page.fill('#node-config-input-clientId', org.clientId);
  await editor.page.fill('#node-config-input-clientSecret', org.clientSecret);
  await editor.done();
  await editor.add({ id: 'x', ...contract[String(node['type'])]?.properties, org: 'org', ...node });
  await editor.open('x');
}

/** Opens the list of an input and returns what it offers. */
async function offered({ page }: Editor, input: string): Promise<string[]> {
  await page.locator(`#node-input-${input} + .jetforce-picker-toggle`).click();
  const options = page.locator('.jetforce-list [role=option]');
  await options.first().waitFor();
  return options.evaluateAll((items) =>
    items.map((item) => (item as unknown as { dataset: { value: string } }).dataset.value),
  );
}

test('jetstream-in: streams, subjects and durables of a server that is not deployed', { skip }, async () => {
  const { page } = editor;
  await withServer(editor, { type: 'jetstream-in' });
  assert.deepEqual(await offered(editor, 'stream'), ['crm']);
  await page.locator('.jetforce-list [role=option]').click();
  assert.equal(await page.inputValue('#node-input-stream'), 'crm');
  assert.equal(await page.locator('.jetforce-list').count(), 0);
  assert.deepEqual(await offered(editor, 'subject'), ['crm.contacts.>', 'crm.leads.>']);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await page.inputValue('#node-input-subject'), 'crm.leads.>');
  assert.deepEqual(await offered(editor, 'durable'), ['contacts_to_salesforce']);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.jetforce-list').count(), 0);
  assert.equal(await page.locator('.jetforce-form').count(), 1, 'Escape closes the list, not the form');
});

test('several subjects are completed one by one', { skip }, async () => {
  const { page } = editor;
  await withServer(editor, { type: 'jetstream-in', stream: 'crm', subject: 'crm.contacts.a, ' });
  await page.locator('#node-input-subject').press('End');
  await page.keyboard.type('leads');
  const option = page.locator('.jetforce-list [role=option]');
  await option.waitFor();
  assert.equal(await option.count(), 1);
  await option.click();
  assert.equal(await page.inputValue('#node-input-subject'), 'crm.contacts.a, crm.leads.>');
});

test('a durable of a stream that a deploy makes is no error', { skip }, async () => {
  await withServer(editor, { type: 'jetstream-in', stream: 'to-come', provision: true });
  await editor.page.locator('#node-input-durable + .jetforce-picker-toggle').click();
  await editor.page.getByText('The stream will be created when you deploy').waitFor();
  assert.equal(await editor.page.locator('.jetforce-list .jetforce-error').count(), 0);
  await editor.page.keyboard.press('Escape');
  await editor.cancel();
});

test('free text counts where the look-up fails, and the reason stands in the form', { skip }, async () => {
  const { page } = editor;
  await editor.clear();
  await editor.add(server({ id: 'elsewhere', auth: 'none', servers: 'nats://127.0.0.1:1' }), {
    id: 'x',
    type: 'jetstream-in',
    ...contract['jetstream-in']?.properties,
    durable: 'd',
    server: 'elsewhere',
  });
  await editor.open('x');
  await page.locator('#node-input-stream').pressSequentially('mine');
  const error = page.locator('.jetforce-list .jetforce-error');
  await error.waitFor();
  assert.match(await error.innerText(), /127\.0\.0\.1:1/);
  await page.keyboard.press('Tab');
  assert.equal(await page.locator('.jetforce-list').count(), 0);
  await editor.done();
  assert.equal((await editor.exported('x'))['stream'], 'mine');
});

test('free text counts where nothing is found, and where the list knows another name', { skip }, async () => {
  const { page } = editor;
  await withServer(editor, { type: 'jetstream-in', durable: 'd' });
  await page.locator('#node-input-stream').pressSequentially('cr');
  await page.locator('.jetforce-list [role=option]').waitFor();
  await page.keyboard.type('x');
  await page.locator('.jetforce-list-notice').waitFor();
  await page.keyboard.press('Tab');
  await editor.done();
  assert.equal((await editor.exported('x'))['stream'], 'crx');
});

test('without a server the list says that one must be chosen first', { skip }, async () => {
  await editor.clear();
  await editor.add({ id: 'x', type: 'jetstream-in', ...contract['jetstream-in']?.properties });
  await editor.open('x');
  await editor.page.locator('#node-input-stream + .jetforce-picker-toggle').click();
  assert.match(await editor.page.locator('.jetforce-list').innerText(), /Choose a server first/);
});

test('sfdc-composite: sObjects, external id fields and fields of the org', { skip }, async () => {
  const { page } = editor;
  await withOrg(editor, { type: 'sfdc-composite' });
  assert.ok((await offered(editor, 'sobject')).includes('Contact'));
  await page.keyboard.press('Escape');
  await page.fill('#node-input-sobject', 'Contact');
  await page.keyboard.press('Escape');
  const keys = await offered(editor, 'externalIdField');
  assert.ok(!keys.includes('LastName'), keys.join());
  assert.deepEqual([keys[0], keys.at(-1)], ['ExternalId__c', 'Id']);
  await page.locator('.jetforce-list [data-value="ExternalId__c"]').click();
  await page.selectOption('#node-input-payloadMode', 'map');
  await page.getByText('add a field').click();
  await page.locator('.jetforce-field .jetforce-picker-toggle').click();
  await page.locator('.jetforce-list [role=option]').first().waitFor();
  const fields = await page.locator('.jetforce-list [role=option]').allInnerTexts();
  assert.match(
    fields[0] ?? '',
    /^LastName\s+Last Name \(string\)$/,
    'what a new record needs comes first, named whole',
  );
  assert.match(fields[1] ?? '', /^ExternalId__c/, 'then what tells records apart');
  assert.doesNotMatch(
    fields.join(' '),
    /IsDeleted|CreatedDate|SystemModstamp/,
    'and nothing that can’t be written',
  );
  await page.locator('.jetforce-field-name').pressSequentially('last');
  await page.locator('.jetforce-list [data-value="LastName"]').click();
  await page.locator('.jetforce-field .red-ui-typedInput-input').fill('payload.name');
  await editor.done();
  const { externalIdField, payload } = await editor.exported('x');
  assert.equal(externalIdField, 'ExternalId__c');
  assert.deepEqual(payload, {
    mode: 'map',
    fields: [{ name: 'LastName', type: 'msg', value: 'payload.name' }],
  });
});

test('sfdc-platform-event: events that can be published, and their fields', { skip }, async () => {
  const { page } = editor;
  await withOrg(editor, { type: 'sfdc-platform-event' });
  const topics = await offered(editor, 'topic');
  assert.ok(topics.includes('/event/OrderStatus__e'), topics.join());
  assert.ok(
    topics.every((topic) => topic.startsWith('/event/')),
    topics.join(),
  );
  await page.selectOption('#node-input-payloadMode', 'map');
  await page.getByText('add a field').click();
  await page.locator('.jetforce-field-name + .jetforce-picker-toggle').click();
  assert.match(await page.locator('.jetforce-list').innerText(), /Fill in “Topic” first/);
  await page.fill('#node-input-topic', '/event/OrderStatus__e');
  await page.keyboard.press('Escape');
  await page.locator('.jetforce-field-name').pressSequentially('status');
  await page.locator('.jetforce-list [data-value="Status__c"]').click();
  assert.equal(await page.inputValue('.jetforce-field-name'), 'Status__c');
});

test('sfdc-event-in: platform events, changes of objects, and all changes', { skip }, async () => {
  const { page } = editor;
  await withOrg(editor, { type: 'sfdc-event-in' });
  const topics = await offered(editor, 'topic');
  for (const topic of ['/event/OrderStatus__e', '/data/ContactChangeEvent', '/data/ChangeEvents'])
    assert.ok(topics.includes(topic), `${topic} of ${topics.join()}`);
  await page.locator('.jetforce-list [data-value="/data/ContactChangeEvent"]').click();
  await editor.done();
  assert.equal((await editor.exported('x'))['topic'], '/data/ContactChangeEvent');
});

test('api-source: the objects of an org that is not deployed, as collections', { skip }, async () => {
  const { page } = editor;
  await withOrg(editor, { type: 'api-source', syncId: 's' });
  await page.locator('.jetforce-collection').pressSequentially('conta');
  await page.locator('.jetforce-list [data-value="salesforce:contact"]').click();
  assert.equal(await page.inputValue('.jetforce-collection'), 'salesforce:contact');
  await editor.done();
  assert.deepEqual((await editor.exported('x'))['collections'], ['salesforce:contact']);
});

test('api-source: Test connection names a collection that the org doesn’t have', { skip }, async () => {
  const { page } = editor;
  await withOrg(editor, { type: 'api-source', syncId: 's', collections: ['salesforce:contact'] });
  const result = page.locator('.jetforce-result');
  await page.locator('.jetforce-test button').click();
  await page.locator('.jetforce-result .jetforce-ok').first().waitFor();
  assert.match(await result.innerText(), /Logged in to/);
  await page.getByText('add a collection').click();
  await page.locator('.jetforce-collection').last().fill('salesforce:unicorn');
  await page.keyboard.press('Escape'); // the list
  await page.locator('.jetforce-test button').click();
  await page.locator('.jetforce-result .jetforce-error').first().waitFor();
  assert.match(await result.innerText(), /salesforce:unicorn/);
  await editor.cancel();
});

test('api-sync-out: streams of the server', { skip }, async () => {
  await withServer(editor, { type: 'api-sync-out' });
  assert.deepEqual(await offered(editor, 'stream'), ['crm']);
  await editor.page.keyboard.press('Escape');
  await editor.cancel();
});

test('Test connection tells what a server is, and in words what is wrong', { skip }, async () => {
  const { page } = editor;
  await editor.clear();
  await editor.add(server());
  await editor.open('server');
  const result = page.locator('.jetforce-result');
  const tried = async () => {
    await page.locator('.jetforce-test button').click();
    await page.waitForFunction("!/Testing/.test(document.querySelector('.jetforce-result').textContent)");
    return result.innerText();
  };
  await page.fill('#node-config-input-password', 'secret');
  assert.match(await tried(), /Connected to .*nats-server 2/);
  await page.fill('#node-config-input-password', 'wrong');
  assert.match(await tried(), /password|login|refused|credentials/i);
  assert.equal(await result.locator('.jetforce-error').count(), 1);
  await page.fill('#node-config-input-servers', 'nats://no-such-host.invalid:4222');
  assert.match(await tried(), /no-such-host\.invalid/);
});

test('Test connection tells which org it is, and which login it refuses', { skip }, async () => {
  const { page } = editor;
  await editor.clear();
  await editor.add(sfdcOrg());
  await editor.open('org');
  const result = page.locator('.jetforce-result');
  const tried = async () => {
    await page.locator('.jetforce-test button').click();
    await page.waitForFunction("!/Testing/.test(document.querySelector('.jetforce-result').textContent)");
    return result.innerText();
  };
  await page.fill('#node-config-input-clientId', org.clientId);
  await page.fill('#node-config-input-clientSecret', org.clientSecret);
  assert.match(
    await tried(),
    /Logged in to.*as admin@org\.example[\s\S]*REST API: \d+,\d+ of 1,000,000[\s\S]*Pub\/Sub/,
  );
  await page.fill('#node-config-input-clientSecret', 'wrong');
  assert.match(await tried(), /client/i);
  assert.equal(await result.locator('.jetforce-error').count(), 1);
});

test('a stored password is used without being shown', { skip }, async () => {
  const { page } = editor;
  await editor.reload();
  await editor.open('server');
  assert.equal(await page.inputValue('#node-config-input-password'), '__PWRD__');
  await page.locator('.jetforce-test button').click();
  await page.locator('.jetforce-result .jetforce-ok').first().waitFor();
});

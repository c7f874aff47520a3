import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contract, types } from './contract';
import { onBench, skip, type Bench, type Editor } from './editor';
import { invalid, nodes, valid } from './valid';

let bench: Bench;
let editor: Editor;
onBench(async (started) => {
  bench = started;
  editor = await bench.editor();
});

for (const type of types) {
  test(`${type}: a new node has the contract's properties and values, and no other`, { skip }, async () => {
    await editor.clear();
    const defaults = await editor.run(
      `Object.fromEntries(Object.entries(RED.nodes.getType('${type}').defaults).map(([name, { value }]) => [name, value]))`,
    );
    assert.deepEqual(defaults, contract[type]?.properties);
    const secrets = await editor.run(
      `Object.fromEntries(Object.entries(RED.nodes.getType('${type}').credentials ?? {}).map(([name, { type }]) => [name, type]))`,
    );
    const expected = (contract[type]?.secrets ?? []).map((name) => [
      name,
      // What is no secret is shown.
      name === 'clientId' ? 'text' : 'password',
    ]);
    assert.deepEqual(secrets, Object.fromEntries(expected));
  });

  test(`${type}: opening the form and pressing Done changes nothing`, { skip }, async () => {
    await editor.clear();
    const node = valid(type);
    await editor.add(nodes.server, nodes.org, node);
    await editor.open('x');
    await editor.done();
    const { id: _id, type: _type, ...expected } = node;
    assert.deepEqual(await editor.exported('x'), expected);
    const incomplete = type === 'sfdc-org' ? ['Login URL', 'Client id', 'Client secret'] : [];
    assert.deepEqual(
      await invalid(editor, 'x'),
      incomplete.map((label) => `${label}: fill this in`),
    );
    assert.deepEqual(editor.complaints, []);
  });
}

test('jetstream-in: what is typed is what is exported, numbers as numbers', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, valid('jetstream-in'));
  await editor.open('x');
  await page.fill('#node-input-name', 'contacts');
  await page.check('#node-input-provision');
  // Its subjects are missing, so its section is open.
  await page.fill('#node-input-streamConfig-subjects', 'crm.>, orders.*');
  await page.fill('#node-input-streamConfig-maxAge', '1h');
  await page.fill('#node-input-streamConfig-maxBytes', '2GiB');
  await page.fill('#node-input-streamConfig-maxMsgsPerSubject', '10');
  await page.selectOption('#node-input-streamConfig-discard', 'new');
  await page.check('#node-input-streamConfig-denyDelete');
  await page.fill('#node-input-subject', 'crm.contacts.*, crm.leads.>');
  await page.fill('#node-input-maxDeliver', '7');
  await page.fill('#node-input-deadLetter', 'dead.crm');
  await editor.unfold('Start and pace');
  await page.selectOption('#node-input-deliver', 'by_start_time');
  await page.fill('#node-input-startTime', '2026-01-31T08:00:00Z');
  await editor.done();
  assert.deepEqual(await editor.exported('x'), {
    ...contract['jetstream-in']?.properties,
    server: 'server',
    stream: 'crm',
    durable: 'd',
    name: 'contacts',
    provision: true,
    streamConfig: {
      ...(contract['jetstream-in']?.properties['streamConfig'] as object),
      subjects: ['crm.>', 'orders.*'],
      maxAge: '1h',
      maxBytes: '2GiB',
      maxMsgsPerSubject: 10,
      discard: 'new',
      denyDelete: true,
    },
    subject: 'crm.contacts.*, crm.leads.>',
    maxDeliver: 7,
    deadLetter: 'dead.crm',
    deliver: 'by_start_time',
    startTime: '2026-01-31T08:00:00Z',
  });
  assert.deepEqual(await invalid(editor, 'x'), []);
});

test('jetstream-out: headers are a list of names and templates', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, valid('jetstream-out'));
  await editor.open('x');
  await page.fill('#node-input-subject', 'crm.{{payload.kind}}.created');
  assert.equal(
    await page.locator('#jetforce-subject-preview').innerText(),
    'Preview: crm.payload.kind.created',
  );
  await page.getByText('add a header').click();
  await page.fill('.jetforce-header-name', 'X-Source');
  await page.fill('.jetforce-header-value', '{{payload.source}}');
  await editor.done();
  const { subject, headers } = await editor.exported('x');
  assert.deepEqual(
    { subject, headers },
    { subject: 'crm.{{payload.kind}}.created', headers: [{ name: 'X-Source', value: '{{payload.source}}' }] },
  );
});

test('a flow written by hand, with settings left out, opens with the defaults', { skip }, async () => {
  await editor.clear();
  await editor.add({ id: 'server', type: 'jetstream-server' }, nodes.org);
  for (const type of types) {
    const references = { server: 'server', org: 'org', source: '' };
    const given = Object.fromEntries(
      Object.entries(valid(type)).filter(([name, value]) => value !== contract[type]?.properties[name]),
    );
    await editor.add({ ...given, id: `hand-${type}` });
    const faults = await invalid(editor, `hand-${type}`);
    assert.deepEqual(type === 'sfdc-org' ? [] : faults, [], 'an org has no login of its own accord');
    await editor.open(`hand-${type}`);
    await editor.done();
    const exported = await editor.exported(`hand-${type}`);
    const { id: _id, type: _type, ...expected } = valid(type);
    for (const name of Object.keys(references)) delete exported[name];
    for (const [name, value] of Object.entries(exported))
      assert.deepEqual(value, expected[name], `${type} ${name}`);
    assert.equal(
      Object.keys(exported).length,
      Object.keys(expected).filter((name) => !(name in references)).length,
      type,
    );
  }
  assert.deepEqual(editor.complaints, []);
});

test("a login in a server's address is taken, is named, and stands in no label", { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(
    { ...nodes.server, id: 'login', name: '', servers: 'nats://ada:hu/sh@host:4222, nats://t@other' },
    { ...valid('jetstream-out'), server: 'login' },
  );
  assert.deepEqual(await invalid(editor, 'login'), []);
  assert.equal(
    await editor.run("RED.utils.getNodeLabel(RED.nodes.node('login'))"),
    'nats://host:4222, nats://other',
  );
  await editor.open('login');
  const hints = page.locator('.jetforce-hints');
  await hints.getByText(/A login stands in the address/).waitFor();
  await page.fill('#node-config-input-servers', 'nats://host:4222');
  await page.press('#node-config-input-servers', 'Tab');
  await hints.getByText(/A login stands/).waitFor({ state: 'detached' });
  await editor.done();
});

test('secrets are in no export and in no flow file, and come back as dots', { skip }, async () => {
  await editor.clear();
  const { nodeRed } = bench;
  const { page } = editor;
  const secrets = { password: 'hush-password', creds: 'hush\ncreds' };
  await editor.add(
    { ...nodes.server, id: 'secret', auth: 'userpass', user: 'ada' },
    { ...valid('jetstream-out'), server: 'secret' },
  );
  await editor.open('secret');
  await page.fill('#node-config-input-password', secrets.password);
  await page.selectOption('#node-config-input-auth', 'creds');
  await page.fill('#node-config-input-creds-text', secrets.creds);
  await editor.done();
  const exported = JSON.stringify(
    await editor.run('RED.nodes.createCompleteNodeSet({ credentials: false })'),
  );
  assert.ok(!exported.includes('hush'));
  await editor.deploy();
  assert.ok(!JSON.stringify(await nodeRed.api('GET', '/flows')).includes('hush'));
  assert.deepEqual(await nodeRed.api('GET', '/credentials/jetstream-server/secret'), {
    has_password: true,
    has_token: false,
    has_nkeySeed: false,
    has_jwt: false,
    has_creds: true,
  });
  await editor.reload();
  await editor.open('secret');
  assert.equal(await page.inputValue('#node-config-input-password'), '__PWRD__');
  assert.equal(await page.inputValue('#node-config-input-creds-text'), '');
  assert.match((await page.getAttribute('#node-config-input-creds-text', 'placeholder')) ?? '', /stored/);
  await editor.done();
  await editor.deploy().catch(() => undefined);
  assert.ok(!(await page.content()).includes('hush'));
});

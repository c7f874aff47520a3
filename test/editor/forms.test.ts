import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { contract, types } from './contract';
import { skip, startBench, type Bench, type Editor } from './editor';

let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  bench = await startBench();
  editor = await bench.editor();
});
after(() => bench?.stop());

const nodes = {
  server: { id: 'server', type: 'jetstream-server', ...contract['jetstream-server']?.properties },
  org: { id: 'org', type: 'sfdc-org', ...contract['sfdc-org']?.properties },
};

/** A node of that type with everything it needs to be valid. */
function valid(type: string): Record<string, unknown> {
  const needed: Record<string, Record<string, unknown>> = {
    'jetstream-in': { server: 'server', stream: 'crm', durable: 'd' },
    'jetstream-out': { server: 'server', subject: 'crm.a' },
    'sfdc-composite': { org: 'org', sobject: 'Contact', externalIdField: 'Key__c' },
  };
  return { id: 'x', type, ...contract[type]?.properties, ...needed[type] };
}

const invalid = async (editor: Editor, id: string) =>
  editor.run<string[]>(
    `RED.editor.validateNode(RED.nodes.node('${id}')), RED.nodes.node('${id}').validationErrors`,
  );

for (const type of types) {
  test(`${type}: a new node has the contract's properties and values, and no other`, { skip }, async () => {
    await editor.clear();
    const defaults = await editor.run(
      `Object.fromEntries(Object.entries(RED.nodes.getType('${type}').defaults).map(([name, { value }]) => [name, value]))`,
    );
    assert.deepEqual(defaults, contract[type]?.properties);
    const secrets = await editor.run(`RED.nodes.getType('${type}').credentials ?? {}`);
    const expected = (contract[type]?.secrets ?? []).map((name) => [name, { type: 'password' }]);
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
    assert.deepEqual(await invalid(editor, 'x'), []);
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
  await editor.unfold('Stream settings');
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
  assert.deepEqual(exported['batch'], { records: 200, maxRequests: 4, linger: '0ms', coalesce: true });
  await editor.open('x');
  await page.selectOption('#node-input-payloadMode', 'event');
  await editor.done();
  assert.deepEqual((await editor.exported('x'))['payload'], { mode: 'event' });
});

test('a flow written by hand, with settings left out, opens with the defaults', { skip }, async () => {
  await editor.clear();
  await editor.add({ id: 'server', type: 'jetstream-server' }, { id: 'org', type: 'sfdc-org' });
  for (const type of types) {
    const references = { server: 'server', org: 'org' };
    const given = Object.fromEntries(
      Object.entries(valid(type)).filter(([name, value]) => value !== contract[type]?.properties[name]),
    );
    await editor.add({ ...given, id: `hand-${type}` });
    assert.deepEqual(await invalid(editor, `hand-${type}`), []);
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

test('validators say what is wrong, in a sentence that names the setting', { skip }, async () => {
  await editor.clear();
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ['jetstream-in', { ackWait: '2 minutes' }, /^Ack wait: not a duration/],
    ['jetstream-in', { stream: 'a.b' }, /^Stream: not a valid name/],
    ['jetstream-in', { stream: '' }, /Stream/],
    ['jetstream-in', { server: '' }, /Server/],
    ['jetstream-in', { durable: 'a b' }, /^Durable: not a valid name/],
    ['jetstream-in', { subject: 'crm..x' }, /^Subjects: not a subject filter/],
    ['jetstream-in', { deadLetter: 'dead.>' }, /^Dead letter: not a subject/],
    ['jetstream-in', { backoff: '10s; 30s' }, /^Retry after: not a list of durations/],
    ['jetstream-in', { maxDeliver: 'often' }, /^Deliveries: not a whole number/],
    ['jetstream-in', { batchSize: 0 }, /^Batch size: not a whole number/],
    ['jetstream-in', { deliver: 'by_start_sequence' }, /^Sequence: fill this in/],
    ['jetstream-in', { deliver: 'by_start_time', startTime: 'yesterday' }, /^Time: not a time/],
    ['jetstream-in', { provision: true, streamConfig: { subjects: [] } }, /^Subjects: fill this in/],
    [
      'jetstream-in',
      { provision: true, streamConfig: { subjects: ['a'], maxBytes: '2 giga' } },
      /^Max size: not a size/,
    ],
    ['jetstream-out', { subject: 'crm.*' }, /^Subject: not a subject/],
    ['jetstream-out', { subject: 'crm.{{payload.x' }, /^Subject: a template is not complete/],
    ['jetstream-out', { headers: [{ name: 'a b', value: '' }] }, /not a header name/],
    ['jetstream-ack', { delay: 'soon' }, /^Delay: not a duration/],
    ['sfdc-composite', { org: '' }, /Org/],
    ['sfdc-composite', { sobject: 'My Object' }, /^sObject: not an API name/],
    ['sfdc-composite', { fields: 'Id; Name' }, /^Fields: not an API name/],
    [
      'sfdc-composite',
      { batch: { records: 2000, maxRequests: 4, linger: '0ms', coalesce: false } },
      /^Records a call: not a whole number from 1 to 1000/,
    ],
    ['sfdc-composite', { payload: { mode: 'map', fields: [] } }, /^Add at least one field/],
    [
      'sfdc-composite',
      { payload: { mode: 'map', fields: [{ name: '', type: 'str', value: '' }] } },
      /^Each field needs a name/,
    ],
    [
      'sfdc-composite',
      { payload: { mode: 'map', fields: [{ name: 'A', type: 'num', value: 'x' }] } },
      /value is not what its type says/,
    ],
    ['jetstream-server', { servers: 'nats://a:4222 nats://' }, /^Servers: not a list of servers/],
    ['jetstream-server', { auth: 'userpass' }, /^User: fill this in/],
    ['sfdc-org', { auth: 'jwt' }, /^Username: fill this in/],
    ['sfdc-org', { loginUrl: 'example.com' }, /^Login URL: not an address/],
    ['sfdc-org', { apiBudget: 120 }, /^API budget: not a whole number from 1 to 100/],
    ['sfdc-org', { auth: 'file' }, /^Credentials file: fill this in/],
  ];
  await editor.add(nodes.server, nodes.org);
  for (const [i, [type, change, sentence]] of cases.entries()) {
    const id = `case${i}`;
    await editor.add({ ...valid(type), id, ...change });
    const errors = await invalid(editor, id);
    assert.equal(errors.length, 1, `${type} ${JSON.stringify(change)}: ${errors.join(' · ')}`);
    assert.match(errors[0] ?? '', sentence);
  }
});

test('an environment variable is valid wherever a value is', { skip }, async () => {
  await editor.clear();
  const v = '${ANY}';
  await editor.add(nodes.server, nodes.org, {
    ...valid('jetstream-in'),
    stream: v,
    subject: v,
    durable: v,
    ackWait: v,
    maxDeliver: v,
    backoff: v,
    deadLetter: v,
  });
  assert.deepEqual(await invalid(editor, 'x'), []);
});

test('a wrong value is marked in the form, and its folded section opens', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, { ...valid('jetstream-in'), prefetch: 'many' });
  await editor.open('x');
  await page.locator('#node-input-prefetch.input-error').waitFor();
  await page.fill('#node-input-prefetch', '10');
  await page.press('#node-input-prefetch', 'Tab');
  await page.locator('#node-input-prefetch:not(.input-error)').waitFor();
  await editor.cancel();
});

test('settings that contradict each other are named while they are typed', { skip }, async () => {
  await editor.clear();
  const { page } = editor;
  await editor.add(nodes.server, { ...valid('jetstream-in'), subject: 'crm.>' });
  await editor.open('x');
  const hints = page.locator('.jetforce-hint');
  assert.equal(await hints.count(), 0);
  await page.fill('#node-input-deadLetter', 'crm.dead');
  assert.match(await hints.innerText(), /Dead letters to crm.dead would be consumed by this node again/);
  await page.fill('#node-input-deadLetter', 'dead.crm');
  assert.equal(await hints.count(), 0);
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

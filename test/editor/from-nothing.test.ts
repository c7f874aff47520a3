import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { startOrg, type Org } from '../org/org';
import { startNats, type Nats } from '../support/nats';
import { readTable } from '../sync/table';
import { until } from '../support/until';
import { skip, startBench, type Bench, type Editor } from './editor';
import { userOf, type User } from './user';
import { invalid } from './valid';

/** The presses of the mouse that a flow may cost, once the connections are there. */
const CLICKS = 25;
const PASSWORD = 'not exported';
/** Of each type the one node there is. */
const IDS = `(() => {
  const ids = {};
  const note = ({ id, type }) => { ids[type] = id; };
  RED.nodes.eachNode(note);
  RED.nodes.eachConfig(note);
  return ids;
})()`;

let nats: Nats;
let org: Org;
let nc: NatsConnection;
let jsm: JetStreamManager;
before(async () => {
  if (skip) return;
  [nats, org] = await Promise.all([
    startNats({ config: `authorization { user: ada, password: "${PASSWORD}" }` }),
    startOrg({ pubsub: true }),
  ]);
  nc = await connect({ servers: nats.url, user: 'ada', pass: PASSWORD });
  jsm = await nc.jetstreamManager();
});
after(async () => {
  await nc?.close();
  await nats?.stop();
  await org?.close();
});

/** A workspace with one empty flow, and somebody before it. */
async function emptyWorkspace(id: string): Promise<{ bench: Bench; editor: Editor; user: User }> {
  const bench = await startBench({ flows: [{ id, type: 'tab', label: `Flow ${id}` }] });
  const editor = await bench.editor();
  return { bench, editor, user: userOf(editor) };
}

const contact = (ExternalId__c: string, more: object = { LastName: 'Lovelace' }) =>
  nc.jetstream().publish('crm.contacts', JSON.stringify({ ExternalId__c, ...more }));
const inOrg = (ExternalId__c: string) =>
  until(() => org.records('Contact').some((row) => row.ExternalId__c === ExternalId__c), {
    what: `${ExternalId__c} in the org`,
    timeout: 20_000,
  });
const inStream = (Id: string) =>
  until(async () => (await readTable(nc)).get(Id), { what: `${Id} in the stream`, timeout: 20_000 });
const newContact = () => String(org.write('Contact', { LastName: 'Hopper' })[0]?.id);

describe('from an empty workspace, with the mouse', { skip }, () => {
  let bench: Bench;
  let editor: Editor;
  let user: User;
  let exported: string;
  before(async () => ({ bench, editor, user } = await emptyWorkspace('one')));
  after(() => bench?.stop());
  const input = (name: string) => editor.page.locator(`#node-input-${name}`);
  const config = (name: string) => editor.page.locator(`#node-config-input-${name}`);

  const addServer = async () => {
    await user.click(input('btn-server-add'));
    await editor.opened();
    await user.type(config('servers'), nats.url);
    await user.select(config('auth'), 'userpass');
    await user.type(config('user'), 'ada');
    await user.type(config('password'), PASSWORD);
    await user.done();
  };
  const addOrg = async () => {
    await user.click(input('btn-org-add'));
    await editor.opened();
    await user.type(config('loginUrl'), org.url);
    await user.type(config('clientId'), org.clientId);
    await user.type(config('clientSecret'), org.clientSecret);
    await user.click(editor.page.locator('.jetforce-form summary').last());
    await user.type(config('pubsubEndpoint'), org.pubsub ?? '');
    await user.done();
  };

  test('contacts from JetStream are upserted, and what the org refuses is a dead letter', async () => {
    const reads = await user.place('nats', 'jetstream-in', { x: 200, y: 200 });
    await user.aside(addServer);
    await user.type(input('stream'), 'crm');
    await user.click(input('provision'));
    await user.type(input('subject'), 'crm.contacts');
    await user.type(input('durable'), 'contacts');
    await user.type(input('deadLetter'), 'dead.contacts');
    await user.type(input('deadLetterStream'), 'DEAD');
    await user.done();
    const writes = await user.place('upsert', 'sfdc-composite', { x: 500, y: 200 });
    await user.aside(addOrg);
    await user.choose(input('sobject'), 'cont', 'Contact');
    await user.choose(input('externalIdField'), 'ext', 'ExternalId__c');
    await user.done();
    await user.wire(reads, writes);
    await user.deploy();
    assert.ok(user.clicks <= CLICKS, `${user.clicks} clicks`);

    await until(() => jsm.consumers.info('crm', 'contacts'), { what: 'the durable' });
    await contact('A');
    await contact('nameless', {});
    await inOrg('A');
    const letter = await until(() => jsm.streams.getMessage('DEAD', { seq: 1 }), { timeout: 20_000 });
    assert.match(letter.header.get('Jetforce-Error'), /REQUIRED_FIELD_MISSING/);
  });

  test('contacts of Salesforce come into JetStream', async () => {
    const before = user.clicks;
    await user.quickAdd('sync', 'api-sync-out', { x: 300, y: 400 });
    await user.click(input('btn-source-add'));
    await editor.opened();
    await user.choose(editor.page.locator('.jetforce-collection').last(), 'cont', 'salesforce:contact');
    await user.done();
    await user.done();
    await user.deploy();
    const clicks = user.clicks - before;
    assert.ok(clicks <= CLICKS, `${clicks} clicks`);
    await inStream(newContact());
  });

  test('what is exported holds no secret', async () => {
    const { page } = editor;
    await page.keyboard.press('Control+e');
    await page.locator('#red-ui-clipboard-dialog-export-rng-full').click();
    await page.locator('#red-ui-clipboard-dialog-export-fmt-full').click();
    exported = await page.locator('#red-ui-clipboard-dialog-export-text').inputValue();
    await page.keyboard.press('Escape');
    assert.match(exported, /"type": "api-sync-out"/);
    for (const secret of [PASSWORD, org.clientSecret]) assert.ok(!exported.includes(secret));
  });

  test('it runs in another Node-RED, as soon as that is given the secrets', async () => {
    await bench.stop();
    ({ bench, editor, user } = await emptyWorkspace('other'));
    const { page } = editor;
    await editor.importText(exported);
    const ids = await editor.run<Record<string, string>>(IDS);
    const nodes = ['jetstream-server', 'sfdc-org'].map((type) => ids[type] ?? '');
    for (const id of nodes) await until(async () => (await invalid(editor, id)).length > 0);
    await user.click(page.locator('#red-ui-workspace-tabs li', { hasText: 'Flow one' }));
    await user.openForm(ids['jetstream-in'] ?? '');
    await user.click(input('btn-server-edit'));
    await editor.opened();
    await user.type(config('password'), PASSWORD);
    await user.done();
    await user.done();
    await user.openForm(ids['sfdc-composite'] ?? '');
    await user.click(input('btn-org-edit'));
    await editor.opened();
    await user.type(config('clientId'), org.clientId);
    await user.type(config('clientSecret'), org.clientSecret);
    await user.done();
    await user.done();
    for (const id of Object.values(ids)) assert.deepEqual((await invalid(editor, id)) ?? [], []);
    await user.deploy();
    await contact('B');
    await inOrg('B');
    await inStream(newContact());
  });
});

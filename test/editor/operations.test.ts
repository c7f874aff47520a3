import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Locator } from 'playwright-core';
import { startOrg, type Org } from '../org/org';
import { openRoom, type Room } from '../jetstream/room';
import type { FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { skip, startBench, type Bench, type Editor } from './editor';

let room: Room;
let org: Org;
let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  room = await openRoom();
  org = await startOrg();
  bench = await startBench({ flows: flows() });
  editor = await bench.editor();
});
after(async () => {
  await bench?.stop();
  await org?.close();
  await room?.stop();
});

function flows(): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'Activation' },
    { id: 'server', type: 'jetstream-server', name: 'main server', servers: room.nats.url },
    {
      ...{ id: 'org', type: 'sfdc-org', name: 'our org', auth: 'client-credentials', loginUrl: org.url },
      credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    },
    {
      ...{ id: 'in', type: 'jetstream-in', z: 'tab', name: 'contacts', server: 'server', stream: 'crm' },
      ...{ durable: 'writer', subject: 'crm.>', deadLetter: 'dead.contacts', deadLetterStream: 'DEAD' },
      wires: [['write']],
    },
    {
      ...{
        id: 'write',
        type: 'sfdc-composite',
        z: 'tab',
        org: 'org',
        externalIdField: 'ExternalId__c',
        operation: 'upsert',
        sobject: 'Contact',
      },
      wires: [[], []],
    },
  ];
}

/** Opens the tab by the editor's own way; the card of a node. */
async function card(key: string): Promise<Locator> {
  await editor.run("RED.sidebar.show('jetforce-operations')");
  const found = editor.page.locator(`.jetforce-card[data-key="${key}"]`);
  await found.waitFor();
  return found;
}
const shows = (where: Locator, text: RegExp) =>
  until(async () => text.test(await where.innerText()), {
    timeout: 20_000,
    what: `the tab to show ${text}`,
  }).catch(async (error: Error) =>
    assert.fail(`${error.message}\n${await where.innerText()}\n${bench.nodeRed.log.slice(-6).join('\n')}`),
  );
const lastNames = () => org.records('Contact').map(({ LastName }) => LastName);

test(
  'an org that breaks is seen in the tab, and a dead letter that is replayed there arrives',
  { skip },
  async () => {
    const durable = await card('in');
    await shows(durable, /Ready/);
    await shows(await card('server'), /Connected/);

    // What the org refuses becomes a dead letter.
    org.faults.add({
      match: { path: 'composite' },
      action: { rowError: 'FIELD_CUSTOM_VALIDATION_EXCEPTION' },
      times: 1,
    });
    await room.publish('crm.contact', { ExternalId__c: 'a', LastName: 'Refused' });
    await shows(durable, /Dead letters \(1\)/);
    assert.deepEqual(lastNames(), []);

    org.faults.add({ match: { path: '/services/data' }, action: { status: 503 }, times: 1_000 });
    await room.publish('crm.contact', { ExternalId__c: 'b', LastName: 'Waits' });
    await shows(await card('org'), /Out of reach since \d/);
    await shows(durable, /Held up in the flow since \d/);
    org.faults.clear();
    await until(() => lastNames().length === 1, { timeout: 60_000, what: 'the org to be back' });

    // By the keyboard alone.
    const { page } = editor;
    await durable.getByRole('button', { name: /Dead letters/ }).focus();
    await page.keyboard.press('Enter');
    await durable.locator('li input').focus();
    await page.keyboard.press('Space');
    await durable.getByRole('button', { name: 'Replay' }).focus();
    await page.keyboard.press('Enter');
    await until(() => lastNames().includes('Refused'), { timeout: 20_000, what: 'the record to arrive' });
    await shows(durable, /Dead letters \(0\)/);
    await shows(durable, /1 succeeded/);
    assert.deepEqual(lastNames().sort(), ['Refused', 'Waits']);
  },
);

test(
  'a consumer is paused and resumed there, and the focus stays while the tab looks again',
  { skip },
  async () => {
    const durable = await card('in');
    const pause = durable.getByRole('button', { name: 'Pause' });
    await pause.focus();
    await editor.page.waitForResponse(/jetforce\/state/);
    await editor.page.waitForResponse(/jetforce\/state/);
    await editor.page.keyboard.press('Enter');
    await shows(durable, /Paused since/);
    await durable.getByRole('button', { name: 'Resume' }).click();
    await until(async () => !/Paused since/.test(await durable.innerText()));
  },
);

test(
  'the title of a card brings its node into sight, or opens the form of its config node',
  { skip },
  async () => {
    await (await card('in')).getByRole('button', { name: 'contacts' }).click();
    assert.equal(await editor.run("RED.nodes.node('in').highlighted"), true);
    await (await card('org')).getByRole('button', { name: 'our org' }).click();
    await editor.opened();
    await editor.cancel();
  },
);

test(
  'dead letters have to be chosen before they are replayed, and say the day they are of',
  { skip },
  async (t) => {
    const DAYS = 3 * 86_400_000;
    const letters = '**/nodes/in/letters*';
    await editor.page.route(letters, async (route) => {
      const at = new Date(Date.now() - DAYS).toISOString();
      const letter = { sequence: 7, at, headers: { 'Jetforce-Error': 'Refused for good' }, payload: '{}' };
      await route.fulfill({ json: { ok: true, data: { letters: [letter] } } });
    });
    t.after(() => editor.page.unroute(letters));
    const durable = await card('in');
    const fold = durable.getByRole('button', { name: /Dead letters/ });
    if ((await fold.getAttribute('aria-expanded')) === 'true') await fold.click();
    await fold.click();
    await shows(durable, /Refused for good/);
    const day = new Date(Date.now() - DAYS).getDate();
    assert.match(await durable.locator('.jetforce-about').innerText(), new RegExp(`\\b0?${day}\\b`));
    await durable.getByRole('button', { name: 'Replay' }).click();
    await shows(durable, /Choose dead letters first/);
    await fold.click();
  },
);

test('the diagnosis holds what is shown, and no secret', { skip }, async () => {
  await card('in');
  await editor.run('window.copied = ""');
  await editor.run(
    "document.addEventListener('copy', () => { window.copied = document.activeElement.value; }, { once: true })",
  );
  await editor.page.getByRole('button', { name: 'Copy a diagnosis' }).click();
  const copied = await until(async () => (await editor.run<string>('window.copied')) || undefined);
  const { durables, orgs } = JSON.parse(copied) as { durables: { durable: string }[]; orgs: object[] };
  assert.deepEqual([durables[0]?.durable, orgs.length], ['writer', 1]);
  for (const secret of [org.clientId, org.clientSecret]) assert.ok(!copied.includes(secret));
});

test('it speaks German', { skip }, async () => {
  const { page, run } = await bench.editor({ language: 'de' });
  await run("RED.sidebar.show('jetforce-operations')");
  await page.locator('.jetforce-card[data-key="in"]').waitFor();
  const tab = page.locator('.jetforce-operations');
  assert.match(await tab.innerText(), /Verbunden mit[\s\S]*Ausstehend/);
  org.faults.add({ match: { path: '/services/data' }, action: { status: 503 }, times: 1_000 });
  await room.publish('crm.contact', { ExternalId__c: 'c', LastName: 'Wartet' });
  await shows(page.locator('.jetforce-card[data-key="org"]'), /seit \d[\s\S]*Die Org ist nicht verfügbar/);
  org.faults.clear();
  await page.context().close();
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ListedLetter } from '../../nodes/shared/flow/stored-letter';
import type { CollectionState, DurableState, Held, States } from '../../nodes/shared/operations/states';
import { types } from './contract';
import { onBench, skip, type Bench, type Editor } from './editor';
import { faint, key, shoot, shots, show, THEMES } from './look';

let bench: Bench;
let editor: Editor;
// Node-RED 4 has no dark theme, and its own light one is fainter.
onBench((started) => void (bench = started), { version: 5 });

/** What sticks out of the sidebar to the right, or is cut off inside its own element. */
const overflowing = (selector: string): string => `[...document.querySelectorAll('${selector}')]
  .filter((whole) => whole.checkVisibility())
  .flatMap((whole) => [...whole.querySelectorAll('*')].filter((element) => {
    const box = element.getBoundingClientRect();
    const out = box.width > 0 && box.right > whole.getBoundingClientRect().right + 1;
    const cut = getComputedStyle(element).display !== 'inline' && element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
    return out || cut;
  }))
  .map((element) => element.outerHTML.replace(/\\s+/g, ' ').slice(0, 160))`;
const visibleText = (selector: string): Promise<string> =>
  editor.run(
    `[...document.querySelectorAll('${selector}')].filter((one) => one.checkVisibility()).map((one) => one.innerText).join('\\n')`,
  );

/** A copy of what a sidebar scrolls, whole, to be looked at. */
const whole = (selector: string): string => `(() => {
  document.getElementById('whole')?.remove();
  const shown = [...document.querySelectorAll('${selector}')].find((one) => one.checkVisibility());
  const copy = shown.cloneNode(true);
  copy.id = 'whole';
  copy.style.cssText = 'position: absolute; z-index: 9999; top: 0; left: 0; height: auto; background: var(--red-ui-secondary-background); width: ' + shown.offsetWidth + 'px';
  document.body.append(copy);
})()`;

async function looksWell(selector: string, name: string): Promise<void> {
  assert.doesNotMatch(await visibleText(selector), key);
  assert.deepEqual(await editor.run<string[]>(overflowing(selector)), []);
  for (const theme of THEMES) {
    await editor.run(show(theme));
    assert.deepEqual(await editor.run<string[]>(faint(selector)), [], theme);
    if (!shots) continue;
    await editor.run(whole(selector));
    await shoot(editor, '#whole', `${name}-${theme}`);
    await editor.run("document.getElementById('whole').remove()");
  }
  assert.deepEqual(editor.complaints, []);
}

const SINCE = Date.now() - 200_000;
const LONG = 'salesforce_composite_upsert_contacts_of_all_regions';
const problem = {
  code: 'ORG_UNAVAILABLE',
  message: 'The org is not available (503 SERVER_UNAVAILABLE); see https://status.salesforce.com/instances/x',
};
const durable = (n: number, change: Partial<DurableState>): DurableState => ({
  ...{ id: `d${n}`, name: n === 0 ? 'contacts' : LONG, server: 's', stream: 'SEQUIN-RECORDS', durable: LONG },
  ...{ phase: 'ready', inFlow: 12, pending: 1_234_567, inFlight: 1_000, redelivered: 40, waitingForRetry: 3 },
  ...{ nextRetry: SINCE, givenUp: 2, acknowledged: 1, perSecond: 12_345.5, paused: false, held: null },
  deadLetter: null,
  ...change,
});
const HELD: Held['by'][] = ['paused', 'stalled', 'unmatched', 'failing', 'disconnected', 'flow'];
const collection = (phase: string, change: Partial<CollectionState> = {}): CollectionState => ({
  ...{ syncId: 'a', collection: `github:an-organisation/its-repository:${phase}`, phase, done: 1_234_567 },
  ...{ total: 9_876_543, rate: 1_234.5, lag: 45_000, published: 1_234_567, refused: 3, calls: 12_345 },
  ...change,
});
const held = { reason: 'unreachable', ...problem, since: SINCE, nextProbe: Date.now() + 60_000 };
/** Everything that can be there, in all its states. */
const STATE: States & { at: string; unknown: object[] } = {
  at: new Date().toISOString(),
  servers: [
    {
      ...{ id: 's', name: 'nats://nats-1.example.com:4222, nats://nats-2.example.com:4222', servers: '' },
      ...{ phase: 'connected', connectedTo: 'nats-1.example.com:4222', version: '2.15.1', roundTrip: 12 },
      downSince: null,
    },
    {
      ...{ id: 's2', name: 'main', servers: '', phase: 'disconnected', connectedTo: null, version: null },
      ...{
        roundTrip: null,
        downSince: SINCE,
        problem: { code: 'CONNECTION_REFUSED', message: 'connect ECONNREFUSED 127.0.0.1:4222' },
      },
    },
  ],
  durables: [
    durable(0, {
      deadLetter: {
        ...{ subject: 'crm.dead.contacts', stream: 'DEAD', stored: 2 },
        replay: { waiting: 1, inFlow: 2, succeeded: 3, failed: 4, postponed: 5 },
      },
    }),
    ...HELD.map((by, i) =>
      durable(i + 1, {
        held: { by, since: SINCE, ...(by !== 'paused' && problem) },
        paused: by === 'paused',
      }),
    ),
  ],
  topics: [
    {
      ...{ id: 't', name: 'ContactChangeEvent', org: 'o', topic: '/data/ContactChangeEvent', inFlow: 3 },
      ...{ phase: 'subscribed', givenUp: 1, held: null, deadLetter: null },
    },
    {
      ...{ id: 't2', name: 'orders', org: 'o', topic: '/event/OrderStatus__e', inFlow: 0 },
      ...{ phase: 'connecting', givenUp: 0, deadLetter: null },
      held: { by: 'disconnected', reason: 'login', since: SINCE, ...problem },
    },
  ],
  writers: [
    {
      ...{ id: 'w', name: 'crm.contacts.{{payload.ChangeEventHeader.changeType}}', messages: 1_234 },
      held: { by: 'disconnected', since: SINCE, ...problem },
    },
    {
      ...{ id: 'w2', name: LONG, messages: 1 },
      held: { by: 'disconnected', reason: 'unreachable', since: SINCE, ...problem },
    },
    { id: 'w3', name: 'waits for nothing', messages: 5, held: null },
  ],
  orgs: [
    {
      ...{ id: 'o', name: 'our org', session: 'open', instanceUrl: 'https://our-company.my.salesforce.com' },
      ...{ apiVersion: '65.0', usage: { used: 123_456, max: 1_000_000, budget: 800_000 }, underWay: 4 },
      ...{ held, pubsubHeld: held },
    },
  ],
  syncs: [
    {
      ...{ id: 'y', name: 'y', server: 's', stream: 'SEQUIN-RECORDS' },
      collections: [
        ...['backfill', 'live', 'stopped', 'reconcile'].map((phase) => collection(phase)),
        ...['waiting', 'failed'].map((phase) =>
          collection(phase, { total: null, lag: null, problem: { ...problem, since: SINCE } }),
        ),
        collection('leased', {
          phase: 'waiting',
          problem: { code: 'LEASED', message: 'Another instance runs this sync' },
        }),
      ],
    },
  ],
  unknown: [{ id: 'u', name: 'somewhere', problem }],
};
const letter = (sequence: number): ListedLetter => ({
  ...{ sequence, at: new Date(SINCE - sequence * 86_400_000).toISOString() },
  headers: {
    'Jetforce-Error': `salesforce records "upsert": REQUIRED_FIELD_MISSING [LastName] of record ${sequence}`,
    ...{ 'Jetforce-Subject': 'crm.contacts.upsert.of.a.rather.long.subject', 'Jetforce-Sequence': '1234567' },
    'Jetforce-Deliveries': '5',
  },
  payload: JSON.stringify({ ExternalId__c: 'x'.repeat(80), LastName: 'Lovelace' }),
});

/** The colour of a button that asks, which has the focus, and that of an error. */
const ASKED = `(() => {
  const asked = [...document.querySelectorAll('.jetforce-sure')].at(-1);
  asked.focus();
  const error = document.createElement('i');
  error.className = 'jetforce-said jetforce-bad';
  asked.after(error);
  const colors = [asked, error].map((one) => getComputedStyle(one).color);
  error.remove();
  return colors;
})()`;

for (const language of ['en-US', 'de-DE']) {
  describe(language, () => {
    before(async () => {
      if (!skip) editor = await bench.editor({ language });
    });
    after(() => editor?.page.context().close());

    test('the help of every node fits the sidebar, and is legible in either theme', { skip }, async () => {
      for (const type of types) {
        await editor.run(`RED.sidebar.show('help'), RED.sidebar.help.show('${type}')`);
        await editor.page.waitForFunction(
          "[...document.querySelectorAll('.red-ui-help h3')].some((one) => one.checkVisibility())",
        );
        await looksWell('.red-ui-help', `help-${type}-${language}`);
      }
    });

    test(
      'the operations tab fits the sidebar in every state, with dead letters and questions asked twice',
      { skip },
      async () => {
        const { page } = editor;
        await page.route('**/jetforce/state', (route) => route.fulfill({ json: STATE }));
        await page.route('**/jetforce/nodes/**', (route) =>
          route.fulfill({ json: { ok: true, data: { letters: [letter(1), letter(2)], next: 3 } } }),
        );
        await editor.run("RED.sidebar.show('jetforce-operations')");
        const tab = page.locator('.jetforce-operations');
        const first = page.locator('.jetforce-card[data-key="d0"]');
        await first.getByRole('button', { name: /Dead Letters \(2\)/i }).click();
        await first.locator('li summary').first().click();
        await first.locator('li pre').first().waitFor();
        await first.getByRole('button', { name: /Discard|Verwerfen/ }).click();
        await tab
          .getByRole('button', { name: /Read everything again|Alles neu lesen/ })
          .first()
          .click();
        await tab
          .getByText(/press again|nochmals drücken/)
          .nth(1)
          .waitFor();
        for (const theme of THEMES) {
          await editor.run(show(theme));
          const [asked, red] = await editor.run<string[]>(ASKED);
          assert.equal(asked, red, `what is asked twice is red, ${theme}`);
        }
        // As wide as it opens, and as narrow as it is dragged.
        for (const width of ['auto', '240px']) {
          await editor.run(`document.querySelector('.jetforce-operations').style.width = '${width}'`);
          await looksWell('.jetforce-operations', `operations-${language}-${width}`);
        }
        const cards = tab.locator('.jetforce-card:visible');
        const all = await cards.count();
        const box = tab.getByLabel(/Only what is not well|Nur was gestört ist/);
        await box.check();
        const [left, of] = (await tab.locator('label').first().innerText()).match(/\d+/g) ?? [];
        assert.deepEqual([await cards.count(), all], [Number(left), Number(of)]);
        assert.ok(Number(left) > 3 && Number(left) < all);
        await box.uncheck();
      },
    );
  });
}

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { contract, types } from './contract';
import { onBench, skip, type Bench, type Editor } from './editor';
import { faint, key, shoot, shots, show, THEMES } from './look';

let bench: Bench;
let editor: Editor;
// Node-RED 4 has no dark theme, and its own light one is fainter.
onBench((started) => void (bench = started), { version: 5 });

/** What each form shows at most: every row that a choice brings up, every section unfolded. */
const busy: Record<string, Record<string, unknown>[]> = {
  'jetstream-server': [
    {},
    { auth: 'jwt' },
    { auth: 'creds' },
    { auth: 'file', credentialsPath: '/etc/nats.creds' },
  ],
  'jetstream-in': [
    {},
    {
      provision: true,
      streamConfig: {
        subjects: ['crm.>'],
        retention: 'workqueue',
        maxAge: '1m',
        duplicateWindow: '2m',
        maxMsgsPerSubject: 1,
      },
      subject: 'orders.>',
      deliver: 'by_start_time',
      deadLetter: 'orders.dead',
      ackWait: '5s',
      prefetch: 5000,
      batchSize: 9000,
      maxDeliver: 3,
      processingLimit: '1s',
    },
    { sharing: 'partitioned', partitions: 16, stream: 'crm', durable: 'writer', deadLetter: 'dead.crm' },
  ],
  'jetstream-out': [
    { subject: 'crm.{{payload.kind}}.created', headers: [{ name: 'X-Source', value: '{{payload.source}}' }] },
  ],
  'jetstream-ack': [{}, { action: 'nak' }, { action: 'msg' }],
  'sfdc-org': [{}, { auth: 'jwt' }, { auth: 'password' }, { auth: 'file' }],
  'sfdc-composite': [
    { operation: 'create', onOutage: 'fail' },
    { operation: 'get' },
    {
      payload: {
        mode: 'map',
        fields: [
          { name: 'LastName', type: 'template', value: '{{event.data.name}}' },
          { name: 'Email', type: 'msg', value: 'payload.email' },
        ],
      },
    },
  ],
  'sfdc-platform-event': [
    {},
    {
      topic: '/event/OrderStatus__e',
      maxRequests: 4,
      onOutage: 'fail',
      payload: {
        mode: 'map',
        fields: [
          { name: 'Order_ID__c', type: 'template', value: '{{event.data.order_id}}' },
          { name: 'Status__c', type: 'msg', value: 'payload.status' },
        ],
      },
    },
  ],
  'sfdc-event-in': [
    {},
    { topic: '/data/ContactChangeEvent', checkpoint: 'kv', ack: 'delivery' },
    { replay: 'latest' },
    { replay: 'earliest', ack: 'manual' },
  ],
  'api-source': [
    { collections: ['salesforce:contact', 'salesforce:opportunity'] },
    { mode: 'poll', collections: ['salesforce:contact'] },
    { provider: 'stripe', collections: ['stripe:charges'] },
    { provider: 'hubspot', collections: ['hubspot:contacts'], associations: 'company, deal' },
    { provider: 'github', collections: ['github:owner/repository:issues'], account: '4711', user: '123456' },
    {
      provider: 'jira',
      collections: ['jira:issues'],
      baseUrl: 'https://example.atlassian.net',
      user: 'ada@example.com',
    },
    { provider: 'zendesk', collections: ['zendesk:tickets'], baseUrl: 'https://example.zendesk.com' },
    { provider: 'custom', definition: '{}' },
    { provider: 'flow' },
  ],
  'api-sync-out': [
    {},
    {
      events: true,
      start: 'now',
      checkpoint: 'context',
      streamConfig: { subjects: ['crm.>'], retention: 'workqueue', discard: 'new', maxAge: '1d' },
    },
    { events: true, provision: false },
  ],
};

const TEXTS = `[...document.querySelectorAll('.jetforce-form, .jetforce-form *, .red-ui-tray-header')].flatMap((element) => [
  ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim()),
  ...['title', 'placeholder', 'aria-label'].map((name) => element.getAttribute(name) ?? ''),
]).filter((text) => text !== '')`;

/**
 * What sticks out of the form to the right, or lies behind the edge of its tray; texts cut off inside their own
 * element, and labels that need a second line. A folded section's summary is a glimpse, and may be cut; what the code
 * editor lays out inside of itself is its own.
 */
const OVERFLOWING = `[...document.querySelectorAll('.jetforce-form *')].filter((element) => {
  const box = element.getBoundingClientRect();
  const form = document.querySelector('.jetforce-form').getBoundingClientRect();
  const tray = element.closest('.red-ui-tray').getBoundingClientRect();
  const style = getComputedStyle(element);
  const hidden = box.width === 0 || style.position === 'absolute';
  const out = box.right > Math.min(form.right, tray.right, innerWidth) + 1 || box.left < tray.left;
  const cut = element.matches('.jetforce-form .form-row *, summary b') && !element.matches('input, textarea, select') &&
    style.display !== 'inline' && element.scrollWidth > element.clientWidth + 1 && !element.closest('.red-ui-typedInput-container');
  const wraps = element.matches('.form-row > label:first-child') && box.height > 30;
  const foreign = element.closest('.node-text-editor > *');
  return !hidden && !foreign && (out || cut || wraps);
}).map((element) => element.outerHTML.replace(/\\s+/g, ' ').slice(0, 160))`;

/** Options too long for their select are cut there; those of config nodes are the editor's own. */
const CUT_OPTIONS = `[...document.querySelectorAll('.jetforce-form select')].filter((select) => select.clientWidth > 0 && !select.querySelector('[value=_ADD_]')).flatMap((select) => {
  const style = getComputedStyle(select);
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = style.fontSize + ' ' + style.fontFamily;
  const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 12;
  return [...select.options].filter(({ text }) => pen.measureText(text).width > room).map(({ text }) => text);
})`;

/** What can be worked in a form and has no name but its example: whoever hears the form doesn't know what it is. */
const NAMELESS = `[...document.querySelectorAll('.jetforce-form :is(input, select, textarea, button, a[href])')]
  .filter((one) => one.checkVisibility() && !one.closest('.node-text-editor > *'))
  .filter((one) => ![one.textContent, one.title, one.ariaLabel, ...[...(one.labels ?? [])].map((label) => label.textContent)].some((name) => name?.trim()))
  .map((one) => one.outerHTML.slice(0, 160))`;

/** What an empty input says looks like something that was entered; the public address of an API is what counts then. */
const LIKE_VALUES = `[...document.querySelectorAll('.jetforce-form input[placeholder]')]
  .filter((input) => input.checkVisibility() && input.placeholder !== '' && input.id !== 'node-config-input-baseUrl')
  .map((input) => input.placeholder)
  .filter((text) => !/^(e\\.g\\. |z\\. ?B\\. )|^leer: |^(by itself|von selbst): |, if empty$|^[^\\d:/{}]+$/.test(text))`;

/** As wide as the forms of Node-RED's own nodes, so that the canvas stays in sight. */
const WIDTH = { min: 500, max: 600 };
const SCREENS = [1024, 1280, 1600];

for (const language of ['en-US', 'de-DE']) {
  describe(language, () => {
    before(async () => {
      if (!skip) editor = await bench.editor({ language });
    });
    after(() => editor?.page.context().close());

    for (const type of types) {
      test(`${type}: no text is missing, cut off, or faint in either theme`, { skip }, async () => {
        for (const [i, change] of (busy[type] ?? [{}]).entries()) {
          // Each form of a node opens on every screen, its variants on the narrowest.
          for (const width of i === 0 ? SCREENS : SCREENS.slice(0, 1)) {
            await editor.page.setViewportSize({ width, height: 1100 });
            await editor.clear();
            await editor.add({ id: 'x', type, ...contract[type]?.properties, ...change });
            await editor.open('x');
            await editor.run(
              "document.querySelectorAll('.jetforce-form details').forEach((section) => (section.open = true))",
            );
            const tray = await editor.run<number>("document.querySelector('.red-ui-tray').offsetWidth");
            assert.ok(tray >= WIDTH.min && tray <= WIDTH.max, `${tray} px wide at ${width}`);
            const missing = (await editor.run<string[]>(TEXTS)).filter((text) => key.test(text));
            assert.deepEqual(missing, []);
            assert.deepEqual(await editor.run<string[]>(OVERFLOWING), [], `at ${width}`);
            assert.deepEqual(await editor.run<string[]>(CUT_OPTIONS), [], `at ${width}`);
            assert.deepEqual(await editor.run<string[]>(NAMELESS), [], 'without a name');
            assert.deepEqual(await editor.run<string[]>(LIKE_VALUES), [], 'an example like a value');
            assert.deepEqual(editor.complaints, []);
            for (const theme of THEMES) {
              await editor.run(show(theme));
              assert.deepEqual(await editor.run<string[]>(faint('.jetforce-form')), [], theme);
              if (shots) await editor.page.setViewportSize({ width, height: 1800 });
              await shoot(editor, '.red-ui-tray', `${type}-${i}-${language}-${theme}-${width}`);
            }
          }
        }
      });
    }
  });
}

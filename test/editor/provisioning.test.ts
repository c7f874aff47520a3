import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { startNats, type Nats } from '../support/nats';
import { contract } from './contract';
import { skip, startBench, type Bench, type Editor } from './editor';

let nats: Nats;
let nc: NatsConnection;
let bench: Bench;
let editor: Editor;

before(async () => {
  if (skip) return;
  [nats, bench] = await Promise.all([startNats(), startBench()]);
  nc = await connect({ servers: nats.url });
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'shared', subjects: ['shared.>', 'more'], max_msgs: 10 });
  await nc.jetstream().publish('shared.x', '1');
  editor = await bench.editor();
});
after(async () => {
  await bench?.stop();
  await nc?.close();
  await nats?.stop();
});

const node = (id: string, type: string, more: object = {}) => ({
  id,
  type,
  ...contract[type]?.properties,
  ...more,
});
const server = () => node('server', 'jetstream-server', { servers: nats.url, auth: 'none' });
const reader = (id: string, more: object = {}) =>
  node(id, 'jetstream-in', { name: id, server: 'server', stream: 'shared', durable: 'd', ...more });

/** The lines under the box to provision, once they hold `expected`. */
async function plan(expected: string): Promise<string[]> {
  const lines = editor.page.locator('#jetforce-stream-plan > div');
  await lines.filter({ hasText: expected }).first().waitFor();
  return lines.allInnerTexts();
}

const validity = (id: string): Promise<{ valid: boolean; errors: string }> =>
  editor.run(
    `(({ valid, validationErrors }) => ({ valid, errors: JSON.stringify(validationErrors) }))(RED.nodes.node('${id}'))`,
  );

test('the form shows what is there and what a deploy changes of it', { skip }, async () => {
  const { page } = editor;
  await editor.clear();
  await editor.add(
    server(),
    reader('x', { provision: true, streamConfig: { subjects: ['shared.a', 'new.>'], maxMsgs: 5 } }),
  );
  await editor.open('x');
  assert.deepEqual(await plan('The stream exists'), [
    'The stream exists: shared.>, more (messages: 1).',
    'A deploy changes Stream subjects: shared.>, more → shared.>, more, new.>',
    'Max messages stays 10 (not 5), so that nobody loses anything. narrow changes it.',
  ]);
  await page.locator('#node-input-narrow').check();
  assert.deepEqual(await plan('Max messages'), [
    'The stream exists: shared.>, more (messages: 1).',
    'A deploy changes Stream subjects: shared.>, more → shared.a, new.>',
    'A deploy changes Max messages: 10 → 5',
  ]);
  await page.fill('#node-input-stream', 'other');
  assert.deepEqual(await plan('no such stream'), ['There is no such stream: a deploy creates it.']);
  await page.locator('#node-input-provision').uncheck();
  assert.equal(await page.locator('#jetforce-stream-plan > div').count(), 0);
  await editor.cancel();
});

test('api-sync-out shows that it would not cut an existing stream', { skip }, async () => {
  await editor.clear();
  await editor.add(
    server(),
    node('s', 'api-sync-out', { server: 'server', stream: 'shared', subjectPrefix: 'shared' }),
  );
  await editor.open('s');
  const lines = await plan('Max per subject');
  assert.ok(
    lines.includes(
      'Max per subject stays no limit (not 1), so that nobody loses anything. narrow changes it.',
    ),
    lines.join('\n'),
  );
  await editor.cancel();
});

test(
  'a copy with another filter on one durable is wrong, and so is the original, naming each other',
  { skip },
  async () => {
    const { page } = editor;
    await editor.clear();
    await editor.add(
      server(),
      reader('one', { subject: 'shared.a' }),
      reader('two', { subject: 'shared.a' }),
    );
    assert.deepEqual(await validity('two'), { valid: true, errors: '[]' });
    await editor.open('two');
    await page.fill('#node-input-subject', 'shared.b');
    const hint = page.locator('.jetforce-hint', { hasText: 'jetstream-in one reads this durable' });
    await hint.waitFor();
    assert.match(await hint.innerText(), /with other settings \(Subjects\)/);
    await editor.done();
    const wrong = await validity('two');
    assert.ok(!wrong.valid && wrong.errors.includes('jetstream-in one reads this durable'), wrong.errors);
    await page.waitForFunction("RED.nodes.node('one').valid === false");
    await editor.open('two');
    await page.fill('#node-input-durable', 'd2');
    await hint.waitFor({ state: 'detached' });
    await editor.done();
    await page.waitForFunction("RED.nodes.node('one').valid && RED.nodes.node('two').valid");
  },
);

test(
  'nodes that provision one stream with limits that contradict are wrong, of whatever types',
  { skip },
  async () => {
    const { page } = editor;
    await editor.clear();
    await editor.add(
      server(),
      reader('<b>in</b>', {
        provision: true,
        streamConfig: { subjects: ['shared.>'], maxMsgsPerSubject: 3 },
      }),
      node('out', 'api-sync-out', { server: 'server', stream: 'shared', subjectPrefix: 'shared' }),
    );
    await page.waitForFunction("RED.nodes.node('out').valid === false");
    const { errors } = await validity('out');
    assert.ok(errors.includes('&lt;b&gt;in') && errors.includes('Max per subject'), errors);
    assert.equal((await validity('<b>in</b>')).valid, false);
    await editor.run("RED.nodes.remove('<b>in</b>')");
    await page.waitForFunction("RED.nodes.node('out').valid");
    assert.deepEqual(editor.complaints, []);
  },
);

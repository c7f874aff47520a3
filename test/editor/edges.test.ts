import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { openRoom, type Room } from '../jetstream/room';
import { startOrg, type Org } from '../org/org';
import type { FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { skip, startBench, type Bench, type Editor } from './editor';
import { invalid } from './valid';

// What the editor can do to a flow beside wiring it: subflows, copies, groups, links, nodes and flows that are disabled.

let room: Room;
let org: Org;
let bench: Bench;
let editor: Editor;
before(async () => {
  if (skip) return;
  room = await openRoom();
  org = await startOrg();
  bench = await startBench({ flows: [{ id: 'flow', type: 'tab', label: 'Flow' }] });
});
after(async () => {
  await bench?.stop();
  await org?.close();
  await room?.stop();
});
let count = 0;
let durable = '';
beforeEach(() => {
  durable = `durable_${++count}`;
});

const server = (): FlowNode => ({ id: 'server', type: 'jetstream-server', name: '', servers: room.nats.url });
const reader = (more: Record<string, unknown>): FlowNode =>
  ({
    ...{ type: 'jetstream-in', z: 'flow', x: 150, y: 100, name: '', server: 'server', stream: 'crm' },
    ...{ subject: `crm.${durable}.>`, durable, deliver: 'all', ack: 'flow', wires: [] },
    ...more,
  }) as unknown as FlowNode;
const debug = (more: Record<string, unknown>): FlowNode =>
  ({
    ...{ type: 'debug', z: 'flow', x: 500, y: 100, name: '', active: true, tosidebar: true, tostatus: false },
    ...{ complete: 'payload', targetType: 'msg', wires: [] },
    ...more,
  }) as unknown as FlowNode;

/** The editor with these flows, as they were deployed. */
async function opened(...nodes: FlowNode[]): Promise<void> {
  await editor?.page.context().close();
  await bench.nodeRed.deploy([{ id: 'flow', type: 'tab', label: 'Flow' }, ...nodes]);
  editor = await bench.editor();
}
const status = (id: string) => editor.run<string>(`RED.nodes.node(${JSON.stringify(id)}).status?.text ?? ''`);
const shows = (id: string, text: RegExp) =>
  until(async () => text.test(await status(id)), { timeout: 15_000, what: `${id} to show ${text}` }).catch(
    async (error: Error) =>
      assert.fail(`${error.message}: ${await status(id)}\n${bench.nodeRed.log.slice(-8).join('\n')}`),
  );
const select = (...ids: string[]) =>
  editor.run(`RED.view.select({ nodes: ${JSON.stringify(ids)}.map(RED.nodes.node) }), RED.view.focus()`);
const settledOnce = async (sequences: number[]) => {
  for (const sequence of sequences) await room.waitSettled(sequence, '+ACK');
  for (const sequence of sequences) assert.equal(room.settled(sequence).length, 1, `message ${sequence}`);
};
const publish = async (n: number) => {
  const sequences = [];
  for (let i = 0; i < n; i++) sequences.push(await room.publish(`crm.${durable}.a`, i));
  return sequences;
};

/** Copies these nodes and drops the copies below; the id of that of the first. */
async function copy(...ids: string[]): Promise<string> {
  const all = () => editor.run<string[]>('RED.nodes.filterNodes({}).map(({ id }) => id)');
  const there = await all();
  const type = await editor.run<string>(`RED.nodes.node(${JSON.stringify(ids[0])}).type`);
  await select(...ids);
  await editor.page.keyboard.press('Control+c');
  await editor.page.keyboard.press('Control+v');
  await editor.page.waitForFunction(`RED.nodes.filterNodes({}).length === ${there.length + ids.length}`);
  // They hang at the mouse until that is pressed.
  await editor.page.locator('#red-ui-workspace-chart').click({ position: { x: 300, y: 300 } });
  const copies = await editor.run<string[]>(`RED.nodes.filterNodes({ type: '${type}' }).map(({ id }) => id)`);
  return copies.find((id) => !there.includes(id)) ?? assert.fail('nothing was pasted');
}

test(
  'a copy of a jetstream-in shares its durable: each message once; with another subject it is refused',
  { skip },
  async () => {
    await opened(server(), reader({ id: 'in', wires: [['out']] }), debug({ id: 'out' }));
    await shows('in', /ready/);
    const twin = await copy('in', 'out');
    await editor.deploy();
    await shows(twin, /ready/);
    await settledOnce(await publish(20));

    await editor.open(twin);
    await editor.page.fill('#node-input-subject', 'crm.other.>');
    await editor.done();
    for (const id of ['in', twin])
      assert.match((await invalid(editor, id)).join(), /reads this durable with other settings \(Subjects\)/);
    await editor.page.locator('#red-ui-header-button-deploy').click();
    await editor.page.getByRole('button', { name: 'Confirm deploy' }).click();
    for (const id of ['in', twin]) await shows(id, /conflict/);
    const waiting = await publish(3);

    await editor.open(twin);
    await editor.page.fill('#node-input-durable', `${durable}_other`);
    await editor.done();
    for (const id of ['in', twin]) assert.deepEqual(await invalid(editor, id), []);
    await editor.deploy();
    for (const id of ['in', twin]) await shows(id, /ready/);
    await settledOnce(waiting);
  },
);

test(
  'two instances of a subflow read one durable side by side; with different subjects one of them says so',
  { skip },
  async () => {
    const instance = (id: string, y: number, subject: string): FlowNode =>
      ({
        ...{ id, type: 'subflow:sub', z: 'flow', x: 150, y, name: '', wires: [['out']] },
        env: [{ name: 'SUBJECT', type: 'str', value: subject }],
      }) as unknown as FlowNode;
    const subflow = {
      ...{ id: 'sub', type: 'subflow', name: 'Reads', info: '', in: [] },
      out: [{ x: 300, y: 80, wires: [{ id: 'inner', port: 0 }] }],
      status: { x: 300, y: 160, wires: [{ id: 'inner-status', port: 0 }] },
      env: [{ name: 'SUBJECT', type: 'str', value: '' }],
    } as unknown as FlowNode;
    const inner = [
      reader({ id: 'inner', z: 'sub', subject: '${SUBJECT}' }),
      { id: 'inner-status', type: 'status', z: 'sub', x: 150, y: 160, name: '', scope: null, wires: [] },
    ] as unknown as FlowNode[];
    const all = `crm.${durable}.>`;
    const both = (other: string) => [
      ...[server(), subflow, ...inner, debug({ id: 'out' })],
      ...[instance('one', 100, all), instance('two', 200, other)],
    ];
    await opened(...both(all));
    for (const id of ['one', 'two']) await shows(id, /ready/);
    await settledOnce(await publish(20));

    const from = bench.nodeRed.log.length;
    await opened(...both('crm.other.>'));
    for (const id of ['one', 'two']) await shows(id, /conflict/);
    await bench.nodeRed.waitForLog(/one-inner" and jetstream-in "two-inner" both read the durable/, { from });
  },
);

test('two copied syncs publish each record once, and the second says why it waits', { skip }, async () => {
  for (let i = 0; i < 5; i++) org.write('Contact', { LastName: `n${i}` });
  await opened(
    server(),
    {
      ...{ id: 'org', type: 'sfdc-org', name: '', auth: 'client-credentials', loginUrl: org.url },
      credentials: { clientId: org.clientId, clientSecret: org.clientSecret },
    } as unknown as FlowNode,
    {
      ...{ id: 'source', type: 'api-source', name: '', provider: 'salesforce', org: 'org', mode: 'poll' },
      ...{ syncId: 'a5', collections: ['salesforce:contact'], pollInterval: '200ms' },
    } as unknown as FlowNode,
    {
      id: 'sync',
      type: 'api-sync-out',
      z: 'flow',
      x: 150,
      y: 100,
      name: '',
      server: 'server',
      source: 'source',
      wires: [[]],
    } as unknown as FlowNode,
  );
  await shows('sync', /live/);
  const twin = await copy('sync');
  await editor.deploy();
  await until(async () => [await status('sync'), await status(twin)].sort().join() === 'live,standby', {
    timeout: 15_000,
    what: 'one to run and one to stand by',
  });
  org.write('Contact', { LastName: 'new' });
  const messages = async () => (await room.jsm.streams.info('SEQUIN-RECORDS')).state.last_seq;
  await until(async () => (await messages()) === 6, { timeout: 15_000, what: 'the new record' });
});

test('what is disabled reads nothing, and goes on where it was when it is enabled', { skip }, async () => {
  await opened(server(), reader({ id: 'in', wires: [['out']] }), debug({ id: 'out' }));
  await shows('in', /ready/);
  await settledOnce(await publish(2));
  for (const [off, on] of [
    ['core:disable-selected-nodes', 'core:enable-selected-nodes'],
    ['core:disable-flow', 'core:enable-flow'],
  ]) {
    await select('in');
    await editor.run(`RED.actions.invoke('${off}')`);
    await editor.deploy();
    const waiting = await publish(3);
    assert.deepEqual(
      waiting.flatMap((each) => room.settled(each)),
      [],
    );
    await select('in');
    await editor.run(`RED.actions.invoke('${on}')`);
    await editor.deploy();
    await settledOnce(waiting);
  }
});

test('links and groups between the reader and the end settle as wires do', { skip }, async () => {
  await opened(
    server(),
    {
      id: 'group',
      type: 'group',
      z: 'flow',
      name: 'G',
      style: { label: true },
      nodes: ['in', 'away'],
      x: 50,
      y: 50,
      w: 400,
      h: 100,
    } as unknown as FlowNode,
    reader({ id: 'in', g: 'group', wires: [['away']] }),
    {
      id: 'away',
      type: 'link out',
      z: 'flow',
      g: 'group',
      x: 350,
      y: 100,
      name: '',
      mode: 'link',
      links: ['there'],
      wires: [],
    } as unknown as FlowNode,
    {
      id: 'there',
      type: 'link in',
      z: 'flow',
      x: 350,
      y: 250,
      name: '',
      links: ['away'],
      wires: [['late']],
    } as unknown as FlowNode,
    {
      id: 'late',
      type: 'delay',
      z: 'flow',
      x: 450,
      y: 250,
      name: '',
      pauseType: 'delay',
      timeout: '3000',
      timeoutUnits: 'milliseconds',
      wires: [['out']],
    } as unknown as FlowNode,
    debug({ id: 'out', y: 250 }),
  );
  await shows('in', /ready/);
  const [first = 0] = await publish(1);
  await shows('in', /1 in the flow/);
  await settledOnce([first]);
});

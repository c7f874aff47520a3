import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onBench, skip, type Editor } from './editor';
import { nodes, valid } from './valid';

// What is on the way behind a node, and in front of one: also through link nodes and subflows.

let editor: Editor;
onBench(async (bench) => {
  editor = await bench.editor();
});

type Placed = Record<string, unknown>;

const reader = (more: Placed): Placed => ({ ...valid('jetstream-in'), ack: 'manual', ...more });
const ack = (more: Placed = {}): Placed => ({
  ...{ id: 'ack', type: 'jetstream-ack', action: 'ack', delay: '', wires: [[]] },
  ...more,
});
/** A subflow `sub`: its input leads to the first node inside, its output comes from the last. */
const subflow = (first: string, last: string, ports: { in?: boolean; out?: boolean } = {}): Placed => ({
  ...{ id: 'sub', type: 'subflow', name: 'Sub', info: '', env: [] },
  in: ports.in === false ? [] : [{ x: 50, y: 50, wires: [{ id: first }] }],
  out: ports.out === false ? [] : [{ x: 300, y: 50, wires: [{ id: last, port: 0 }] }],
});
const inside = (more: Placed): Placed => ({ x: 150, y: 50, ...more, z: 'sub' });
const instance = (id: string, wires: string[]): Placed => ({
  id,
  type: 'subflow:sub',
  name: '',
  wires: [wires],
});
const change = (id: string, wires: string[]): Placed => ({
  ...{ id, type: 'change', name: '', rules: [{ t: 'set', p: 'a', pt: 'msg', to: '1', tot: 'num' }] },
  wires: [wires],
});
const link = (id: string, type: string, links: string[], more: Placed = {}): Placed => ({
  ...{ id, type, name: '', links, wires: [] },
  ...more,
});

async function hints(id: string, placed: Placed[]): Promise<string> {
  await editor.clear();
  // Before the canvas draws their instances, and as a whole with their insides.
  await editor.add(nodes.server, nodes.org, ...placed);
  await editor.open(id);
  const said = await editor.page.locator('.jetforce-hint').allInnerTexts();
  await editor.cancel();
  return said.join('\n');
}

const MISSING = /No jetstream-ack is on the way/;

for (const [where, placed] of [
  ['in a subflow', [subflow('ack', 'ack'), inside(ack()), reader({ wires: [['one']] }), instance('one', [])]],
  [
    'behind a subflow',
    [
      subflow('set', 'set'),
      inside(change('set', [])),
      reader({ wires: [['one']] }),
      instance('one', ['ack']),
      ack(),
    ],
  ],
  [
    'outside of the subflow that reads',
    [subflow('', 'x', { in: false }), inside(reader({ wires: [[]] })), instance('one', ['ack']), ack()],
  ],
  [
    'where a link call goes',
    [
      reader({ wires: [['call']] }),
      link('call', 'link call', ['in'], { linkType: 'static', wires: [[]] }),
      link('in', 'link in', [], { wires: [['ack']] }),
      ack({ wires: [['back']] }),
      link('back', 'link out', [], { mode: 'return' }),
    ],
  ],
  [
    'where only the message says',
    [reader({ wires: [['call']] }), link('call', 'link call', [], { linkType: 'dynamic', wires: [[]] })],
  ],
] as [string, Placed[]][])
  test(`a jetstream-ack ${where} is on the way`, { skip }, async () => {
    assert.doesNotMatch(await hints('x', placed), MISSING);
  });

for (const [where, placed] of [
  [
    'in a subflow of other nodes',
    [subflow('set', 'set'), inside(change('set', [])), reader({ wires: [['one']] }), instance('one', [])],
  ],
  [
    'behind another instance of the subflow alone',
    [
      ...[subflow('set', 'set'), inside(change('set', [])), reader({ wires: [['one']] })],
      ...[instance('one', []), instance('two', ['ack']), ack()],
    ],
  ],
  ['disabled', [reader({ wires: [['ack']] }), ack({ d: true })]],
  [
    'behind what another link out leads to, too',
    [
      ...[reader({ wires: [['out']] }), link('out', 'link out', ['shared'], { mode: 'link' })],
      link('shared', 'link in', ['out', 'other'], { wires: [[]] }),
      link('other', 'link out', ['shared', 'elsewhere'], { mode: 'link' }),
      link('elsewhere', 'link in', ['other'], { wires: [['ack']] }),
      ack(),
    ],
  ],
] as [string, Placed[]][])
  test(`a jetstream-ack ${where} is not on the way`, { skip }, async () => {
    assert.match(await hints('x', placed), MISSING);
  });

const CREATES = /a create would then make a second record/;
const create = (more: Placed = {}): Placed => ({
  ...{ ...valid('sfdc-composite'), id: 'write', operation: 'create', wires: [[], []] },
  ...more,
});

test(
  'a create in a subflow, called by link or wired, is behind what reads in another place',
  { skip },
  async () => {
    const fromLink = [
      ...[subflow('write', 'write'), inside(create()), instance('one', [])],
      reader({ wires: [['call']] }),
      link('call', 'link call', ['in'], { linkType: 'static', wires: [[]] }),
      link('in', 'link in', [], { wires: [['one']] }),
    ];
    assert.match(await hints('write', fromLink), CREATES);
    const fromSubflow = [
      ...[subflow('', 'x', { in: false }), inside(reader({ wires: [[]] }))],
      ...[instance('one', ['write']), create()],
    ];
    assert.match(await hints('write', fromSubflow), CREATES);
    assert.doesNotMatch(await hints('write', [reader({ wires: [[]] }), create()]), CREATES);
  },
);

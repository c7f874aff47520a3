import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../support/cleanup';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** It reads also where no stream takes its dead letters. */
const READS = /^(ready|no dead letters)$/;

describe('settlement', () => {
  let room: Room;
  let red: EmbeddedNodeRed;
  let serial = 0;

  before(async () => {
    room = await openRoom();
    const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
    red = await embedNodeRed({ flows: [], settings: { functionGlobalContext: { later } } });
  });
  after(async () => {
    await red.stop();
    await room.stop();
  });

  /** Deploys a jetstream-in on a subject of its own, with `nodes` behind it, and waits until it receives. */
  async function deploy(more: object, ...nodes: FlowNode[]): Promise<string> {
    const subject = `crm.contacts.s${++serial}`;
    const from = red.statuses.length;
    await red.deploy(
      [TAB, serverNode(room.nats.url), inNode({ durable: `d${serial}`, subject, ...more }), ...nodes].map(
        placed,
      ),
    );
    await until(
      () => red.statuses.slice(from).some(({ id, status }) => id === 'in' && READS.test(status.text ?? '')),
      {
        what: 'jetstream-in to be ready',
      },
    );
    return subject;
  }

  async function deadLetter(sequence: number): Promise<{ payload: string; headers: Map<string, string> }> {
    const found = await until(
      async () => {
        const last = await room.jsm.streams.getMessage('crm', { last_by_subj: 'crm.dead' });
        return last.header.get('Jetforce-Sequence') === String(sequence) && last;
      },
      { what: `the dead letter of message ${sequence}` },
    );
    const headers = new Map([...found.header].map(([key, values]) => [key, values.join(',')]));
    return { payload: new TextDecoder().decode(found.data), headers };
  }

  test('a failed message comes back after its own backoff, not after the ack wait', async () => {
    const subject = await deploy(
      { wires: [['f']], backoff: '300ms', ackWait: '120s' },
      functionNode('f', `if (msg.jetstream.deliveries === 1) throw new Error('first time'); return msg;`),
    );
    const sequence = await room.publish(subject, { n: 1 });
    await room.waitSettled(sequence, '+ACK', 5_000);
    const [nak, ack] = room.settled(sequence);
    assert.match(nak?.body ?? '', /^-NAK \{"delay":300000000\}$/);
    assert.equal(ack?.deliveries, 2);
  });

  test('the last entry of the backoff repeats, and after maxDeliver the message is a dead letter', async () => {
    const subject = await deploy(
      { wires: [['f']], maxDeliver: 4, backoff: '50ms, 80ms' },
      functionNode('f', 'throw new Error("never")'),
    );
    const sequence = await room.publish(subject, { a: 1 }, { 'X-Trace': 't1' });
    await room.waitSettled(sequence, '+TERM');
    assert.deepEqual(
      room.settled(sequence).map(({ body }) => body),
      ['-NAK {"delay":50000000}', '-NAK {"delay":80000000}', '-NAK {"delay":80000000}', '+TERM'],
    );
    const { payload, headers } = await deadLetter(sequence);
    assert.equal(payload, '{"a":1}');
    assert.match(headers.get('Jetforce-Error') ?? '', /never/);
    assert.equal(headers.get('Jetforce-Stream'), 'crm');
    assert.equal(headers.get('Jetforce-Subject'), subject);
    assert.equal(headers.get('Jetforce-Deliveries'), '4');
    assert.ok(Date.parse(headers.get('Jetforce-Failed-At') ?? ''));
    assert.equal(headers.get('X-Trace'), 't1', 'the original headers are kept');
  });

  test('an error that says retryable: false goes to the dead letter at once', async () => {
    const subject = await deploy(
      { wires: [['f']] },
      functionNode(
        'f',
        'const e = new Error("refused"); e.retryable = false; e.code = "ROW_FAILED"; throw e;',
      ),
    );
    const sequence = await room.publish(subject, { b: 1 });
    await room.waitSettled(sequence, '+TERM');
    assert.equal(room.settled(sequence).length, 1);
    assert.equal((await deadLetter(sequence)).headers.get('Jetforce-Code'), 'ROW_FAILED');
  });

  test('a dead letter that no stream takes keeps the message, and is written when one does', async () => {
    const subject = await deploy(
      { wires: [['f']], maxDeliver: 1, deadLetter: 'elsewhere.dead' },
      functionNode('f', 'throw new Error("no")'),
    );
    const from = red.log.length;
    const sequence = await room.publish(subject, { c: 1 });
    await red.waitForLog(/dead letter could not be written.*No stream takes "elsewhere.dead"/, { from });
    assert.deepEqual(room.settled(sequence), []);
    await room.jsm.streams.add({ name: 'elsewhere', subjects: ['elsewhere.>'] });
    await room.waitSettled(sequence, '+TERM');
    const stored = await room.jsm.streams.getMessage('elsewhere', { last_by_subj: 'elsewhere.dead' });
    assert.equal(new TextDecoder().decode(stored.data), '{"c":1}');
  });

  test('without a dead letter subject the message is terminated and the log names its sequence', async () => {
    const subject = await deploy(
      { wires: [['f']], maxDeliver: 1, deadLetter: '' },
      functionNode('f', 'throw new Error("bad luck")'),
    );
    const from = red.log.length;
    const sequence = await room.publish(subject, { d: 1 });
    await room.waitSettled(sequence, '+TERM');
    await red.waitForLog(new RegExp(`bad luck.*Message ${sequence} of the stream "crm".*dropped`), { from });
  });

  test('two wires are acknowledged once, after both have ended', async () => {
    const subject = await deploy(
      { wires: [['quick', 'slow']] },
      functionNode('quick', 'return null;'),
      functionNode(
        'slow',
        'await new Promise((r) => setTimeout(r, 300)); global.set("slowEnded", Date.now()); return null;',
      ),
    );
    const sequence = await room.publish(subject, { n: 1 });
    const ack = await room.waitSettled(sequence, '+ACK');
    assert.equal(room.settled(sequence).length, 1);
    const slowEnded = (red.getNode('slow').context as () => { global: { get(key: string): number } })
      .call(red.getNode('slow'))
      .global.get('slowEnded');
    assert.ok(slowEnded <= ack.at);
  });

  test('one of two wires failing fails the message', async () => {
    const subject = await deploy(
      { wires: [['good', 'bad']], backoff: '60s' },
      functionNode('good', 'return null;'),
      functionNode('bad', 'throw new Error("one side")'),
    );
    const sequence = await room.publish(subject, {});
    await room.waitSettled(sequence, '-NAK');
    assert.equal(room.settled(sequence).length, 1);
  });

  test('a message that takes longer than the ack wait is not delivered again', async () => {
    const subject = await deploy(
      { wires: [['f']], ackWait: '300ms' },
      functionNode('f', 'await new Promise((r) => setTimeout(r, 1200)); return null;'),
    );
    const before = red.received('f').length;
    const sequence = await room.publish(subject, {});
    const ack = await room.waitSettled(sequence, '+ACK');
    assert.equal(ack.deliveries, 1);
    assert.equal(red.received('f').length - before, 1);
  });

  for (const [how, by] of [
    ['back by 1 h', -3_600_000],
    ['forward by 11 min', 660_000],
  ] as const)
    test(`with the wall clock set ${how} a message in the flow is extended, neither failed nor delivered again`, async (t) => {
      const subject = await deploy(
        { wires: [['f']], ackWait: '600ms', processingLimit: '10m' },
        functionNode('f', 'await new Promise((r) => setTimeout(r, 2000)); return null;'),
      );
      const before = red.received('f').length;
      const sequence = await room.publish(subject, {});
      await until(() => red.received('f').length > before);
      const now = Date.now.bind(Date);
      t.mock.method(Date, 'now', () => now() + by);
      await room.waitSettled(sequence, '+WPI');
      await room.waitSettled(sequence, '+ACK');
      assert.deepEqual(
        room.settled(sequence).map(({ verb, deliveries }) => [verb, deliveries]),
        [['+ACK', 1]],
      );
      assert.equal(red.received('f').length - before, 1);
    });

  test('a jetstream-out behind it is redeployed: the message goes back at once, and that is no try', async () => {
    const out = (server: string): FlowNode => ({
      id: 'out',
      type: 'jetstream-out',
      z: 'tab',
      server,
      subject: 'done.redeployed',
      wires: [[]],
    });
    await room.jsm.streams.add({ name: 'done', subjects: ['done.>'] });
    const from = red.log.length;
    const away = serverNode(`nats://127.0.0.1:${await freePort()}`, { id: 'away' });
    const node = { wires: [['out']], maxDeliver: 1 };
    const subject = await deploy(node, out('away'), away);
    const sequence = await room.publish(subject, { n: 1 });
    await until(() => red.statusOf('in')?.text === '1 in the flow');
    const wired = inNode({ durable: `d${serial}`, subject, ...node });
    await red.deploy([TAB, serverNode(room.nats.url), away, wired, out('server')].map(placed), 'nodes');
    await room.waitSettled(sequence, '+ACK');
    const [first, ...rest] = room.settled(sequence).map(({ body }) => body);
    assert.deepEqual([first, rest.at(-1)], ['-NAK', '+ACK']);
    assert.equal((await room.jsm.streams.info('done')).state.messages, 1);
    const said = red.log.slice(from).filter(({ text }) => /(^|\. )Message \d+ of /.test(text));
    assert.ok(said.length > 0 && said.every(({ level }) => level === 'debug'));
    const how =
      /^The node was stopped.* Message \d+ .* was given back in jetstream-out \S+ and comes again at once, uncounted$/;
    assert.match(said[0]?.text ?? '', how);
  });

  test('a message that never finishes fails at the processing limit, naming the node', async () => {
    const subject = await deploy(
      { wires: [['f']], processingLimit: '300ms', backoff: '60s' },
      functionNode('f', '/* node.done() */ if (false) node.done();', { name: 'forgetful' }),
    );
    const from = red.log.length;
    const sequence = await room.publish(subject, {});
    await room.waitSettled(sequence, '-NAK');
    await red.waitForLog(/did not finish.*within 300ms; not finished: function "forgetful"/, { from });
  });

  test('a payload that is not the JSON asked for fails alone', async () => {
    const subject = await deploy({ wires: [['f']], format: 'json' }, functionNode('f', 'return null;'));
    const bad = await room.nc.jetstream().publish(subject, '{"broken');
    const good = await room.publish(subject, { fine: true });
    await room.waitSettled(bad.seq, '+TERM');
    await room.waitSettled(good, '+ACK');
    assert.equal((await deadLetter(bad.seq)).payload, '{"broken');
  });

  test('jetstream-ack overrides what the flow would do', async () => {
    const ack = (more: object): FlowNode => ({
      id: 'ack',
      type: 'jetstream-ack',
      z: 'tab',
      action: 'ack',
      delay: '',
      wires: [['after']],
      ...more,
    });
    const after = functionNode('after', 'throw new Error("too late to matter")');

    let subject = await deploy({ wires: [['ack']] }, ack({}), after);
    let sequence = await room.publish(subject, {});
    await room.waitSettled(sequence, '+ACK');

    subject = await deploy({ wires: [['ack']] }, ack({ action: 'nak', delay: '45s' }), after);
    sequence = await room.publish(subject, {});
    assert.equal((await room.waitSettled(sequence, '-NAK')).body, '-NAK {"delay":45000000000}');

    subject = await deploy(
      { wires: [['set']] },
      functionNode('set', 'msg.ack = { action: "nak", delay: "2s" }; return msg;', { wires: [['ack']] }),
      ack({ action: 'msg' }),
      after,
    );
    sequence = await room.publish(subject, {});
    assert.equal((await room.waitSettled(sequence, '-NAK')).body, '-NAK {"delay":2000000000}');

    subject = await deploy({ wires: [['ack']] }, ack({ action: 'term' }), after);
    sequence = await room.publish(subject, { given: 'up' });
    await room.waitSettled(sequence, '+TERM');
    assert.equal((await deadLetter(sequence)).payload, '{"given":"up"}');
    assert.equal(room.settled(sequence).length, 1);
  });

  test('ack: manual waits for a jetstream-ack node, however the flow ends', async () => {
    const subject = await deploy(
      { wires: [['f', 'hold']], ack: 'manual' },
      functionNode('f', 'throw new Error("does not count")'),
      {
        id: 'hold',
        type: 'delay',
        z: 'tab',
        pauseType: 'delay',
        timeout: '300',
        timeoutUnits: 'milliseconds',
        rate: '1',
        nbRateUnits: '1',
        rateUnits: 'second',
        drop: false,
        outputs: 1,
        wires: [['ack']],
      },
      { id: 'ack', type: 'jetstream-ack', z: 'tab', action: 'ack', delay: '', wires: [[]] },
    );
    const sequence = await room.publish(subject, {});
    await room.waitSettled(sequence, '+ACK');
    assert.equal(room.settled(sequence).length, 1);
  });

  test('ack: delivery acknowledges before the flow has done anything', async () => {
    const subject = await deploy(
      { wires: [['f']], ack: 'delivery' },
      functionNode('f', 'throw new Error("does not count")'),
    );
    const sequence = await room.publish(subject, {});
    await room.waitSettled(sequence, '+ACK');
    assert.equal(room.settled(sequence).length, 1);
  });

  test('a batch is one message with an array, settled as one', async () => {
    const subject = await deploy(
      { wires: [['f']], batchSize: 3, batchWait: '10s', backoff: '50ms' },
      functionNode('f', 'if (msg.jetstream.deliveries[0] === 1) throw new Error("again"); return null;'),
    );
    const from = red.received('f').length;
    const sequences = [
      await room.publish(subject, { n: 1 }),
      await room.publish(subject, { n: 2 }),
      await room.publish(subject, { n: 3 }),
    ];
    for (const sequence of sequences) await room.waitSettled(sequence, '+ACK');
    const [first, second] = red.received('f').slice(from);
    assert.deepEqual(first?.payload, [{ n: 1 }, { n: 2 }, { n: 3 }]);
    const {
      sequence,
      subject: subjects,
      headers,
    } = first?.jetstream as { sequence: number[]; subject: string[]; headers: object[] };
    assert.deepEqual([sequence, subjects, headers], [sequences, [subject, subject, subject], [{}, {}, {}]]);
    assert.equal((second?.payload as unknown[]).length, 3, 'all of it comes again');
  });

  test('an incomplete batch is delivered after batchWait', async () => {
    const subject = await deploy(
      { wires: [['f']], batchSize: 100, batchWait: '100ms' },
      functionNode('f', 'return null;'),
    );
    const from = red.received('f').length;
    const sequence = await room.publish(subject, { n: 1 });
    await room.waitSettled(sequence, '+ACK');
    assert.deepEqual(red.received('f').slice(from)[0]?.payload, [{ n: 1 }]);
  });

  test('no more than prefetch messages are in the flow', async () => {
    const subject = await deploy(
      { wires: [['f']], prefetch: 5 },
      functionNode(
        'f',
        '/* node.done() */ context.global.waiting = (context.global.waiting || []).concat(() => node.done());',
      ),
    );
    const from = red.received('f').length;
    for (let n = 0; n < 20; n++) await room.publish(subject, { n });
    await until(() => red.received('f').length - from === 5);
    const info = await room.jsm.consumers.info('crm', `d${serial}`);
    assert.equal(info.num_ack_pending, 5);
    assert.equal(red.received('f').length - from, 5);
  });

  test('the message carries its subject as topic and serialisable facts of its delivery', async () => {
    const subject = await deploy({ wires: [['f']] }, functionNode('f', 'return null;'));
    const from = red.received('f').length;
    const sequence = await room.publish(subject, { n: 1 }, { 'X-A': '1' });
    await room.waitSettled(sequence, '+ACK');
    const msg = red.received('f').slice(from)[0] as {
      topic: string;
      payload: unknown;
      jetstream: Record<string, unknown>;
    };
    assert.equal(msg.topic, subject);
    assert.deepEqual(msg.payload, { n: 1 });
    const { timestamp, token, ...facts } = msg.jetstream;
    assert.deepEqual(facts, {
      stream: 'crm',
      consumer: `d${serial}`,
      subject,
      sequence,
      deliveries: 1,
      pending: 0,
      headers: { 'X-A': '1' },
    });
    assert.ok(Math.abs(Date.now() - Date.parse(String(timestamp))) < 60_000);
    assert.equal(typeof token, 'string');
    assert.deepEqual(JSON.parse(JSON.stringify(msg.jetstream)), msg.jetstream);
  });

  describe('a wire that leads nowhere', () => {
    const off = functionNode('off', 'return null;', { d: true });
    const nowhere: Record<string, FlowNode[]> = {
      'a node that is disabled': [functionNode('f', 'return msg;', { wires: [['off']] }), off],
      'a node that is not there': [functionNode('f', 'return msg;', { wires: [['gone']] })],
      'a node of a tab that is disabled, by links': [
        { id: 'f', type: 'link out', z: 'tab', name: '', mode: 'link', links: ['linkin'], wires: [] },
        { id: 'other', type: 'tab', label: 'other', disabled: true },
        { id: 'linkin', type: 'link in', z: 'other', name: '', links: ['f'], wires: [[]] },
      ],
      'no link in at all': [
        { id: 'f', type: 'link out', z: 'tab', name: '', mode: 'link', links: [], wires: [] },
      ],
      'a node that throws when it is made': [
        functionNode('f', 'return msg;', { wires: [['broken']] }),
        // Its constructor reads the first of its links.
        { id: 'broken', type: 'link call', z: 'tab', wires: [[]] },
      ],
      'a subflow whose inside is disabled': [
        { id: 'sub', type: 'subflow', name: 'sub', in: [{ x: 0, y: 0, wires: [{ id: 'inner' }] }], out: [] },
        functionNode('inner', 'return null;', { z: 'sub', d: true }),
        { id: 'f', type: 'subflow:sub', z: 'tab', name: '', wires: [] },
      ],
      'a subflow that is disabled': [
        functionNode('f', 'return msg;', { wires: [['s']] }),
        { id: 'sub', type: 'subflow', name: 'sub', in: [{ x: 0, y: 0, wires: [] }], out: [] },
        { id: 's', type: 'subflow:sub', z: 'tab', d: true, name: '', wires: [] },
      ],
    };
    for (const [name, nodes] of Object.entries(nowhere))
      test(`leaves the message undone, uncounted, and is named: ${name}`, async () => {
        const from = red.log.length;
        const subject = await deploy({ wires: [['f']], maxDeliver: 1 }, ...nodes);
        const sequence = await room.publish(subject, { n: 1 });
        await until(() => room.settled(sequence).length >= 2, { what: 'two deliveries' });
        assert.deepEqual(new Set(room.settled(sequence).map(({ verb }) => verb)), new Set(['-NAK']));
        await red.waitForLog(/is disabled|is not there|does not run|leads nowhere/, { from });
      });

    test('beside one that leads on, to a node that is disabled, counts for nothing', async () => {
      const subject = await deploy(
        { wires: [['f']] },
        functionNode('f', 'return msg;', { wires: [['off', 'g']] }),
        off,
        functionNode('g', 'return null;'),
      );
      await room.waitSettled(await room.publish(subject, { n: 1 }), '+ACK');
    });
  });

  /** Events together in a node that sends new objects, before work that takes a while and fails. */
  test('several at once in a node that makes new messages are not done before any of them', async () => {
    const subject = await deploy(
      { wires: [['first']], prefetch: 10, backoff: '60s' },
      {
        id: 'first',
        type: 'file in',
        z: 'tab',
        filename: __filename,
        filenameType: 'str',
        format: 'lines',
        chunk: false,
        sendError: false,
        encoding: 'none',
        allProps: false,
        wires: [['late']],
      },
      functionNode('late', 'await new Promise((r) => setTimeout(r, 300)); throw new Error("no");'),
    );
    const sequences: number[] = [];
    for (let n = 0; n < 5; n++) sequences.push(await room.publish(subject, { n }));
    for (const sequence of sequences) await room.waitSettled(sequence, '-NAK');
    assert.deepEqual(
      sequences.map((sequence) => room.settled(sequence).length),
      [1, 1, 1, 1, 1],
    );
  });

  test('a message kept in context and sent on for another is of the other', async () => {
    const subject = await deploy(
      { wires: [['f']], prefetch: 10, backoff: '60s' },
      functionNode(
        'f',
        'const kept = flow.get("kept") ?? msg; kept.payload = msg.payload; flow.set("kept", kept); return kept;',
        { wires: [['late']] },
      ),
      functionNode(
        'late',
        'if (msg.payload.n === 0) return null; await new Promise((r) => setTimeout(r, 300)); throw new Error("no");',
      ),
    );
    await room.waitSettled(await room.publish(subject, { n: 0 }), '+ACK');
    const sequences: number[] = [];
    for (let n = 1; n < 4; n++) sequences.push(await room.publish(subject, { n }));
    for (const sequence of sequences) await room.waitSettled(sequence, '-NAK');
    assert.deepEqual(
      sequences.map((sequence) => room.settled(sequence).length),
      [1, 1, 1],
    );
  });

  test('a payload that a function makes and that nothing can clone fails its message alone', async () => {
    const subject = await deploy(
      { wires: [['f']] },
      functionNode(
        'f',
        `if (msg.payload.n === 1) { let deep = []; for (let i = 0; i < 100000; i++) deep = [deep]; return { payload: deep }; }
        if (msg.payload.n === 2) return { get payload() { throw new Error('not to be read'); } };
        return msg;`,
        { wires: [['g', 'h']] },
      ),
      functionNode('g', 'return null;'),
      functionNode('h', 'return null;'),
    );
    for (const n of [1, 2]) {
      const sequence = await room.publish(subject, { n });
      await room.waitSettled(sequence, '+TERM');
      assert.equal((await deadLetter(sequence)).headers.get('Jetforce-Code'), 'BAD_PAYLOAD');
    }
    await room.waitSettled(await room.publish(subject, { n: 3 }), '+ACK');
  });

  test('a function that sends after it was done is named, and not believed again', async () => {
    const from = red.log.length;
    const subject = await deploy(
      { wires: [['f']], processingLimit: '500ms', backoff: '60s' },
      // A promise that nobody waits for; of timers the runtime keeps a list.
      functionNode('f', 'global.get("later")().then(() => node.send(msg));', { wires: [['g']] }),
      functionNode('g', 'return null;'),
    );
    await room.waitSettled(await room.publish(subject, { n: 1 }), '+ACK');
    await red.waitForLog(/function f sent a message on after it had said.*not believed any more/, { from });
    await room.waitSettled(await room.publish(subject, { n: 2 }), '-NAK');
    await red.waitForLog(/did not finish.*not finished: function f/, { from });
  });

  test('a jetstream-in with nothing wired to it takes nothing', async () => {
    await red.deploy([TAB, serverNode(room.nats.url), inNode({ durable: 'unwired', wires: [] })].map(placed));
    assert.equal(red.statusOf('in')?.text, 'not wired');
    await assert.rejects(room.jsm.consumers.info('crm', 'unwired'));
  });

  test('a dead letter subject that the node reads itself is refused', async () => {
    const from = red.log.length;
    await red.deploy(
      [
        TAB,
        serverNode(room.nats.url),
        inNode({ subject: 'crm.>', deadLetter: 'crm.dead', wires: [['f']] }),
        functionNode('f', 'return null;'),
      ].map(placed),
    );
    await red.waitForLog(/dead letter subject "crm.dead" would be read by this node again/, { from });
    await until(() => red.statusOf('in')?.text === 'wrong settings');
  });
});

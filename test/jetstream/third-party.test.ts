import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { root, THIRD_PARTY } from '../support/user-dir';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** A node of another pack between jetstream-in and work that takes a while, with several messages at once. */
interface Row {
  package: string;
  node: Record<string, unknown> & { type: string };
  /**
   * `settled`: acknowledged when the work is done. `held`: it never says when it has finished a message, so the message
   * is named in a warning and fails at its limit, whatever has become of it.
   */
  behaviour: 'settled' | 'held';
  /** A message to the node that lets out what it holds. */
  release?: Record<string, unknown>;
  payload?: unknown;
  /** Messages that reach the work, of three. */
  reach: number;
}

const ROWS: Row[] = [
  {
    package: 'node-red-contrib-queue-gate',
    node: {
      type: 'q-gate',
      controlTopic: 'control',
      defaultState: 'queueing',
      openCmd: 'open',
      closeCmd: 'close',
      toggleCmd: 'toggle',
      queueCmd: 'queue',
      defaultCmd: 'default',
      triggerCmd: 'trigger',
      flushCmd: 'flush',
      resetCmd: 'reset',
      maxQueueLength: 100,
      keepNewest: false,
      qToggle: false,
      persist: false,
      storeName: 'memory',
    },
    behaviour: 'held',
    release: { topic: 'control', payload: 'flush' },
    reach: 3,
  },
  {
    package: 'node-red-contrib-simple-message-queue',
    node: { type: 'simple-queue', firstMessageBypass: true, bypassInterval: 0 },
    behaviour: 'held',
    release: { trigger: true },
    reach: 2,
  },
  {
    package: 'node-red-contrib-loop-processing',
    node: {
      type: 'array-loop',
      key: 'i',
      keyType: 'msg',
      array: 'list',
      arrayType: 'msg',
      reset: false,
      wires: [['work'], ['first']],
    },
    behaviour: 'held',
    reach: 3,
  },
  {
    package: 'node-red-contrib-traffic',
    node: {
      type: 'traffic',
      property_allow: 'gate',
      filter_allow: 'open',
      property_stop: 'gate',
      filter_stop: 'shut',
      default_start: false,
      differ: true,
      send_allow: false,
      send_stop: false,
    },
    behaviour: 'held',
    release: { gate: 'open' },
    reach: 3,
  },
  {
    package: 'node-red-contrib-stoptimer',
    node: { type: 'stoptimer', units: 'Second', duration: '0.1', payloadtype: 'num', payloadval: '0' },
    behaviour: 'held',
    reach: 1,
  },
  {
    package: 'node-red-contrib-aggregator',
    node: {
      type: 'aggregator',
      topic: 'all',
      intervalCount: 1,
      intervalUnits: 's',
      submitIncompleteInterval: true,
      submitPerTopic: false,
      aggregationType: 'sum',
    },
    behaviour: 'held',
    payload: 5,
    reach: 1,
  },
  {
    package: 'node-red-contrib-msg-speed',
    node: { type: 'msg-speed', frequency: 'sec', interval: 1, estimation: false, wires: [[], ['work']] },
    behaviour: 'held',
    reach: 3,
  },
  {
    package: 'node-red-contrib-counter',
    node: { type: 'counter', init: '0', step: '1', mode: 'increment', outputs: '2', wires: [['work'], []] },
    behaviour: 'held',
    reach: 3,
  },
  {
    package: 'node-red-node-random',
    node: { type: 'random', low: '1', high: '10', inte: 'true', property: 'payload' },
    behaviour: 'held',
    reach: 3,
  },
  {
    package: 'node-red-contrib-moment',
    node: {
      type: 'moment',
      input: '',
      inputType: 'date',
      inTz: 'UTC',
      outTz: 'UTC',
      adjAmount: 0,
      adjType: 'days',
      adjDir: 'add',
      format: '',
      locale: 'en',
      output: 'when',
      outputType: 'msg',
    },
    behaviour: 'settled',
    reach: 3,
  },
];

const docs = readFileSync(join(root, 'docs', 'flow-nodes.md'), 'utf8');

test('each of them stands in the table of docs/flow-nodes.md, as it behaves', () => {
  assert.deepEqual(
    ROWS.map((row) => row.package).sort(),
    THIRD_PARTY.toSorted(),
    'each pack that is installed for this has a row',
  );
  for (const { package: name, node, behaviour } of ROWS)
    assert.match(docs, new RegExp(`\\| \`${name}\` +\\| ${node.type} +\\|[^|]*\\| ${behaviour}\\b`));
});

for (const version of [5, 4] as const) {
  describe(`nodes of other packs on Node-RED ${version}`, () => {
    let room: Room;
    let red: EmbeddedNodeRed;
    /** By node, when its work was last done. */
    const workedAt = new Map<string, number>();

    before(async () => {
      room = await openRoom();
      const worked = (id: string): unknown => workedAt.set(id, Date.now());
      const settings = { nodesExcludes: [], functionGlobalContext: { worked } };
      red = await embedNodeRed({ version, flows: [], settings });
      await red.deploy([TAB, serverNode(room.nats.url), ...ROWS.flatMap(flowOf)].map(placed));
    });
    after(async () => {
      await red.stop();
      await room.stop();
    });

    test('what each does with three messages at once', async (t) => {
      await Promise.all(ROWS.map((row) => t.test(`${row.node.type}: ${row.behaviour}`, () => follow(row))));
    });

    /** A jetstream-in before the node, and the work behind it. */
    function flowOf({ node }: Row): FlowNode[] {
      const { type } = node;
      const wait = 'await new Promise((r) => setTimeout(r, 200));';
      const own = (wires: unknown): string[][] =>
        ((wires ?? [['work']]) as string[][]).map((ids) => ids.map((id) => `${id}-${type}`));
      return [
        inNode({
          id: `in-${type}`,
          durable: type,
          subject: `crm.contacts.${type}`,
          wires: [[`list-${type}`]],
          processingLimit: '1500ms',
          backoff: '60s',
        }),
        functionNode(`list-${type}`, 'msg.list = [1, 2]; return msg;', { wires: [[`first-${type}`]] }),
        { z: 'tab', ...node, id: `first-${type}`, wires: own(node.wires) },
        functionNode(`work-${type}`, `${wait} global.get("worked")("${type}"); return null;`),
      ];
    }

    async function follow({ node: { type }, behaviour, release, payload, reach }: Row): Promise<void> {
      const sequences: number[] = [];
      for (let n = 0; n < 3; n++)
        sequences.push(await room.publish(`crm.contacts.${type}`, payload ?? { n }));
      await until(() => red.received(`first-${type}`).length >= 3);
      if (release) red.send(`first-${type}`, { ...release });
      await until(() => red.received(`work-${type}`).length >= reach, { what: `what ${type} lets through` });
      const verb = behaviour === 'settled' ? '+ACK' : '-NAK';
      for (const sequence of sequences) await room.waitSettled(sequence, verb);
      const settled = sequences.map((sequence) => room.settled(sequence));
      assert.deepEqual(
        settled.map((entries) => entries.map((entry) => entry.verb)),
        [[verb], [verb], [verb]],
      );
      if (behaviour === 'held') {
        await red.waitForLog(new RegExp(`^${type} first-${type} never says when it has finished`));
        await red.waitForLog(new RegExp(`not finished: ${type} first-${type}`));
      } else {
        const last = Math.max(...settled.map(([entry]) => entry?.at ?? 0));
        assert.ok((workedAt.get(type) ?? Infinity) <= last, 'not before the last work was done');
      }
    }
  });
}
